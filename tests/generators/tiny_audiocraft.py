"""Tiny random models of audiocraft in its own layout, by its own builders; imported where it is installed."""

from __future__ import annotations

from pathlib import Path

import audiocraft
import torch
import transformers
from audiocraft.models import builders
from omegaconf import OmegaConf
from tiny_text import t5_tokenizer

LANGUAGE = {
    "device": "cpu",
    "dtype": "float32",
    "lm_model": "transformer_lm",
    "dataset": {"segment_duration": 20.0},
    "transformer_lm": {
        "n_q": 4, "card": 16, "dim": 32, "num_heads": 2, "hidden_scale": 2, "num_layers": 2, "norm_first": True, "causal": True,
        "dropout": 0.0, "bias_proj": False, "bias_ff": False, "bias_attn": False, "custom": False, "memory_efficient": True,
    },
    "codebooks_pattern": {"modeling": "delay", "delay": {"delays": [0, 1, 2, 3]}},
    "attribute_dropout": {},
    "classifier_free_guidance": {"training_dropout": 0.3, "inference_coef": 3.0},
    "fuser": {"cross_attention_pos_emb": False, "sum": [], "prepend": [], "cross": ["description"], "input_interpolate": []},
    "conditioners": {"args": {}, "description": {"model": "t5", "t5": {"name": "t5-small", "finetune": False}}},
}  # fmt: skip
"""As published: attention through torch (memory_efficient), codebooks delayed, a T5 that comes by its name."""
CODEC = {
    "device": "cpu",
    "compression_model": "encodec",
    "encodec": {
        "autoencoder": "seanet", "quantizer": "rvq", "sample_rate": 800, "channels": 1, "causal": False, "renormalize": False,
    },
    "seanet": {
        "dimension": 8, "channels": 1, "n_filters": 2, "n_residual_layers": 1, "ratios": [4, 4], "lstm": 1, "encoder": {},
        "decoder": {},
    },
    "rvq": {"n_q": 4, "bins": 16, "q_dropout": False},
}  # fmt: skip
"""800 Hz, 50 frames a second."""
BAND = {
    "channels": 1,
    "diffusion_unet": {
        "hidden": 4,
        "depth": 2,
        "res_blocks": 1,
        "norm_groups": 2,
        "kernel": 4,
        "stride": 4,
        "codec_dim": 8,
    },
    "schedule": {"num_steps": 1000, "variance": "beta", "clip": 5.0, "beta_exp": 1, "beta_t0": 1e-4, "beta_t1": 0.02},
    "processor": {"use": True, "name": "multi_band_processor", "n_bands": 2, "num_samples": 10},
}


def write_t5(folder: Path) -> None:
    """The only T5 that a conditioner of a tiny model can read: 512 wide, found as "t5-small" from its parent folder."""
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=32, d_model=512, d_ff=8, d_kv=8, num_heads=1, num_layers=1, pad_token_id=0
    )
    transformers.T5EncoderModel(config).save_pretrained(folder)
    t5_tokenizer().save_pretrained(folder)


def write_model(folder: Path, *, solver: str = "musicgen", stereo: bool = False, genre: bool = False) -> None:
    """state_dict.bin and compression_state_dict.bin, as audiocraft.utils.export writes them."""
    torch.manual_seed(0)
    config = OmegaConf.create(LANGUAGE | {"solver": solver})
    if stereo:
        config.interleave_stereo_codebooks = {"use": True, "per_timestep": False}
        config.transformer_lm.n_q = 8
        config.codebooks_pattern.delay.delays = [0, 0, 1, 1, 2, 2, 3, 3]
    if genre:
        config.conditioners.genre = {"model": "lut", "lut": {"n_bins": 4, "dim": 8, "tokenizer": "noop"}}
        config.fuser.sum = ["genre"]
    codec_config = OmegaConf.create(CODEC)
    language, codec = builders.get_lm_model(config), builders.get_compression_model(codec_config)
    with torch.no_grad():
        for parameter in language.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
        for layer in codec.quantizer.vq.layers:  # an untrained codebook is zeros: every sound would be the same
            layer._codebook.embed.copy_(torch.randn_like(layer._codebook.embed))
            layer._codebook.inited.fill_(True)
    folder.mkdir(parents=True, exist_ok=True)
    for name, module, settings in (("state_dict", language, config), ("compression_state_dict", codec, codec_config)):
        package = {"best_state": module.state_dict(), "xp.cfg": OmegaConf.to_yaml(settings), "exported": True}
        torch.save(package | {"version": audiocraft.__version__}, folder / f"{name}.bin")


def write_bands(path: Path, *, bands: int = 2, sample_rate: int = 800) -> None:
    """MultiBandDiffusion's file, whose configurations are pickled OmegaConf objects."""
    torch.manual_seed(1)
    package: dict = {"sample_rate": sample_rate, "n_bands": bands}
    for number in range(bands):
        config = OmegaConf.create(BAND)
        network = builders.get_diffusion_model(config)
        processor = builders.get_processor(config.processor, sample_rate=sample_rate)
        processor.project_sample(torch.randn(12, 1, 400))
        states = {"model_state": network.state_dict(), "processor_state": processor.state_dict()}
        package[number] = {"cfg": config} | states
    torch.save(package, path)
