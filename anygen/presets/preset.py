"""A preset: one composition of published parts, and what it needs. Read from the YAML file of its name in this folder.

Every field of a file is one of `Preset` or `PresetPart`; an unknown or missing key is an error that names file and key.
Memory is computed from the parameter counts that the file states, weights only: activations and caches come on top.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from anygen.errors import AnyGenError

BYTES_PER_PARAMETER = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "int8": 1.0, "int4": 0.5}
"""Of the weights; quantised ones carry scales too, a few per cent more."""
WEIGHTS = ("safetensors", "pickled")
PLACEMENTS = ("together", "offload")
MODALITIES = ("image", "video", "audio")
UNPINNED = "main"
FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class PresetPart:
    """One published part: an LLM, an encoder or a generator."""

    source: str
    """Its repository on the hub, name/repository."""
    revision: str = UNPINNED
    """A commit, 40 hexadecimal digits, or "main" where none is known: then the repository's owner may change it."""
    class_name: str
    """The class of transformers, diffusers or anygen that its configuration names."""
    licence: str
    parameters: dict[str, float]
    """Component -> millions of parameters, as its model card or paper states them."""
    dtype: str = "bfloat16"
    settings: dict[str, float] = field(default_factory=dict)
    """Of a generator: defaults of its sampling parameters, such as the few steps that a distilled model takes."""
    weights: str = "safetensors"
    """How that revision has them, one of `WEIGHTS`. Pickled ones are not read: they have to be saved anew first."""
    note: str = ""
    """What to know before the first download: gated access, what has to be converted, a non-commercial licence."""

    def __post_init__(self):
        if self.source.count("/") != 1:
            raise ValueError(f"source is {self.source!r}; expected name/repository")
        if self.revision != UNPINNED and not re.fullmatch("[0-9a-f]{40}", self.revision):
            raise ValueError(f"revision is {self.revision!r}; expected a commit of 40 hexadecimal digits, or {UNPINNED}")
        if self.dtype not in BYTES_PER_PARAMETER:
            raise ValueError(f"dtype is {self.dtype!r}; expected one of {', '.join(BYTES_PER_PARAMETER)}")
        if self.weights not in WEIGHTS:
            raise ValueError(f"weights is {self.weights!r}; expected one of {', '.join(WEIGHTS)}")
        if not self.parameters:
            raise ValueError("parameters is empty; expected component: millions of parameters")

    @property
    def pinned_source(self) -> str:
        """What `compose` takes: `name/repository@revision`, without a revision where there is none."""
        return self.source if self.revision == UNPINNED else f"{self.source}@{self.revision}"

    @property
    def num_parameters(self) -> float:
        """Parameters of all components."""
        return 1e6 * sum(self.parameters.values())

    def num_bytes(self, dtype: str | None = None) -> float:
        """Bytes of the weights in `dtype`, by default the preset's."""
        return self.num_parameters * BYTES_PER_PARAMETER[dtype or self.dtype]

    @property
    def largest_component_bytes(self) -> float:
        """Bytes of the largest component's weights: what stays on the device when the others are offloaded."""
        return 1e6 * max(self.parameters.values()) * BYTES_PER_PARAMETER[self.dtype]


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A composition for one size of machine. None of them was run here: their shapes were, with tiny random weights."""

    name: str
    summary: str
    machine_gb: int
    """Memory of the GPU that it is meant for, in GB of 10**9 bytes."""
    placement: str = "together"
    """"together": every part stays on the device. "offload": the LLM stays, and of the generators one component at a time
    is there (diffusers' model offload)."""
    bridge: str = "text"
    llm: PresetPart
    generators: dict[str, PresetPart] = field(default_factory=dict)
    """Modality -> generator."""

    def __post_init__(self):
        if self.placement not in PLACEMENTS:
            raise ValueError(f"placement is {self.placement!r}; expected one of {', '.join(PLACEMENTS)}")
        if unknown := sorted(set(self.generators) - set(MODALITIES)):
            raise ValueError(f"generators: unknown modalities {unknown}; expected some of {', '.join(MODALITIES)}")

    @property
    def parts(self) -> dict[str, PresetPart]:
        """Every part by its place in the data flow."""
        return {"llm": self.llm, **self.generators}

    @property
    def memory_gb(self) -> float:
        """GB of weights on the device at the worst moment, under the preset's placement and precisions."""
        stays = self.llm.num_bytes()
        generators = self.generators.values()
        if self.placement == "offload":
            return (stays + max((part.largest_component_bytes for part in generators), default=0.0)) / 1e9
        return (stays + sum(part.num_bytes() for part in generators)) / 1e9

    def compose_arguments(
        self, *, device: str | None = "cuda", sources: Mapping[str, str | Path] | None = None
    ) -> dict[str, Any]:
        """What `AnyGenPipeline.compose` takes: hub ids with revisions, the bridge, precisions, placement and settings.

        `device`: where the weights go, by default a GPU; "cpu" takes float32 and leaves out the offload, which has no
        place to go from there. `sources`: part ("llm", or a modality) -> a folder or repository in the place of the
        preset's. Raises AnyGenError("model_load_error") for a part whose weights are pickled, before anything is fetched.
        """
        from anygen.generators.loading import LoadOptions

        places = {part: each.pinned_source for part, each in self.parts.items()} | dict(sources or {})
        for name, part in self.parts.items():
            if part.weights == "pickled" and name not in (sources or {}):
                raise _pickled(self, name)
        on_cpu = device == "cpu"
        offload = "model" if self.placement == "offload" and not on_cpu else "none"
        options = {
            modality: LoadOptions(
                dtype="float32" if on_cpu else part.dtype, device=device, cpu_offload=offload, settings=part.settings
            )
            for modality, part in self.generators.items()
        }
        place = {} if on_cpu or device is None else {"device_map": device}
        return {
            **places,
            "bridge": self.bridge,
            "llm_options": {"dtype": "float32" if on_cpu else self.llm.dtype, **place},
            "generator_options": options,
        }

    def total_gb(self, dtype: str) -> float:
        """GB of all weights in one precision."""
        return sum(part.num_bytes(dtype) for part in self.parts.values()) / 1e9


def preset_names() -> list[str]:
    """The presets' names, small machines first."""
    names = [path.stem for path in FOLDER.glob("*.yaml")]
    return sorted(names, key=lambda name: (read_preset(name).machine_gb, name))


def read_preset(name: str) -> Preset:
    """The preset of that name. Raises `model_load_error` for an unknown name, and for a file that is not right."""
    if not is_preset(name):
        known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.yaml")))
        raise AnyGenError("model_load_error", f"found the preset {name!r}; expected one of {known}")
    return read_preset_file(FOLDER / f"{name}.yaml")


def is_preset(name: str) -> bool:
    """Whether a preset has that name; a name is a word, never a path."""
    return bool(re.fullmatch("[a-z0-9][a-z0-9-]*", name)) and (FOLDER / f"{name}.yaml").is_file()


def read_preset_file(path: Path) -> Preset:
    """The preset in a file, whose name is the file's. Raises `model_load_error` that names the file and the key."""
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise AnyGenError("model_load_error", f"{path}: expected a YAML file; {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise AnyGenError("model_load_error", f"{path}: found {values!r}; expected keys and values")
    return _build(Preset, values | {"name": path.stem}, where=str(path))


def _build(kind: type, values: dict[str, Any], *, where: str) -> Any:
    """One of the dataclasses above out of a file's values, strictly."""
    known = {each.name: each for each in fields(kind)}
    needed = {name for name, each in known.items() if each.default is MISSING and each.default_factory is MISSING}
    if unknown := sorted(set(values) - set(known)):
        raise AnyGenError("model_load_error", f"{where}: unknown keys {unknown}; expected some of {sorted(known)}")
    if missing := sorted(needed - set(values)):
        raise AnyGenError("model_load_error", f"{where}: the keys {missing} are missing")
    built = dict(values)
    if kind is Preset:
        built["llm"] = _part(values["llm"], where=f"{where}: llm")
    if kind is Preset and isinstance(values.get("generators"), dict):
        built["generators"] = {
            modality: _part(part, where=f"{where}: generators.{modality}") for modality, part in values["generators"].items()
        }
    try:
        for name, value in built.items():
            _check_type(known[name].type, name, value)
        return kind(**built)
    except ValueError as error:
        raise AnyGenError("model_load_error", f"{where}: {error}") from error


def _pickled(preset: Preset, name: str) -> AnyGenError:
    """What to do about a part that is not published as safetensors."""
    part = preset.parts[name]
    found = f"{preset.name}: {name} is {part.pinned_source}, which holds pickled weights alone; expected safetensors"
    advice = (
        f"where you trust its origin, load it with {part.class_name}.from_pretrained and save_pretrained it"
        f"{', with its tokenizer,' if name == 'llm' else ''} in a folder, and compose with that:"
    )
    call = f"compose(**read_preset({preset.name!r}).compose_arguments(sources={{{name!r}: FOLDER}}))"
    return AnyGenError("model_load_error", f"{found}. {advice} {call}")


def _part(values: Any, *, where: str) -> PresetPart:
    if not isinstance(values, dict):
        raise AnyGenError("model_load_error", f"{where}: found {values!r}; expected keys and values")
    return _build(PresetPart, values, where=where)


def _check_type(hint: str, name: str, value: Any) -> None:
    """The few types that a preset's fields have; raises ValueError that names the key."""
    fits = {
        "str": isinstance(value, str),
        "int": isinstance(value, int) and not isinstance(value, bool),
        "dict[str, float]": isinstance(value, dict)
        and all(type(number) in (int, float) and number >= 0 for number in value.values()),
        "dict[str, PresetPart]": isinstance(value, dict),
    }
    if not fits.get(hint, True):
        raise ValueError(f"{name} is {value!r}; expected {hint}")
