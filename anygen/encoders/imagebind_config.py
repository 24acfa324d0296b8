"""The size of an ImageBind model: one frozen dataclass a kind of trunk, and the published size (Girdhar et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class TrunkConfig:
    """One transformer and its head; the subclasses add what the tokens are made of."""

    width: int
    num_layers: int
    num_heads: int
    bias_kv: bool = False
    """Whether attention has a learned extra key and value (`nn.MultiheadAttention(add_bias_kv=True)`)."""
    pre_norm: bool = False
    """Whether a LayerNorm stands before the first block."""
    drop_path: float = 0.0
    """Probability of skipping the last block's branches in training; it grows linearly from 0 at the first."""
    head_dropout: float | None = None
    """Dropout before the projection; None leaves the layer out (it shifts the projection's state-dict index)."""
    logit_scale: float | None = None
    """What the normalised embedding is multiplied by; None leaves the scale out."""
    learn_logit_scale: bool = False

    def __post_init__(self):
        if self.width % self.num_heads:
            raise ValueError(f"width={self.width} is not divisible by num_heads={self.num_heads}")


@dataclass(frozen=True, kw_only=True)
class PatchTrunkConfig(TrunkConfig):
    """Tokens are patches of a picture, a pair of frames or a spectrogram, cut by a convolution without bias."""

    input_size: tuple[int, ...]
    """(channels, height, width) or (channels, frames, height, width)."""
    kernel: tuple[int, ...]
    """Patch size (height, width) or (frames, height, width)."""
    stride: tuple[int, ...]
    stem_norm: bool = True
    """Whether a LayerNorm follows the convolution."""
    stem_widths: tuple[int, ...] = ()
    """Channels of the halving 3x3 convolutions that make the patches in place of the single one; empty as published.

    A small model that is trained from nothing on little data learns far faster so (Xiao et al. 2021, "Early
    convolutions help transformers see better"). Patches must then be squares of 2 ** len(stem_widths) pixels, side by side.
    """

    def __post_init__(self):
        super().__post_init__()
        if not len(self.input_size) - 1 == len(self.kernel) == len(self.stride):
            raise ValueError(
                f"input_size={self.input_size} has a channel and then one entry for each of "
                f"kernel={self.kernel} and stride={self.stride}"
            )
        side = 2 ** len(self.stem_widths)
        if self.stem_widths and not (self.kernel == self.stride and self.kernel[-2:] == (side, side)):
            raise ValueError(
                f"stem_widths={self.stem_widths} makes patches of {side}x{side} pixels side by side; "
                f"found kernel={self.kernel} and stride={self.stride}"
            )

    @property
    def layout(self) -> tuple[int, ...]:
        """Number of patches along each axis after the channels."""
        sizes = zip(self.input_size[1:], self.kernel, self.stride)
        return tuple((size - kernel) // stride + 1 for size, kernel, stride in sizes)


@dataclass(frozen=True, kw_only=True)
class TextTrunkConfig(TrunkConfig):
    """Tokens are a text's; attention is causal; the embedding is read where the id is highest (end of text)."""

    context_length: int
    vocab_size: int


@dataclass(frozen=True, kw_only=True)
class ImuTrunkConfig(TrunkConfig):
    """Tokens are short windows of an inertial recording (accelerometer and gyroscope)."""

    channels: int
    steps: int
    window: int

    @property
    def layout(self) -> tuple[int, ...]:
        """Number of windows."""
        return (self.steps // self.window,)


@dataclass(frozen=True, kw_only=True)
class ImageBindConfig:
    """The model's size; a modality that is None has no part in the model."""

    joint_dim: int
    vision: PatchTrunkConfig | None = None
    text: TextTrunkConfig | None = None
    audio: PatchTrunkConfig | None = None
    depth: PatchTrunkConfig | None = None
    thermal: PatchTrunkConfig | None = None
    imu: ImuTrunkConfig | None = None

    @property
    def trunks(self) -> dict[str, TrunkConfig]:
        """The trunks that exist, in the order of the published state dict."""
        return {field.name: getattr(self, field.name) for field in fields(self)[1:] if getattr(self, field.name)}


def imagebind_huge() -> ImageBindConfig:
    """The published size: 1,200.8 M parameters in 1,311 tensors. Its weights are CC-BY-NC-SA 4.0."""

    def picture(width: int, num_heads: int, logit_scale: float) -> PatchTrunkConfig:
        return PatchTrunkConfig(
            input_size=(1, 224, 224), kernel=(16, 16), stride=(16, 16), width=width, num_layers=12,
            num_heads=num_heads, bias_kv=True, logit_scale=logit_scale,
        )  # fmt: skip

    return ImageBindConfig(
        joint_dim=1024,
        vision=PatchTrunkConfig(
            input_size=(3, 2, 224, 224), kernel=(2, 14, 14), stride=(2, 14, 14), stem_norm=False,
            width=1280, num_layers=32, num_heads=16, pre_norm=True,
        ),
        text=TextTrunkConfig(
            context_length=77, vocab_size=49408, width=1024, num_layers=24, num_heads=16,
            logit_scale=1 / 0.07, learn_logit_scale=True,
        ),
        audio=PatchTrunkConfig(
            input_size=(1, 128, 204), kernel=(16, 16), stride=(10, 10),
            width=768, num_layers=12, num_heads=12, bias_kv=True, drop_path=0.1, logit_scale=20.0,
        ),
        depth=picture(384, 8, 5.0),
        thermal=picture(768, 12, 10.0),
        imu=ImuTrunkConfig(
            channels=6, steps=2000, window=8, width=512, num_layers=6, num_heads=8, bias_kv=True,
            drop_path=0.7, head_dropout=0.5, logit_scale=5.0,
        ),
    )  # fmt: skip
