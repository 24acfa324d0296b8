"""The audio pipeline over real components at toy size."""

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, DiffusionPipeline, UNet2DConditionModel
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast, SpeechT5HifiGan, SpeechT5HifiGanConfig,
)  # fmt: skip

from anygen.generators.audio_pipeline import AudioLatentDiffusionPipeline
from anygen.generators.vocoder import GriffinLimVocoder

WORDS = ["<pad>", "<start>", "<end>", "<unk>", "the", "sound", "of", "a", "bell", "dog", "high", "tone"]
STEPS = {"num_inference_steps": 3}


def make_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 1), ("<end>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<start>", eos_token="<end>", model_max_length=8
    )


@pytest.fixture(scope="module")
def pipeline() -> AudioLatentDiffusionPipeline:
    torch.manual_seed(0)
    text_config = CLIPTextConfig(
        vocab_size=len(WORDS), hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=8, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    vae = AutoencoderKL(
        in_channels=1, out_channels=1, latent_channels=4, block_out_channels=(8, 8), norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, scaling_factor=0.5,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=(8, 4), in_channels=4, out_channels=4, block_out_channels=(8, 16), layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16, attention_head_dim=4, norm_num_groups=4,
    )  # fmt: skip
    pipeline = AudioLatentDiffusionPipeline(
        vae=vae.eval(),
        text_encoder=CLIPTextModel(text_config).eval(),
        tokenizer=make_tokenizer(),
        unet=unet.eval(),
        scheduler=DDIMScheduler(num_train_timesteps=100, clip_sample=False),
        vocoder=GriffinLimVocoder(model_in_dim=8, num_iterations=4),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_length_is_the_unets_or_the_one_asked_for(pipeline):
    assert pipeline("a bell", generator=seeded(0), **STEPS).audios.shape == (1, 16 * 256)
    audios = pipeline("a bell", audio_length_in_s=0.1, generator=seeded(0), **STEPS).audios
    assert audios.shape == (1, 1600) and audios.dtype == np.float32 and np.isfinite(audios).all()


def test_embeddings_stand_for_their_text(pipeline):
    texts = ["the sound of a bell", "a high tone"]
    positive, negative = pipeline.encode_prompt(texts, negative_prompt="a dog")
    assert positive.shape == negative.shape == (2, 8, 16)
    from_text = pipeline(texts, negative_prompt="a dog", generator=seeded(1, 2), **STEPS).audios
    from_embeds = pipeline(
        prompt_embeds=positive, negative_prompt_embeds=negative, generator=seeded(1, 2), **STEPS
    ).audios
    np.testing.assert_array_equal(from_text, from_embeds)


def test_the_prompt_the_seed_and_the_guidance_matter(pipeline):
    def mel(prompt="a bell", seed=0, scale=2.5):
        outputs = []
        pipeline(
            prompt, generator=seeded(seed), guidance_scale=scale,
            callback_on_step_end=lambda _, i, t, tensors: outputs.append(tensors["latents"]), **STEPS,
        )  # fmt: skip
        return outputs[-1]

    assert torch.equal(mel(), mel())
    for other in (mel(prompt="a dog"), mel(seed=1), mel(scale=1.0), mel(scale=5.0)):
        assert not torch.equal(mel(), other)


def test_guidance_is_the_formula_of_its_paper(pipeline):
    positive, negative = pipeline.encode_prompt("a bell")
    latents, timestep = torch.randn(1, 4, 8, 4, generator=torch.Generator().manual_seed(0)), torch.tensor(50)
    with torch.no_grad():
        guided = pipeline._predict(latents, timestep, positive, negative, 3.0)
        plain, away = (pipeline._predict(latents, timestep, embeds, None, 1.0) for embeds in (positive, negative))
    torch.testing.assert_close(guided, 3 * plain - 2 * away, atol=1e-5, rtol=1e-4)


def test_items_of_a_batch_equal_items_alone(pipeline):
    texts = ["a bell", "a dog", "a high tone"]
    together = pipeline(texts, generator=seeded(1, 2, 3), output_type="pt", **STEPS).audios
    for i, text in enumerate(texts):
        alone = pipeline(text, generator=seeded(i + 1), output_type="pt", **STEPS).audios
        assert alone.abs().max() > 0.05
        torch.testing.assert_close(together[i : i + 1], alone, atol=2e-3, rtol=0)  # phases magnify rounding


def test_several_waveforms_to_a_prompt_stay_in_order(pipeline):
    texts = ["a bell", "a dog"]
    audios = pipeline(texts, num_waveforms_per_prompt=2, generator=seeded(1, 2, 3, 4), **STEPS).audios
    expected = pipeline(["a bell", "a bell", "a dog", "a dog"], generator=seeded(1, 2, 3, 4), **STEPS).audios
    np.testing.assert_array_equal(audios, expected)


def test_given_latents_are_the_noise_and_set_the_length(pipeline):
    latents = torch.randn(1, 4, 8, 4, generator=seeded(5)[0])
    drawn = pipeline("a bell", generator=seeded(5), **STEPS).audios
    np.testing.assert_array_equal(pipeline("a bell", latents=latents, **STEPS).audios, drawn)
    assert pipeline("a bell", latents=torch.zeros(1, 4, 12, 4), **STEPS).audios.shape == (1, 24 * 256)


def test_callback_sees_every_step_and_may_replace_tensors(pipeline):
    seen = []

    def silence(pipe, step, timestep, tensors):
        seen.append((step, int(timestep), tuple(tensors)))
        return {"latents": torch.zeros_like(tensors["latents"])}

    audios = pipeline("a bell", generator=seeded(0), callback_on_step_end=silence, **STEPS).audios
    assert [step for step, *_ in seen] == [0, 1, 2] and seen[0][1] > seen[2][1] and seen[0][2] == ("latents",)
    of_zeros = pipeline.mel_spectrogram_to_waveform(pipeline.decode_latents(torch.zeros(1, 4, 8, 4)))
    np.testing.assert_array_equal(audios, of_zeros.detach().numpy())


def test_waveform_to_mel_fills_up_whole_latents(pipeline):
    mel = pipeline.waveform_to_mel(torch.ones(1, 4096 + 10), 16000)
    assert mel.shape == (1, 18, 8)
    with pytest.raises(ValueError, match="44100"):
        pipeline.waveform_to_mel(torch.ones(1, 4096), 44100)


def test_save_and_load_give_the_same_sound(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path)
    for name in ("vae", "unet", "text_encoder", "vocoder"):
        assert (tmp_path / name / "config.json").is_file()
    loaded = AudioLatentDiffusionPipeline.from_pretrained(
        tmp_path, vocoder=GriffinLimVocoder.from_pretrained(tmp_path / "vocoder")
    )
    loaded.set_progress_bar_config(disable=True)
    assert isinstance(loaded, DiffusionPipeline) and loaded.vocoder.config.num_iterations == 4
    audios, expected = (p("a bell", generator=seeded(0), **STEPS).audios for p in (loaded, pipeline))
    np.testing.assert_array_equal(audios, expected)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "neither"),
        ({"prompt": "a bell", "prompt_embeds": torch.zeros(1, 8, 16)}, "both"),
        ({"prompt": 3}, "int"),
        ({"prompt": "a", "negative_prompt": "b", "negative_prompt_embeds": torch.zeros(1, 8, 16)}, "at most one"),
        (
            {"prompt_embeds": torch.zeros(1, 8, 16), "negative_prompt_embeds": torch.zeros(1, 7, 16)},
            "same shape",
        ),
        ({"prompt": "a bell", "audio_length_in_s": 0.0}, "more than 0 seconds"),
        ({"prompt": "a bell", "output_type": "wav"}, "'np' or 'pt'"),
        ({"prompt": "a bell", "callback_on_step_end_tensor_inputs": ("mel",)}, "one of"),
        ({"prompt": ["a bell", "a dog"], "negative_prompt": ["a tone"]}, "1 texts"),
        ({"prompt": ["a bell", "a dog"], "generator": seeded(1)}, "1 generators for 2"),
        ({"prompt": "a bell", "latents": torch.zeros(1, 4, 8, 5)}, "expected \\(1, 4, 8, 4\\)"),
    ],
)
def test_contradicting_inputs_are_refused(pipeline, inputs, message):
    with pytest.raises(ValueError, match=message):
        pipeline(**inputs, **STEPS)


def test_a_trained_vocoder_of_transformers_takes_the_same_place(pipeline):
    config = SpeechT5HifiGanConfig(
        model_in_dim=8, sampling_rate=16000, upsample_initial_channel=8,
        upsample_rates=[4, 4], upsample_kernel_sizes=[8, 8],
        resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]],
    )  # fmt: skip
    with_hifi_gan = AudioLatentDiffusionPipeline(**{**pipeline.components, "vocoder": SpeechT5HifiGan(config).eval()})
    with_hifi_gan.set_progress_bar_config(disable=True)
    assert with_hifi_gan.hop_length == 16
    audios = with_hifi_gan(["a bell", "a dog"], audio_length_in_s=0.02, generator=seeded(0, 1), **STEPS).audios
    assert audios.shape == (2, 320) and np.isfinite(audios).all()
