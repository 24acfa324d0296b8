"""Generators that are loaded when they are first used, and leave memory again when others need it.

    AnyGenPipeline.compose(llm=..., image=..., audio=..., max_loaded=1)

    budget = GeneratorBudget(max_loaded=1)
    image = LazyGenerator.from_source("stabilityai/sdxl-turbo", modality="image", budget=budget)

For a machine on which the generators of a pipeline do not fit together. A generator comes back from where it was loaded,
so the same seed gives the same bytes before and after.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from anygen.errors import AnyGenError
from anygen.generators.generator import Condition, Generator, StepCallback
from anygen.generators.loading import LoadOptions, load_generator
from anygen.memory import free_memory


@dataclass(frozen=True, kw_only=True)
class GeneratorHeader:
    """What a pipeline asks of a generator before it uses it; plain data, to be recorded."""

    condition_spec: dict[str, tuple[int, ...]]
    default_parameters: dict[str, int | float]
    settings: dict[str, int | float]
    is_differentiable: bool = True
    is_voice: bool = False
    class_name: str = "Generator"

    @classmethod
    def of(cls, generator: Generator) -> GeneratorHeader:
        """The header of a loaded generator."""
        return cls(
            condition_spec=generator.condition_spec,
            default_parameters=generator.default_parameters,
            settings=generator.settings,
            is_differentiable=generator.is_differentiable,
            is_voice=generator.is_voice,
            class_name=type(generator).__name__,
        )

    @classmethod
    def from_plain(cls, values: Any, *, where: str) -> GeneratorHeader:
        """A header out of JSON. Raises AnyGenError("model_load_error") that names `where`."""
        names = {each.name for each in fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            raise AnyGenError("model_load_error", f"{where}: header is {values!r}; expected the keys {', '.join(sorted(names))}")
        spec = {name: tuple(shape) for name, shape in values["condition_spec"].items()}
        return cls(**values | {"condition_spec": spec})


class GeneratorBudget:
    """At most `max_loaded` of the generators that share it are in memory; the one that was used longest ago leaves.

    Safe in threads: one that is in use is never evicted, and whoever wants another waits until one is free. A thread that
    uses two at a time needs `max_loaded` of 2 or more.
    """

    def __init__(self, *, max_loaded: int):
        if isinstance(max_loaded, bool) or not isinstance(max_loaded, int) or max_loaded < 1:
            raise AnyGenError("invalid_parameter", f"max_loaded: found {max_loaded!r}; expected a whole number of at least 1")
        self.max_loaded = max_loaded
        self.changed = threading.Condition()
        self.loaded: list[LazyGenerator] = []
        """Loaded or loading, the one used longest ago first."""
        self.users: dict[LazyGenerator, int] = {}

    @contextmanager
    def hold(self, generator: LazyGenerator) -> Iterator[None]:
        """Within it `generator` has a place and is not evicted."""
        with self.changed:
            self.changed.wait_for(lambda: generator in self.loaded or self._make_room())
            if generator in self.loaded:
                self.loaded.remove(generator)
            self.loaded.append(generator)
            self.users[generator] = self.users.get(generator, 0) + 1
        try:
            yield
        finally:
            with self.changed:
                self.users[generator] -= 1
                if not self.users[generator] and not generator.is_loaded:  # it failed to load
                    self.loaded.remove(generator)
                self.changed.notify_all()

    def release(self, generator: LazyGenerator) -> None:
        """Give up the place of a generator; waits until it is not in use."""
        with self.changed:
            self.changed.wait_for(lambda: not self.users.get(generator, 0))
            if generator in self.loaded:
                self.loaded.remove(generator)
            generator.drop()
            self.changed.notify_all()

    def _make_room(self) -> bool:
        """Whether there is a place, after evicting what is not in use."""
        for other in [each for each in self.loaded if not self.users.get(each, 0)]:
            if len(self.loaded) < self.max_loaded:
                break
            self.loaded.remove(other)
            other.drop()
        return len(self.loaded) < self.max_loaded


class LazyGenerator(Generator):
    """A generator behind the same contract that is loaded when something is asked of it that its header does not say.

    Args:
        loader: makes the generator, the same one each time.
        modality: what it makes.
        header: recorded by `GeneratorHeader.of`; read from the generator by loading it where none is given.
        budget: shared with other generators; one of its own by default.

    What `to` and the like do to it is done to the generator, now and after each load.
    """

    def __init__(
        self,
        loader: Callable[[], Generator],
        *,
        modality: str,
        header: GeneratorHeader | None = None,
        budget: GeneratorBudget | None = None,
    ):
        super().__init__()
        self.modality, self.loader, self.header = modality, loader, header
        self.budget = budget or GeneratorBudget(max_loaded=1)
        self.lock = threading.Lock()
        self.moves: list[Callable[[Tensor], Tensor]] = []
        self.held: tuple[Generator, ...] = ()
        """The generator, in a tuple so that it is no submodule."""

    @classmethod
    def from_source(
        cls,
        source: str | Path,
        *,
        modality: str,
        options: LoadOptions | None = None,
        header: GeneratorHeader | None = None,
        budget: GeneratorBudget | None = None,
    ) -> Self:
        """One that `load_generator` loads from a folder or a repository of the hub, to which it is referred in a saved model."""
        options = options or LoadOptions()

        def loader() -> Generator:
            return load_generator(source, modality=modality, options=options)

        generator = cls(loader, modality=modality, header=header, budget=budget)
        generator.source, generator.load_options = str(source), options
        return generator

    # Loading

    @property
    def is_loaded(self) -> bool:
        """Whether it is in memory."""
        return bool(self.held)

    def load(self) -> None:
        """Load it now. Raises what the loader raises, and AnyGenError("model_load_error") for another modality."""
        with self.used():
            pass

    def evict(self) -> None:
        """Free its memory, once it is not in use."""
        self.budget.release(self)

    def drop(self) -> None:
        """Let go of the generator; for the budget, which knows that it is not in use."""
        if not self.held:
            return
        self.held = ()
        free_memory()

    @contextmanager
    def used(self) -> Iterator[Generator]:
        """The generator, which stays in memory within."""
        with self.budget.hold(self):
            with self.lock:
                if not self.held:
                    self.held = (self._made(),)
                (generator,) = self.held
            yield generator

    def _made(self) -> Generator:
        generator = self.loader()
        if generator.modality != self.modality:
            detail = f"found a generator of {generator.modality}; expected one of {self.modality}"
            raise AnyGenError("model_load_error", detail)
        for move in self.moves:
            generator._apply(move)
        found = GeneratorHeader.of(generator)
        if self.header is not None and found.condition_spec != self.header.condition_spec:
            detail = f"the recorded header says {self.header.condition_spec}; the generator takes {found.condition_spec}"
            raise AnyGenError("model_load_error", detail)
        self.header = found
        return generator

    def _apply(self, fn, recurse: bool = True) -> nn.Module:
        self.moves.append(fn)
        for generator in self.held:
            generator._apply(fn)
        return self

    # The contract

    def known(self) -> GeneratorHeader:
        """The header, by loading where it was not recorded."""
        if self.header is None:
            self.load()
        return self.header

    @property
    def condition_spec(self) -> dict[str, tuple[int, ...]]:
        return dict(self.known().condition_spec)

    @property
    def default_parameters(self) -> dict[str, int | float]:
        return dict(self.known().default_parameters)

    @property
    def settings(self) -> dict[str, int | float]:
        """As of every generator."""
        return dict(self.known().settings)

    @property
    def is_differentiable(self) -> bool:
        """As of the generator itself."""
        return self.known().is_differentiable

    @property
    def is_voice(self) -> bool:
        """As of the generator itself."""
        return self.known().is_voice

    @property
    def pipeline_components(self) -> dict[str, nn.Module]:
        """None that others could share, since they come and go."""
        return {}

    def encode_text(self, captions: Sequence[str]) -> Condition:
        with self.used() as generator:
            return generator.encode_text(captions)

    def null_condition(self, batch_size: int) -> Condition:
        with self.used() as generator:
            return generator.null_condition(batch_size)

    def encode_media(self, media: Sequence) -> Tensor:
        with self.used() as generator:
            return generator.encode_media(media)

    def generate(
        self,
        condition: Condition,
        *,
        generators: Sequence[torch.Generator],
        negative: Condition | None = None,
        callback: StepCallback | None = None,
        **parameters,
    ) -> list:
        with self.used() as generator:
            return generator.generate(
                condition, generators=generators, negative=negative, callback=callback, **parameters
            )

    def denoising_loss(self, latents: Tensor, condition: Condition, *, generator: torch.Generator) -> Tensor:
        with self.used() as own:
            return own.denoising_loss(latents, condition, generator=generator)

    def reference(self) -> dict[str, Any]:
        """As of every generator, with the header where it is known, so that nothing has to be loaded."""
        options = self.load_options or LoadOptions()
        entry = {"source": self.source, "settings": dict(options.settings), "options": options.to_plain()}
        header = None if self.header is None else asdict(self.header)
        return entry | {"lazy": {"max_loaded": self.budget.max_loaded, "header": header}}

    def save_pretrained(self, folder: str | Path, *, leave_out: Sequence[str] = ()) -> None:
        """Written by the generator itself; give `source` for a reference instead."""
        with self.used() as generator:
            generator.save_pretrained(folder, leave_out=leave_out)
