"""Settings of the whole suite: it runs offline, and without taking every core."""

import os

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Small tensors are slower on many threads than on one, here and in the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def toy_model():
    """A whole any-to-any model of real classes with random weights, small enough for a test; leave it as it is."""
    return build_toy_model()


@pytest.fixture(scope="session")
def toy_model_maker():
    """The same function, for fixtures that live longer than one test."""
    return build_toy_model


@pytest.fixture(scope="session")
def pictures_alone(toy_model_maker, tmp_path_factory):
    """A pipeline of a saved model that reads and makes no medium but the picture; its pictures are 16 pixels wide."""
    from dataclasses import replace

    from anygen import AnyGenPipeline
    from anygen.model import AnyGenModel

    whole = toy_model_maker()
    names = ("signals", "input_projectors", "output_projectors", "conditions")
    config = replace(whole.config, **{name: {"image": getattr(whole.config, name)["image"]} for name in names})
    parts = {"encoders": {"image": whole.encoders["image"]}, "generators": {"image": whole.generators["image"]}}
    folder = tmp_path_factory.mktemp("pictures")
    AnyGenModel(config, backbone=whole.backbone, **parts).eval().save_pretrained(folder)
    return AnyGenPipeline.from_pretrained(str(folder))


@pytest.fixture
def build_model():
    """The function behind `toy_model`, for tests that change their model; the same weights each time."""
    return build_toy_model


def build_toy_model():
    """ImageBind encoder, Llama and three diffusers pipelines (film and picture share an autoencoder), from seed 0."""
    import torch

    from anygen.bridges import SignalSpec
    from anygen.backbones import build_backbone
    from anygen.model import AnyGenConfig, AnyGenModel
    from anygen.nano.tokenizer import NUM_SIGNAL_TOKENS, signal_tokens
    from anygen.projectors import InputProjectorConfig, OutputProjectorConfig

    torch.manual_seed(0)
    tokenizer = build_toy_tokenizer()
    backbone = build_backbone(build_toy_llm(tokenizer), tokenizer)
    generators = build_toy_generators(tokenizer)
    signals = {
        modality: SignalSpec(
            tokens=tuple(signal_tokens(modality)), ids=tuple(backbone.special_ids(signal_tokens(modality)))
        )
        for modality in NUM_SIGNAL_TOKENS
    }
    config = AnyGenConfig(
        signals=signals,
        input_projectors={
            "image": InputProjectorConfig(),
            "video": InputProjectorConfig(type="mlp"),
            "audio": InputProjectorConfig(),
        },
        output_projectors={
            modality: OutputProjectorConfig(hidden_dim=16, num_layers=1, num_heads=2, feedforward_dim=32)
            for modality in generators
        },
        conditions={modality: generator.condition_spec for modality, generator in generators.items()},
    )
    encoder = build_toy_encoder()
    return AnyGenModel(
        config, encoders=dict.fromkeys(("image", "video", "audio"), encoder), backbone=backbone, generators=generators
    ).eval()


def build_toy_tokenizer():
    from anygen.nano.tokenizer import train_tokenizer

    return train_tokenizer(["a large red bell on grass", "the sound of a bell", "here is a small cat"], vocab_size=320)


def build_toy_llm(tokenizer):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=256, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, initializer_range=0.3,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def build_toy_encoder():
    import torch

    from anygen.encoders.imagebind_config import ImageBindConfig, PatchTrunkConfig
    from anygen.encoders.imagebind_encoder import ImageBindEncoder, ImageBindEncoderConfig

    small = dict(width=16, num_layers=1, num_heads=2, bias_kv=True)
    config = ImageBindEncoderConfig(
        model=ImageBindConfig(
            joint_dim=12,
            vision=PatchTrunkConfig(input_size=(3, 2, 16, 16), kernel=(2, 8, 8), stride=(2, 8, 8), **small),
            audio=PatchTrunkConfig(input_size=(1, 32, 64), kernel=(8, 8), stride=(8, 8), **(small | dict(width=20))),
        ),
        read="patches", fit="pad", num_crops=1, num_video_clips=2, video_clip_seconds=None, num_audio_clips=1,
        audio_clip_samples=16_528, audio_frame_shift=256, audio_fill="silence",
    )  # fmt: skip
    encoder = ImageBindEncoder(config)
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.2)  # larger than at the start of training, so that media differ
    return encoder


def build_toy_generators(tokenizer) -> dict:
    import copy

    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionPipeline,
        TextToVideoSDPipeline,
        UNet2DConditionModel,
        UNet3DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel

    from anygen.generators.audio_pipeline import AudioLatentDiffusionPipeline
    from anygen.generators.diffusion import AudioGenerator, ImageGenerator, VideoGenerator
    from anygen.generators.vocoder import GriffinLimVocoder

    words = copy.deepcopy(tokenizer)
    words.model_max_length = 6
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
            max_position_embeddings=6, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
    )
    unet = dict(
        in_channels=4, out_channels=4, block_out_channels=(8, 16), layers_per_block=1, cross_attention_dim=16,
        attention_head_dim=4, norm_num_groups=4,
    )  # fmt: skip
    flat = unet | dict(
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D")
    )
    deep = unet | dict(
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"), up_block_types=("UpBlock3D", "CrossAttnUpBlock3D")
    )

    def parts(channels: int, denoiser) -> dict:
        vae = AutoencoderKL(
            in_channels=channels, out_channels=channels, latent_channels=4, block_out_channels=(8, 8), norm_num_groups=4,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        )  # fmt: skip
        scheduler = DDIMScheduler(num_train_timesteps=100, clip_sample=False, steps_offset=1)
        return dict(vae=vae, text_encoder=text_encoder, tokenizer=words, unet=denoiser, scheduler=scheduler)

    drawing = StableDiffusionPipeline(
        **parts(3, UNet2DConditionModel(sample_size=8, **flat)),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    film = TextToVideoSDPipeline(**parts(3, UNet3DConditionModel(sample_size=8, **deep)) | {"vae": drawing.vae})
    sound = AudioLatentDiffusionPipeline(
        **parts(1, UNet2DConditionModel(sample_size=(8, 4), **flat)),
        vocoder=GriffinLimVocoder(model_in_dim=8, num_iterations=2),
    )
    return {
        "image": ImageGenerator(drawing, num_inference_steps=2),
        "video": VideoGenerator(film, num_frames=2, num_inference_steps=2),
        "audio": AudioGenerator(sound, num_inference_steps=2),
    }
