"""The trained adapters on both sides of the LLM, looked up by name in two dicts.

Input projectors stand between an encoder and the LLM (step 4 of the data flow), output projectors between the LLM's
signal states and a generator (step 8).
"""

from dataclasses import replace

from anygen.errors import AnyGenError
from anygen.projectors.abstractors import ConvolutionProjector, CrossAttentionProjector
from anygen.projectors.expand import ExpandProjector
from anygen.projectors.input import (
    InputProjector,
    InputProjectorConfig,
    LinearProjector,
    MLPProjector,
    TransformerInputProjector,
)
from anygen.projectors.merging import (
    AveragePoolProjector,
    ConcatProjector,
    GridProjector,
    PixelShuffleProjector,
    SpaceTimePoolProjector,
)
from anygen.projectors.output import OutputProjector, OutputProjectorConfig, TransformerProjector
from anygen.projectors.perceiver import PerceiverProjector
from anygen.projectors.qformer import QFormerProjector

INPUT_PROJECTORS: dict[str, type[InputProjector]] = {
    "linear": LinearProjector,
    "mlp": MLPProjector,
    "transformer": TransformerInputProjector,
    "perceiver": PerceiverProjector,
    "qformer": QFormerProjector,
    "cross_attention": CrossAttentionProjector,
    "convolution": ConvolutionProjector,
    "expand": ExpandProjector,
    "concat": ConcatProjector,
    "pixel_shuffle": PixelShuffleProjector,
    "average_pool": AveragePoolProjector,
    "space_time_pool": SpaceTimePoolProjector,
}
OUTPUT_PROJECTORS: dict[str, type[OutputProjector]] = {"transformer": TransformerProjector}


def build_input_projector(
    config: InputProjectorConfig, *, in_dim: int, out_dim: int, grid: tuple[int, ...] | None = None
) -> InputProjector:
    """The input projector that `config.type` names.

    Args:
        config: which, and its own settings.
        in_dim: width of the encoder's tokens.
        out_dim: width of the LLM.
        grid: `Encoder.grid` of the modality; its rows and columns are those of projectors on a grid unless `config` has some.

    Raises:
        AnyGenError: `model_load_error` for a projector on a grid and tokens that lie on none.
    """
    projector_class = _look_up(INPUT_PROJECTORS, config.type)
    if grid is not None and config.grid is None and issubclass(projector_class, GridProjector):
        if len(grid) < 2:
            detail = f"{config.type} joins tokens of a grid; found a row of {grid[0]}; read patches, or set `grid`"
            raise AnyGenError("model_load_error", detail)
        config = replace(config, grid=tuple(grid[-2:]))
    return projector_class(config, in_dim=in_dim, out_dim=out_dim)


def build_output_projector(
    config: OutputProjectorConfig, *, in_dim: int, condition_spec: dict[str, tuple[int, ...]]
) -> OutputProjector:
    """The output projector that `config.type` names; widths are those of the LLM and of the generator's condition."""
    return _look_up(OUTPUT_PROJECTORS, config.type)(config, in_dim=in_dim, condition_spec=condition_spec)


def _look_up(classes: dict, name: str) -> type:
    if name not in classes:
        raise ValueError(f"found the projector type {name!r}; expected one of {', '.join(classes)}")
    return classes[name]
