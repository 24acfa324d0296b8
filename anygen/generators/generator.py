"""What a generator is: a frozen model that turns a condition into pictures, films or sounds.

Steps 8 and 9 of the data flow meet here: an output projector makes a `Condition` (N items), a `Generator` denoises it
into N media. The condition's names and shapes are declared by the generator (`condition_spec`) and nobody else types
them: output projectors build their heads from that declaration.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from anygen.generators.loading import LoadOptions

StepCallback = Callable[[int, int], None]
"""Called after each denoising step with (step, number of steps), counted from 1."""


def is_mask(name: str) -> bool:
    """Whether a condition tensor is a mask (1 where text states count, 0 where they are padding), by its name.

    The one place that says so. Masks are whole numbers: encoders of captions make them, an output projector makes all of
    its states count, and losses between conditions leave them out.
    """
    return "mask" in name


@dataclass(frozen=True)
class Condition:
    """The tensors that a generator takes in place of a prompt, for N items.

    `tensors` maps the generator's own argument names (`prompt_embeds`, ...) to tensors (N, *condition_spec[name]).
    """

    tensors: dict[str, Tensor]

    def __post_init__(self):
        sizes = {name: len(tensor) for name, tensor in self.tensors.items()}
        if not sizes or len(set(sizes.values())) != 1:
            raise ValueError(f"a condition needs one or more tensors of one batch size; found {sizes}")

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def select(self, indices: Sequence[int] | Tensor) -> Condition:
        """The condition of some of the items, in the order of `indices`."""
        index = torch.as_tensor(indices, dtype=torch.long)
        return Condition({name: tensor[index.to(tensor.device)] for name, tensor in self.tensors.items()})

    def to(self, *args, **kwargs) -> Condition:
        """Every tensor moved or cast as by `Tensor.to`."""
        return Condition({name: tensor.to(*args, **kwargs) for name, tensor in self.tensors.items()})

    @staticmethod
    def cat(conditions: Sequence[Condition]) -> Condition:
        """Conditions of several items as one batch."""
        names = conditions[0].tensors
        return Condition({name: torch.cat([condition[name] for condition in conditions]) for name in names})


class Generator(nn.Module, ABC):
    """Contract of every generator; a leaf says how its pipeline is called.

    Sampling is a pure function of (condition, one `torch.Generator` an item, parameters): item i of a batch equals
    item i alone. Parameters are frozen; gradients flow through `denoising_loss` into the condition only.
    """

    modality: str
    """What is made: "image", "video" or "audio"."""
    source: str | None = None
    """Where it was loaded from, a repository or a folder, and is frozen; None for one that is saved with its model."""
    load_options: LoadOptions | None = None
    """How it was loaded from `source`, to be loaded so again; None for one that `load_generator` did not load."""
    is_differentiable: bool = True
    """Whether a learned bridge can be trained onto its condition; False where that is text or token ids."""
    is_voice: bool = False
    """Of sounds: whether it reads a caption aloud, rather than make what the caption tells of."""

    @property
    @abstractmethod
    def condition_spec(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of each condition tensor of one item, e.g. {"prompt_embeds": (77, 768)}."""

    @property
    @abstractmethod
    def default_parameters(self) -> dict[str, int | float]:
        """The sampling parameters that `generate` takes, with the values it uses when none are given."""

    @property
    def settings(self) -> dict[str, int | float]:
        """What it was made with beside its weights, to be made so again."""
        return {}

    @abstractmethod
    def encode_text(self, captions: Sequence[str]) -> Condition:
        """The generator's own reading of captions, tau_X: the target of the alignment loss (survey eq. 4)."""

    def null_condition(self, batch_size: int) -> Condition:
        """The condition of the empty caption: what classifier-free guidance leads away from."""
        return Condition.cat([self.encode_text([""])] * batch_size)

    @abstractmethod
    def encode_media(self, media: Sequence) -> Tensor:
        """Media of this modality -> scaled latents (N, C, ...), what the denoiser is trained on."""

    @abstractmethod
    def generate(
        self,
        condition: Condition,
        *,
        generators: Sequence[torch.Generator],
        negative: Condition | None = None,
        callback: StepCallback | None = None,
        **parameters,
    ) -> list:
        """Denoise N items together.

        `generators`: one seeded generator an item. `negative`: what guidance leads away from, the null condition by
        default. `parameters`: any of `default_parameters`. Returns N PIL images, `Video`s or `Audio`s.
        Raises ValueError for an unknown parameter and ArithmeticError where a result is not finite.
        """

    @abstractmethod
    def denoising_loss(self, latents: Tensor, condition: Condition, *, generator: torch.Generator) -> Tensor:
        """The latent diffusion loss (survey eq. 5) in the scheduler's own prediction type; a scalar.

        `latents` (N, C, ...) as from `encode_media`. Time steps and noise are drawn from `generator`.
        """

    @abstractmethod
    def save_pretrained(self, folder: str | Path) -> None:
        """Write the generator to a folder in the layout of its library."""

    def reference(self) -> dict[str, Any]:
        """Where a generator with a `source` is and how it is loaded from there, as plain data for a model folder."""
        options = self.load_options.to_plain() if self.load_options else {}
        return {"source": self.source, "settings": self.settings} | ({"options": options} if options else {})
