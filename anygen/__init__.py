"""anygen: any mix of text, images, video and audio in; any mix of them out.

The public names, each loaded when it is first used, so that `import anygen` costs nothing. Start reading in `model.py`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anygen.errors import AnyGenError
    from anygen.media.types import Audio, Video
    from anygen.model import AnyGenConfig, AnyGenModel
    from anygen.outputs import AnyGenOutput, OutputPart, Signal
    from anygen.pipeline import AnyGenPipeline
    from anygen.stream import Finished, GenerationStarted, GenerationStep, MediumAsked, MediumReady, TextDelta

_HOMES = {
    "AnyGenPipeline": "anygen.pipeline",
    "AnyGenModel": "anygen.model",
    "AnyGenConfig": "anygen.model",
    "AnyGenOutput": "anygen.outputs",
    "OutputPart": "anygen.outputs",
    "Signal": "anygen.outputs",
    "AnyGenError": "anygen.errors",
    "Audio": "anygen.media.types",
    "Video": "anygen.media.types",
    "TextDelta": "anygen.stream",
    "GenerationStarted": "anygen.stream",
    "GenerationStep": "anygen.stream",
    "MediumAsked": "anygen.stream",
    "MediumReady": "anygen.stream",
    "Finished": "anygen.stream",
}

__all__ = [
    "AnyGenConfig",
    "AnyGenError",
    "AnyGenModel",
    "AnyGenOutput",
    "AnyGenPipeline",
    "Audio",
    "Finished",
    "GenerationStarted",
    "GenerationStep",
    "MediumAsked",
    "MediumReady",
    "OutputPart",
    "Signal",
    "TextDelta",
    "Video",
    "__version__",
]


def __getattr__(name: str):
    if name == "__version__":
        from importlib.metadata import version

        return version("anygen")
    if name not in _HOMES:
        raise AttributeError(f"module 'anygen' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
