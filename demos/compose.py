# %% [markdown]
# # Bring your own models
#
# Any chat LLM and any text-conditioned pipelines of diffusers, joined to one system that answers with words, pictures
# and sounds, without training. Everything below is tiny and random, saved in the layouts of the hub, so that it runs
# offline in seconds on a laptop: what it says and shows is noise, how it is put together is what you would do with
#
#     AnyGenPipeline.compose(llm="Qwen/Qwen3-4B-Instruct-2507", image="stabilityai/sdxl-turbo")
#
# Run it as it is (`python demos/compose.py`), or cell by cell in an editor that knows `# %%`.

# %% Where it all goes
import tempfile
from pathlib import Path

import diffusers
import torch
import transformers
from tokenizers import ByteLevelBPETokenizer

from anygen import AnyGenError, AnyGenPipeline

FOLDER = Path(tempfile.mkdtemp(prefix="anygen-compose-"))
torch.manual_seed(0)

# %% [markdown]
# ## 1. Snapshots, as they would come from the hub
#
# An LLM with its tokenizer and chat template.

# %% An LLM
words = ByteLevelBPETokenizer()
words.train_from_iterator(
    ["a red bell on grass", "the sound of a bell"], vocab_size=300, special_tokens=["<pad>", "<end>"]
)
tokenizer = transformers.PreTrainedTokenizerFast(
    tokenizer_object=words._tokenizer, eos_token="<end>", pad_token="<pad>"
)
tokenizer.model_max_length = 2048
tokenizer.chat_template = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
llm = transformers.LlamaForCausalLM(
    transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=2048, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.3,
    )
)  # fmt: skip
llm.save_pretrained(FOLDER / "llm")
tokenizer.save_pretrained(FOLDER / "llm")

# %% [markdown]
# A `StableDiffusionPipeline` for pictures and an `AudioLDMPipeline` for sounds. Each has a text encoder of its own, which
# reads the captions that the LLM writes.


# %% What both pipelines are made of
def caption_tokenizer() -> transformers.PreTrainedTokenizerFast:
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=words._tokenizer, eos_token="<end>", pad_token="<pad>")
    made.model_max_length = 16
    return made


def autoencoder(channels: int) -> diffusers.AutoencoderKL:
    return diffusers.AutoencoderKL(
        in_channels=channels, out_channels=channels, latent_channels=4, block_out_channels=(8, 16), norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip


def denoiser(**more) -> diffusers.UNet2DConditionModel:
    return diffusers.UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
        attention_head_dim=2, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **more,
    )  # fmt: skip


SMALL = {
    "vocab_size": 300,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}

# %% Pictures
pictures = diffusers.StableDiffusionPipeline(
    vae=autoencoder(3), unet=denoiser(cross_attention_dim=16), tokenizer=caption_tokenizer(),
    text_encoder=transformers.CLIPTextModel(
        transformers.CLIPTextConfig(**SMALL, max_position_embeddings=16, eos_token_id=1, pad_token_id=0)
    ),
    scheduler=diffusers.DDIMScheduler(clip_sample=False, steps_offset=1), safety_checker=None, feature_extractor=None,
    requires_safety_checker=False,
)  # fmt: skip
pictures.save_pretrained(FOLDER / "image")

# %% Sounds
vocoder = transformers.SpeechT5HifiGan(
    transformers.SpeechT5HifiGanConfig(
        model_in_dim=8, sampling_rate=16000, upsample_initial_channel=16, upsample_rates=[2, 2], upsample_kernel_sizes=[4, 4],
        resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1]], normalize_before=False,
    )
)  # fmt: skip
sounds = diffusers.AudioLDMPipeline(
    vae=autoencoder(1), tokenizer=caption_tokenizer(), scheduler=diffusers.DDIMScheduler(clip_sample=False, steps_offset=1), vocoder=vocoder,
    unet=denoiser(
        cross_attention_dim=(8, 16), class_embed_type="simple_projection", class_embeddings_concat=True,
        projection_class_embeddings_input_dim=16,
    ),
    text_encoder=transformers.ClapTextModelWithProjection(
        transformers.ClapTextConfig(**SMALL, projection_dim=16, pad_token_id=0, max_position_embeddings=24, type_vocab_size=1)
    ),
)  # fmt: skip
sounds.save_pretrained(FOLDER / "audio")

# %% [markdown]
# ## 2. Compose, and ask
#
# With the text bridge, the default, the LLM is told that it can write `<image>what it shows</image>` and
# `<audio>what it sounds like</audio>`. `modalities` asks for exactly these media: the tags are forced, the captions are the
# LLM's own, and an LLM that was never trained for it, even this random one, answers with what was asked for.

# %% Compose
pipe = AnyGenPipeline.compose(llm=FOLDER / "llm", image=FOLDER / "image", audio=FOLDER / "audio")
few = {"image": {"num_inference_steps": 2}, "audio": {"num_inference_steps": 2}}
out = pipe("a red bell", modalities=["image", "audio"], seed=0, **few)
for part in out.parts:
    print(part.type, repr(part.signal.caption), type(part.media).__name__)
out.images[0].save(FOLDER / "bell.png")

# %% [markdown]
# All else is as with any model of anygen: batches, streams, seeds, candidates, parameters by modality.

# %% A batch, each item as if it were alone
bell, cat = pipe(["a red bell", "a cat"], modalities=["image"], seed=[0, 1], num_outputs=2, **few)
print(len(bell.images), len(cat.images))

# %% A stream
for event in pipe.stream("a red bell", modalities=["image"], seed=0, **few):
    print(type(event).__name__)

# %% [markdown]
# ## 3. Save and load
#
# A composition is small on disk: its parts are frozen, so it refers to them, by `name/repository@commit` or by folder.

# %% Save, load, compare
pipe.save_pretrained(FOLDER / "composed")
again = AnyGenPipeline.from_pretrained(FOLDER / "composed")
assert again("a red bell", modalities=["image"], seed=0, **few).images[0].tobytes() == out.images[0].tobytes()
print(sum(path.stat().st_size for path in (FOLDER / "composed").rglob("*") if path.is_file()), "bytes")

# %% [markdown]
# ## 4. Swap the bridge
#
# The learned bridges need training before they are of use; untrained they can be built, saved, and trained. `signal` is
# NExT-GPT's: the LLM says a run of signal tokens, and a small transformer turns its states into the condition.

# %% The same parts, joined by signal tokens for pictures and by captions for sounds
learned = AnyGenPipeline.compose(
    llm=FOLDER / "llm", image=FOLDER / "image", audio=FOLDER / "audio", bridge={"image": "signal", "audio": "text"}
)
out = learned("a red bell", modalities=["image", "audio"], seed=0, **few)
for part in out.parts:
    print(part.type, repr(part.text) if part.type == "text" else part.signal.tokens or repr(part.signal.caption))

# %% [markdown]
# What does not fit is refused at once, and says what was found and what was expected.

# %% A sound pipeline is no picture pipeline
try:
    AnyGenPipeline.compose(llm=FOLDER / "llm", image=FOLDER / "audio")
except AnyGenError as error:
    print(error)
