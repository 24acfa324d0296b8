"""A generator that finds instead of making: the item of an index that is nearest to what the LLM asks for.

    caption --text encoder--> embedding (D_joint,) --cosine--> nearest item | below `min_similarity`: `otherwise`

Alone it always answers with the nearest item. With `otherwise` it is GILL's decision between retrieving and
generating: one condition holds what both take, so a learned bridge can be trained towards both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anygen.encoders.encoder import Encoder, config_from_dict, read_json
from anygen.errors import AnyGenError
from anygen.generators.generator import Condition, Generator, StepCallback
from anygen.retrieval.build import joint_encoder
from anygen.retrieval.index import Match, MediaIndex

CONFIG_FILE = "retrieval.json"
EMBEDDING = "retrieval_embedding"
"""The name of what is looked up, among a condition's tensors."""
PREFIX = "index:"
"""What a source begins with that names an index."""


@dataclass(frozen=True, kw_only=True)
class Retrieve:
    """For `compose(retrieve={"image": Retrieve(...)})`: look in an index first, and make what is not near."""

    index: str | Path
    """The folder that `anygen index` wrote."""
    min_similarity: float
    """Cosine between caption and medium, from -1 to 1, below which the medium is made. It depends on the encoder: look
    at `RetrievalGenerator.find` for a few captions first."""


@dataclass(frozen=True, kw_only=True)
class RetrievalConfig:
    """What retrieval.json holds."""

    index: str
    modality: str
    min_similarity: float | None = None


class RetrievalGenerator(Generator):
    """Finds media of one modality in an index.

    Args:
        index: where an index is, or the index.
        modality: what is looked for.
        encoder: the encoder that the index was built with; loaded from where the index says by default.
        otherwise: what makes a medium when none is near enough.
        min_similarity: how near that is; given with `otherwise` and only with it.

    Raises:
        AnyGenError: `model_load_error` for an index of another encoder, or without such media; `invalid_parameter`.
    """

    def __init__(
        self,
        index: str | Path | MediaIndex,
        *,
        modality: str,
        encoder: Encoder | None = None,
        otherwise: Generator | None = None,
        min_similarity: float | None = None,
    ):
        super().__init__()
        if (otherwise is None) != (min_similarity is None):
            raise AnyGenError(
                "invalid_parameter", "found one of otherwise and min_similarity; expected both or neither"
            )
        if min_similarity is not None and not -1 <= min_similarity <= 1:
            raise AnyGenError(
                "invalid_parameter", f"min_similarity: found {min_similarity}; expected a cosine, from -1 to 1"
            )
        self.place = None if isinstance(index, MediaIndex) else str(Path(index).resolve())
        self.index = index if isinstance(index, MediaIndex) else MediaIndex.load(index)
        self.encoder = encoder or joint_encoder(self.index.config.encoder)
        self.index.check_encoder(self.encoder)
        self.index.nearest(torch.zeros(1, self.encoder.joint_dim), modality=modality)  # has it such media?
        self.modality, self.otherwise, self.min_similarity = modality, otherwise, min_similarity
        self.requires_grad_(False).eval()

    @property
    def condition_spec(self) -> dict[str, tuple[int, ...]]:
        others = {} if self.otherwise is None else self.otherwise.condition_spec
        return {**others, EMBEDDING: (self.encoder.joint_dim,)}

    @property
    def default_parameters(self) -> dict[str, int | float]:
        return {} if self.otherwise is None else self.otherwise.default_parameters

    @property
    def settings(self) -> dict[str, int | float]:
        """As of every generator; all that there is stands in retrieval.json."""
        return {}

    @property
    def pipeline_components(self) -> dict[str, torch.nn.Module]:
        """None that others could share."""
        return {}

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> Condition:
        inputs = self.encoder.preprocess("text", list(captions)).to(next(self.encoder.parameters()).device)
        embedding = {EMBEDDING: self.encoder.embed("text", inputs)}
        return Condition(
            embedding if self.otherwise is None else self.otherwise.encode_text(captions).tensors | embedding
        )

    def encode_media(self, media: Sequence) -> Tensor:
        return self._maker().encode_media(media)

    def denoising_loss(self, latents: Tensor, condition: Condition, *, generator: torch.Generator) -> Tensor:
        return self._maker().denoising_loss(latents, self._without_embedding(condition), generator=generator)

    def find(self, condition: Condition) -> list[Match]:
        """The nearest item for each item of a condition, and how near it is, e.g. of `part.signal.condition`."""
        vectors = torch.nn.functional.normalize(condition[EMBEDDING].float(), dim=-1)
        return self.index.nearest(vectors, modality=self.modality)

    def generate(
        self,
        condition: Condition,
        *,
        generators: Sequence[torch.Generator],
        negative: Condition | None = None,
        callback: StepCallback | None = None,
        **parameters,
    ) -> list:
        """N media: found, or made with `parameters` where none is near. Seeds matter to those that are made."""
        if unknown := sorted(set(parameters) - set(self.default_parameters)):
            raise ValueError(
                f"unknown parameters {unknown} for {self.modality}; it takes {', '.join(self.default_parameters)}"
            )
        matches = self.find(condition)
        made = [
            i
            for i, match in enumerate(matches)
            if self.otherwise is not None and match.similarity < self.min_similarity
        ]
        media: list[Any] = [None if i in made else self.index.open(match.item) for i, match in enumerate(matches)]
        if made:
            fresh = self.otherwise.generate(
                self._without_embedding(condition.select(made)),
                negative=None if negative is None else self._without_embedding(negative.select(made)),
                generators=[generators[i] for i in made],
                callback=callback,
                **parameters,
            )
            for i, medium in zip(made, fresh, strict=True):
                media[i] = medium
        elif callback:
            callback(1, 1)
        return media

    def save_pretrained(self, folder: str | Path, *, leave_out: Sequence[str] = ()) -> None:
        """Write where the index is, and the other generator. Raises `storage_error` for an index that is in memory
        alone."""
        from anygen.generators import save_generators

        if self.place is None:
            raise AnyGenError(
                "storage_error", "the index is in memory alone; expected one that was saved, given by its folder"
            )
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        config = {"index": self.place, "modality": self.modality, "min_similarity": self.min_similarity}
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        if self.otherwise is not None:
            save_generators({self.modality: self.otherwise}, folder / "otherwise")

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, parts: Mapping[str, Any] | None = None) -> RetrievalGenerator:
        """Read what `save_pretrained` wrote. Raises `model_load_error`."""
        from anygen.generators import load_generators

        path = Path(folder) / CONFIG_FILE
        config = config_from_dict(RetrievalConfig, read_json(path), where=str(path))
        if not Path(config.index).is_dir():
            raise AnyGenError(
                "model_load_error", f"{path}: found no index at {config.index}; build it there, or change the path"
            )
        others = load_generators(Path(folder) / "otherwise") if config.min_similarity is not None else {}
        return cls(
            config.index,
            modality=config.modality,
            otherwise=others.get(config.modality),
            min_similarity=config.min_similarity,
        )

    def _maker(self) -> Generator:
        if self.otherwise is None:
            raise AnyGenError(
                "modality_not_supported", "an index alone has no latents; expected a generator beside it for training"
            )
        return self.otherwise

    @staticmethod
    def _without_embedding(condition: Condition) -> Condition:
        return Condition({name: tensor for name, tensor in condition.tensors.items() if name != EMBEDDING})


def is_index(source: Any) -> bool:
    """Whether a source names an index."""
    return isinstance(source, str) and source.startswith(PREFIX)
