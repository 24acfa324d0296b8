"""The ImageBind architecture: six transformers, one a modality, that end in one joint space (Girdhar et al. 2023).

Step 3 of the data flow; `imagebind_encoder.py` wraps it as an `Encoder`. Our own implementation with the state-dict keys and
shapes of the published checkpoint, at any size (`imagebind_config.py`).

    vision   (B, 3, H, W), (B, 3, T, H, W)  -+
    audio    (B, 1, bins, frames)            |  stem: patches      trunk: pre-norm       head: LayerNorm, one token,
    depth, thermal   (B, 1, H, W)            +-> and CLS, position -> blocks (B, L, D) -> projection -> (B, joint_dim)
    imu      (B, channels, steps)            |  added (B, L, D)
    text     (B, context) token ids         -+
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anygen.encoders.imagebind_config import (
    ImageBindConfig,
    ImuTrunkConfig,
    PatchTrunkConfig,
    TextTrunkConfig,
    TrunkConfig,
)

MAX_LOGIT_SCALE = 100.0


class ImageBind(nn.Module):
    """Six trunks, one joint space. Module names are those of the published checkpoint."""

    def __init__(self, config: ImageBindConfig):
        super().__init__()
        self.config = config
        trunks = config.trunks
        self.modality_preprocessors = nn.ModuleDict({name: _preprocessor(name, trunk) for name, trunk in trunks.items()})
        self.modality_trunks = nn.ModuleDict({name: Trunk(trunk) for name, trunk in trunks.items()})
        self.modality_heads = nn.ModuleDict(
            {
                name: (TextHead if name == "text" else Head)(trunk, config.joint_dim)
                for name, trunk in trunks.items()
            }
        )
        self.modality_postprocessors = nn.ModuleDict({name: _postprocessor(trunk) for name, trunk in trunks.items()})
        self.apply(_init_weights)

    def encode(self, trunk: str, inputs: Tensor) -> Tensor:
        """The trunk's last tokens (B, L, D), before the head; token 0 is CLS (not so for text)."""
        preprocessor = self.modality_preprocessors[trunk]
        tokens = preprocessor(inputs)
        mask = preprocessor.mask[: tokens.shape[1], : tokens.shape[1]] if trunk == "text" else None
        return self.modality_trunks[trunk](tokens, mask)

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Scaled joint embeddings, as the published model gives them.

        Args:
            inputs: trunk -> (B, ...), see the module docstring. Inputs of five or more axes hold clips, (B, S, ...), and
                their scaled embeddings are averaged over S; a lone film of five axes is therefore given as (B, 1, ...).

        Returns:
            trunk -> (B, joint_dim)
        """
        outputs = {}
        for trunk, values in inputs.items():
            clips = values.shape[:2] if values.ndim >= 5 else None
            flat = values.flatten(0, 1) if clips else values
            pooled = self.modality_heads[trunk](self.encode(trunk, flat), flat)
            scaled = self.modality_postprocessors[trunk](pooled)
            outputs[trunk] = scaled.unflatten(0, clips).mean(dim=1) if clips else scaled
        return outputs


class PatchPreprocessor(nn.Module):
    """Patches, CLS first, positions added: (B, C, H, W) or (B, C, T, H, W) -> (B, 1 + patches, D)."""

    def __init__(self, config: PatchTrunkConfig, stem_name: str):
        super().__init__()
        self.config, self.stem_name = config, stem_name
        self.cls_token = nn.Parameter(torch.empty(1, 1, config.width))
        self.add_module(stem_name, PatchStem(config))
        self.pos_embedding_helper = nn.Module()
        self.pos_embedding_helper.pos_embed = nn.Parameter(torch.empty(1, 1 + math.prod(config.layout), config.width))

    def forward(self, inputs: Tensor) -> Tensor:
        expected = self.config.input_size
        if len(expected) == 4 and inputs.ndim == 4:  # a picture is a film that stands still
            inputs = inputs.unsqueeze(2).expand(-1, -1, expected[1], -1, -1)
        if tuple(inputs.shape[1:]) != expected:
            raise ValueError(f"inputs have shape {tuple(inputs.shape)}; expected (B, {', '.join(map(str, expected))})")
        patches = getattr(self, self.stem_name)(inputs)
        tokens = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        return tokens + self.pos_embedding_helper.pos_embed


class PatchStem(nn.Module):
    """What cuts patches, one convolution or several, and a LayerNorm where the config has one: -> (B, patches, D)."""

    def __init__(self, config: PatchTrunkConfig):
        super().__init__()
        kind = {2: nn.Conv2d, 3: nn.Conv3d}[len(config.kernel)]
        if config.stem_widths:
            convolution = nn.Sequential(*halving_convolutions(kind, config))
        else:
            convolution = kind(
                config.input_size[0], config.width, kernel_size=config.kernel, stride=config.stride, bias=False
            )
        # In the published vision stem the convolution is the second layer, after the one that repeats a picture in time.
        self.proj = nn.Sequential(nn.Identity(), convolution) if len(config.kernel) == 3 else convolution
        self.norm_layer = nn.LayerNorm(config.width) if config.stem_norm else nn.Identity()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.norm_layer(self.proj(inputs).flatten(2).transpose(1, 2))


def halving_convolutions(kind: type[nn.Module], config: PatchTrunkConfig) -> list[nn.Module]:
    """3x3 convolutions of stride 2, the first over all frames of a patch, then one of 1x1 to the trunk's width."""
    layers, channels = [], config.input_size[0]
    frames = config.kernel[:-2]
    for width in config.stem_widths:
        layers += [
            kind(channels, width, (*frames, 3, 3), (*frames, 2, 2), padding=(*(0 for _ in frames), 1, 1), bias=False),
            nn.GroupNorm(8, width),
            nn.GELU(),
        ]
        channels, frames = width, tuple(1 for _ in frames)
    return [*layers, kind(channels, config.width, 1, bias=False)]


class ImuPreprocessor(nn.Module):
    """Windows of all channels, projected; CLS first, positions added: (B, channels, steps) -> (B, 1 + windows, D)."""

    def __init__(self, config: ImuTrunkConfig):
        super().__init__()
        self.window = config.window
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + config.steps // config.window, config.width))
        self.cls_token = nn.Parameter(torch.empty(1, 1, config.width))
        self.imu_stem = nn.Module()
        self.imu_stem.proj = nn.Linear(config.channels * config.window, config.width, bias=False)
        self.imu_stem.norm_layer = nn.LayerNorm(config.width)

    def forward(self, inputs: Tensor) -> Tensor:
        windows = inputs.unfold(-1, self.window, self.window).transpose(1, 2).flatten(2)
        tokens = self.imu_stem.norm_layer(self.imu_stem.proj(windows))
        return torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1) + self.pos_embed


class TextPreprocessor(nn.Module):
    """Token embeddings with positions: (B, L <= context) ids -> (B, L, D); also holds the causal mask."""

    def __init__(self, config: TextTrunkConfig):
        super().__init__()
        self.token_embedding = nn.Embedding(config.vocab_size, config.width)
        self.pos_embed = nn.Parameter(torch.empty(1, config.context_length, config.width))
        self.register_buffer("mask", torch.full((config.context_length,) * 2, -math.inf).triu(1))

    def forward(self, ids: Tensor) -> Tensor:
        return self.token_embedding(ids) + self.pos_embed[:, : ids.shape[1]]


class Trunk(nn.Module):
    """Pre-norm transformer blocks, (B, L, D) -> (B, L, D)."""

    def __init__(self, config: TrunkConfig):
        super().__init__()
        self.pre_transformer_layer = nn.Sequential(nn.LayerNorm(config.width, eps=1e-6)) if config.pre_norm else None
        last = max(config.num_layers - 1, 1)
        self.blocks = nn.ModuleList(Block(config, config.drop_path * i / last) for i in range(config.num_layers))

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        if self.pre_transformer_layer is not None:
            tokens = self.pre_transformer_layer(tokens)
        for block in self.blocks:
            tokens = block(tokens, mask)
        return tokens


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)); in training a branch is skipped with probability `drop_path`."""

    def __init__(self, config: TrunkConfig, drop_path: float):
        super().__init__()
        self.drop_path = drop_path
        self.attn = Attention(config)
        self.norm_1 = nn.LayerNorm(config.width, eps=1e-6)
        self.mlp = Mlp(config.width)
        self.norm_2 = nn.LayerNorm(config.width, eps=1e-6)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self._drop(self.attn(self.norm_1(x), mask))
        return x + self._drop(self.mlp(self.norm_2(x)))

    def _drop(self, branch: Tensor) -> Tensor:
        """Stochastic depth (Huang et al. 2016): zero whole items, and scale up those that stay."""
        if not self.training or self.drop_path == 0:
            return branch
        keep = 1 - self.drop_path
        return branch * branch.new_empty(len(branch), 1, 1).bernoulli_(keep).div_(keep)


class Attention(nn.Module):
    """Multi-head attention with the parameters of `nn.MultiheadAttention(bias=True, add_bias_kv=config.bias_kv)`."""

    def __init__(self, config: TrunkConfig):
        super().__init__()
        self.num_heads = config.num_heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * config.width, config.width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * config.width))
        for name in ("bias_k", "bias_v"):
            self.register_parameter(name, nn.Parameter(torch.empty(1, 1, config.width)) if config.bias_kv else None)
        self.out_proj = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        query, key, value = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        if self.bias_k is not None:
            key = torch.cat([key, self.bias_k.expand(len(x), -1, -1)], dim=1)
            value = torch.cat([value, self.bias_v.expand(len(x), -1, -1)], dim=1)
        query, key, value = (t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for t in (query, key, value))
        return self.out_proj(F.scaled_dot_product_attention(query, key, value, mask).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Linear to four widths, GELU, back."""

    def __init__(self, width: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Head(nn.Sequential):
    """LayerNorm, token 0, (dropout), projection: (B, L, D) -> (B, joint_dim)."""

    def __init__(self, config: TrunkConfig, joint_dim: int):
        dropout = [] if config.head_dropout is None else [nn.Dropout(config.head_dropout)]
        projection = nn.Linear(config.width, joint_dim, bias=False)
        super().__init__(nn.LayerNorm(config.width, eps=1e-6), nn.Identity(), *dropout, projection)

    def normalise(self, tokens: Tensor, inputs: Tensor) -> Tensor:
        """The tokens after the head's LayerNorm, (B, L, D); the first is the one that `forward` projects."""
        return self[0](tokens)

    def project(self, tokens: Tensor) -> Tensor:
        """Any normalised tokens into the joint space, (..., D) -> (..., joint_dim)."""
        for layer in list(self)[2:]:
            tokens = layer(tokens)
        return tokens

    def forward(self, tokens: Tensor, inputs: Tensor) -> Tensor:
        return self.project(self.normalise(tokens[:, :1], inputs)[:, 0])


class TextHead(nn.Module):
    """As `Head`, read at the end of the text: the position of the highest id."""

    def __init__(self, config: TrunkConfig, joint_dim: int):
        super().__init__()
        self.proj = nn.Sequential(
            nn.LayerNorm(config.width, eps=1e-6), nn.Linear(config.width, joint_dim, bias=False)
        )

    def normalise(self, tokens: Tensor, inputs: Tensor) -> Tensor:
        """The one token that sums up the text, after the LayerNorm, (B, 1, D)."""
        return self.proj[0](tokens[torch.arange(len(tokens), device=tokens.device), inputs.argmax(dim=-1)])[:, None]

    def project(self, tokens: Tensor) -> Tensor:
        return self.proj[1](tokens)

    def forward(self, tokens: Tensor, inputs: Tensor) -> Tensor:
        return self.project(self.normalise(tokens, inputs)[:, 0])


class LogitScale(nn.Module):
    """Multiplies by exp(log_logit_scale), at most `MAX_LOGIT_SCALE`; a fixed scale is a buffer."""

    def __init__(self, scale: float, learn: bool):
        super().__init__()
        log_scale = torch.tensor(math.log(scale))
        if learn:
            self.log_logit_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_logit_scale", log_scale)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.log_logit_scale.exp().clamp(max=MAX_LOGIT_SCALE)


class Normalize(nn.Module):
    """Unit length along the last axis."""

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=-1)


def _preprocessor(name: str, config: TrunkConfig) -> nn.Module:
    if isinstance(config, TextTrunkConfig):
        return TextPreprocessor(config)
    if isinstance(config, ImuTrunkConfig):
        return ImuPreprocessor(config)
    return PatchPreprocessor(config, stem_name="depth_stem" if name == "depth" else "rgbt_stem")


def _postprocessor(config: TrunkConfig) -> nn.Module:
    scale = [] if config.logit_scale is None else [LogitScale(config.logit_scale, config.learn_logit_scale)]
    return nn.Sequential(Normalize(), *scale)


def _init_weights(module: nn.Module) -> None:
    """Matrices keep the variance of what they read, 1 / fan-in; tokens and positions start at 0.02, biases at 0."""
    for name, parameter in module.named_parameters(recurse=False):
        if isinstance(module, (nn.LayerNorm, nn.GroupNorm)) or name == "log_logit_scale":
            continue
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif name.endswith("weight") and not isinstance(module, nn.Embedding):
            nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
        else:
            nn.init.normal_(parameter, std=0.02)
