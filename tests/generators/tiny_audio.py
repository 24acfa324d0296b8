"""Tiny random audio models of transformers: MusicGen, VITS and SpeechT5, with tokenizers."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from tiny_text import tokenizer as word_tokenizer

from anygen.generators.musicgen import MusicgenGenerator
from anygen.generators.speech import SpeechT5Generator, VitsGenerator


def musicgen(*, channels: int = 1, **settings) -> MusicgenGenerator:
    """Two codebooks a channel, 16 codes, 800 Hz, 50 frames a second."""
    torch.manual_seed(0)
    text = transformers.T5Config(vocab_size=32, d_model=16, d_ff=24, d_kv=8, num_heads=2, num_layers=1, pad_token_id=3)
    codec = transformers.EncodecConfig(
        sampling_rate=800, num_filters=2, num_residual_layers=1, upsampling_ratios=[4, 4], codebook_size=16, codebook_dim=8,
        hidden_size=8, num_lstm_layers=1, target_bandwidths=[0.4], compress=2, use_causal_conv=False,
    )  # fmt: skip
    decoder = transformers.MusicgenDecoderConfig(
        vocab_size=16, hidden_size=32, ffn_dim=32, num_hidden_layers=2, num_attention_heads=2, num_codebooks=2 * channels,
        pad_token_id=16, bos_token_id=16, max_position_embeddings=64, audio_channels=channels, dropout=0.0,
    )  # fmt: skip
    config = transformers.MusicgenConfig(
        text_encoder=text.to_dict() | {"model_type": "t5"},
        audio_encoder=codec.to_dict() | {"model_type": "encodec"},
        decoder=decoder.to_dict(),
    )
    model = transformers.MusicgenForConditionalGeneration(config)
    with torch.no_grad():
        for parameter in (*model.decoder.parameters(), *model.enc_to_dec_proj.parameters()):
            parameter.copy_(torch.randn_like(parameter) * 0.3)
        for layer in model.audio_encoder.quantizer.layers:  # an untrained codebook is zeros: every sound would be the same
            layer.codebook.embed.copy_(torch.randn_like(layer.codebook.embed))
    settings = {"audio_length_in_s": 0.2, "num_text_states": 12} | settings
    return MusicgenGenerator(model, word_tokenizer(), **settings)


def vits(folder: Path, *, speakers: int = 1, **settings) -> VitsGenerator:
    """A stochastic duration predictor, letters for tokens, 16 samples a frame."""
    torch.manual_seed(0)
    config = transformers.VitsConfig(
        vocab_size=30, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=16, flow_size=16, spectrogram_bins=9,
        prior_encoder_num_flows=1, posterior_encoder_num_wavenet_layers=1, prior_encoder_num_wavenet_layers=1,
        duration_predictor_num_flows=1, upsample_initial_channel=16, upsample_rates=[4, 4], upsample_kernel_sizes=[8, 8],
        resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]], num_speakers=speakers,
        speaker_embedding_size=4 if speakers > 1 else 0, depth_separable_num_layers=1, duration_predictor_filter_channels=16,
    )  # fmt: skip
    letters = {letter: number for number, letter in enumerate("_ abcdefghijklmnopqrstuvwxyz")}
    (folder / "vocab.json").write_text(json.dumps(letters | {"<unk>": 29}))
    reader = transformers.VitsTokenizer(
        folder / "vocab.json", pad_token="_", phonemize=False, is_uroman=False, normalize=True, add_blank=True
    )
    return VitsGenerator(transformers.VitsModel(config), reader, num_tokens=80, **settings)


def speecht5(folder: Path, **settings) -> SpeechT5Generator:
    """Letters for tokens, 8 mel bins, a HiFi-GAN of 16 samples a frame, a random voice; nothing is written to `folder`."""
    torch.manual_seed(0)
    letters = {letter: number for number, letter in enumerate(("<s>", "<pad>", "</s>", "<unk>", *" abcdefghijklmnopqrstuvwxyz"))}
    reader = Tokenizer(models.WordLevel(letters, unk_token="<unk>"))
    reader.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    reader.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    config = transformers.SpeechT5Config(
        vocab_size=32, hidden_size=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=16, decoder_layers=1,
        decoder_attention_heads=2, decoder_ffn_dim=16, num_mel_bins=8, speech_decoder_prenet_units=16,
        speaker_embedding_dim=4, speech_decoder_postnet_units=8, speech_decoder_postnet_layers=2, reduction_factor=2,
    )  # fmt: skip
    gan = transformers.SpeechT5HifiGanConfig(
        model_in_dim=8, upsample_initial_channel=8, upsample_rates=[4, 4], upsample_kernel_sizes=[8, 8],
        resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]],
    )  # fmt: skip
    model, vocoder = transformers.SpeechT5ForTextToSpeech(config), transformers.SpeechT5HifiGan(gan)
    with torch.no_grad():
        for parameter in (*model.parameters(), *vocoder.parameters()):
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    reader = transformers.PreTrainedTokenizerFast(
        tokenizer_object=reader, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    settings = {"num_tokens": 80, "maxlenratio": 2.0, "threshold": 3.0} | settings
    return SpeechT5Generator(model, reader, vocoder=vocoder, speaker=torch.randn(4), **settings)
