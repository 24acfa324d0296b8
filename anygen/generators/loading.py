"""One generator from wherever it is: a folder, a repository of the hub, or a pipeline that the caller has made.

    load_generator("stabilityai/sdxl-turbo", options=LoadOptions(dtype="float16", device="cuda")) -> ImageGenerator

`LoadOptions` passes on what diffusers can do about memory and speed. Each option is either in effect afterwards or
refused with the reason; none is dropped.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anygen.errors import AnyGenError
from anygen.hub import find_folder

if TYPE_CHECKING:
    from anygen.generators.generator import Generator

DTYPES = ("float32", "float16", "bfloat16")
OFFLOADS = ("none", "model", "sequential", "group")
FEW_STEP_SCHEDULERS = ("LCMScheduler", "TCDScheduler")
"""Schedulers that declare no compatibility and take the place of any that DDIM can take."""
NOT_KEPT = ("settings", "allow_pickle")
"""Options that a reference does not keep: a generator has its settings, and nobody is given leave to read pickles."""
COMPILE_MODES = ("none", "default", "reduce-overhead", "max-autotune")


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How a generator is loaded and run; the defaults change nothing."""

    dtype: str | None = None
    """One of `DTYPES`; float32 where none is given."""
    device: str | None = None
    """"cpu", "cuda", "cuda:1", ...; with an offload, the device that computes."""
    device_map: Mapping[str, Any] = field(default_factory=dict)
    """Component -> the `device_map` of its class's `from_pretrained`, e.g. {"transformer": "auto"}."""
    cpu_offload: str = "none"
    """One of `OFFLOADS`: whole components, single layers one after the other, or groups of layers wait in main memory."""
    quantization: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Component -> its `quantization_config`, e.g. {"transformer": {"quant_method": "bitsandbytes", "load_in_4bit": True}}."""
    attention_backend: str | None = None
    """A name of diffusers' attention backends, e.g. "native", "flash"."""
    compile: str = "none"
    """The mode of `torch.compile` for the denoiser, one of `COMPILE_MODES`; it compiles at the first step."""
    scheduler: str | None = None
    """The class of another scheduler that is compatible with the pipeline's own, e.g. "LCMScheduler"."""
    scheduler_settings: Mapping[str, Any] = field(default_factory=dict)
    """Constructor arguments of that scheduler, over those of the pipeline's own."""
    lora: str | None = None
    """A folder or repository of LoRA weights in safetensors, as of few-step checkpoints (LCM, lightning)."""
    lora_scale: float = 1.0
    """How much of it is added."""
    vae_slicing: bool = False
    """Whether the autoencoder decodes one item at a time."""
    vae_tiling: bool = False
    """Whether the autoencoder decodes tile by tile."""
    allow_pickle: bool = False
    """Whether audiocraft's pickles are read, as weights only. A saved model holds what was read, and passes no leave on."""
    multi_band_diffusion: str | None = None
    """File, folder or repository of MultiBandDiffusion's weights, which decode what audiocraft's MusicGen makes."""
    settings: Mapping[str, int | float] = field(default_factory=dict)
    """Defaults of the sampling parameters, e.g. {"num_inference_steps": 1, "guidance_scale": 0.0} for a turbo model."""

    def __post_init__(self):
        _one_of("dtype", self.dtype, (None, *DTYPES))
        _one_of("cpu_offload", self.cpu_offload, OFFLOADS)
        _one_of("compile", self.compile, COMPILE_MODES)
        for name in ("device_map", "quantization", "scheduler_settings", "settings"):
            if not isinstance(getattr(self, name), Mapping):
                raise _invalid(name, getattr(self, name), "a mapping")
        if self.scheduler_settings and self.scheduler is None:
            raise _invalid("scheduler_settings", dict(self.scheduler_settings), "scheduler to be given as well")
        if self.device_map and self.cpu_offload != "none":
            raise _invalid("device_map", dict(self.device_map), "cpu_offload none: both say where the parts are")

    def to_plain(self) -> dict[str, Any]:
        """What was asked for beyond the defaults, as JSON can hold it, without what a reference does not keep."""
        names = [each.name for each in fields(self) if each.name not in NOT_KEPT]
        default = LoadOptions()
        given = {name: getattr(self, name) for name in names if getattr(self, name) != getattr(default, name)}
        for name in ("lora", "multi_band_diffusion"):
            if name in given and Path(given[name]).exists():
                given[name] = str(Path(given[name]).resolve())
        return {name: plain(value) for name, value in given.items()}

    @classmethod
    def from_plain(cls, values: Any, *, settings: Mapping[str, int | float], where: str) -> LoadOptions:
        """What `to_plain` gave. Raises AnyGenError("model_load_error") that names `where` for anything else."""
        known = {each.name for each in fields(cls)} - set(NOT_KEPT)
        if not isinstance(values, Mapping) or not set(values) <= known:
            expected = f"an object with some of {', '.join(sorted(known))}"
            raise AnyGenError("model_load_error", f"{where}: options is {values!r}; expected {expected}")
        return cls(**values, settings=settings)


def plain(value: Any) -> Any:
    """A value of options as JSON has it: a dtype of torch by its name, a configuration of quantisation as its dict."""
    import torch

    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, (torch.device, Path)):
        return str(value)
    return plain(value.to_dict()) if hasattr(value, "to_dict") else value


def load_generator(source: Any, *, modality: str | None = None, options: LoadOptions | None = None) -> Generator:
    """A generator of a folder, of a repository of the hub ("name/repository@revision"), or of a ready object.

    Args:
        source: a folder or repository of a diffusers pipeline, ours or theirs, or of a model of transformers
            (`transformers_classes`), or of one of audiocraft; a `DiffusionPipeline`; a `Generator`.
        modality: what it has to make, "image", "video" or "audio"; found from the pipeline where none is given.
        options: see `LoadOptions`.

    Raises:
        AnyGenError("model_load_error"): nothing there, classes of somebody else, another modality, a missing part.
        AnyGenError("invalid_parameter"): an option that this pipeline or machine cannot have.
        AnyGenError("hub_unavailable"), AnyGenError("hub_access_denied"): see `find_folder`.
    """
    options = options or LoadOptions()
    generator = _ready(source, options) if not isinstance(source, (str, Path)) else _from_folder(source, options)
    if modality is not None and generator.modality != modality:
        found = type(getattr(generator, "pipeline", generator)).__name__
        detail = f"found a generator of {generator.modality} ({found}); expected one of {modality}"
        raise AnyGenError("model_load_error", detail)
    apply_options(generator, options)
    if isinstance(source, (str, Path)):
        generator.load_options = options
    return generator


def _ready(source: Any, options: LoadOptions) -> Generator:
    """A pipeline or generator that the caller has made."""
    import diffusers
    import torch

    from anygen.generators.diffusion import DiffusionGenerator
    from anygen.generators.generator import Generator

    for name in ("device_map", "quantization"):
        if getattr(options, name):
            raise _invalid(name, dict(getattr(options, name)), "a folder or repository: it applies while weights are read")
    if isinstance(source, diffusers.DiffusionPipeline):
        source = DiffusionGenerator.from_pipeline(source, **options.settings)
    elif not isinstance(source, Generator):
        expected = "a folder, a repository of the hub, a diffusers pipeline or a Generator"
        raise AnyGenError("model_load_error", f"found a {type(source).__name__}; expected {expected}")
    elif options.settings:
        raise _invalid("settings", dict(options.settings), "none for a Generator, which has its own")
    if options.dtype:
        source.to(getattr(torch, options.dtype))
    return source


def _from_folder(source: str | Path, options: LoadOptions) -> Generator:
    """A folder on disk or fetched from the hub."""
    import torch

    from anygen.generators.audiocraft_folder import is_audiocraft_folder
    from anygen.generators.diffusion import DiffusionGenerator
    from anygen.generators.pipeline_folder import load_pipeline, read_index
    from anygen.generators.transformers_folder import is_transformers_folder

    folder = find_folder(source, allow_pickle=options.allow_pickle)
    # facebook/musicgen-small holds the model for transformers too, which needs no pickles.
    if is_audiocraft_folder(folder) and (options.multi_band_diffusion or not is_transformers_folder(folder)):
        return _from_audiocraft(folder, options)
    if is_transformers_folder(folder):
        return _from_transformers(folder, options)
    components = [name for name, entry in read_index(folder).items() if isinstance(entry, list)]
    more: dict[str, dict[str, Any]] = {}
    for option, argument in (("device_map", "device_map"), ("quantization", "quantization_config")):
        for name, value in getattr(options, option).items():
            if name not in components:
                raise _invalid(f"{option}[{name!r}]", name, f"one of {', '.join(components)}")
            more.setdefault(name, {})[argument] = dict(value) if isinstance(value, Mapping) else value
    dtype = getattr(torch, options.dtype or "float32")
    try:
        pipeline, settings = load_pipeline(folder, parts={}, torch_dtype=dtype, more=more)
    except (ImportError, ValueError, RuntimeError, OSError, AssertionError) as error:  # torch asserts its devices
        raise AnyGenError("model_load_error", f"{folder}: {error}") from error
    return DiffusionGenerator.from_pipeline(pipeline, **settings | dict(options.settings))


def _from_transformers(folder: Path, options: LoadOptions) -> Generator:
    """A model of transformers, which is the one component "model" of its folder."""
    import torch

    from anygen.generators.transformers_folder import load_transformers

    loading: dict[str, Any] = {"dtype": getattr(torch, options.dtype or "float32")}
    for name in ("device_map", "quantization"):
        if others := sorted(set(getattr(options, name)) - {"model"}):
            raise _invalid(name, others, "the one component model: this is a folder of transformers")
    if options.device_map:
        loading["device_map"] = options.device_map["model"]
    if options.quantization:
        from transformers.quantizers.auto import AutoQuantizationConfig

        try:
            loading["quantization_config"] = AutoQuantizationConfig.from_dict(dict(options.quantization["model"]))
        except (ImportError, ValueError) as error:
            raise _invalid("quantization", dict(options.quantization), f"one that can be had here ({error})") from error
    return load_transformers(folder, settings=options.settings, **loading)


def _from_audiocraft(folder: Path, options: LoadOptions) -> Generator:
    """A model of an installed audiocraft."""
    import torch

    from anygen.generators.audiocraft import AudiocraftGenerator
    from anygen.generators.transformers_folder import read_settings

    for name in ("device_map", "quantization"):
        if getattr(options, name):
            raise _invalid(name, dict(getattr(options, name)), "none: audiocraft reads its weights whole")
    return AudiocraftGenerator.from_folder(
        folder,
        settings=read_settings(folder) | dict(options.settings),
        dtype=getattr(torch, options.dtype or "float32"),
        allow_pickle=options.allow_pickle,
        multi_band_diffusion=options.multi_band_diffusion,
    )


def apply_options(generator: Generator, options: LoadOptions) -> None:
    """What can be set once the weights are there; the device comes last."""
    from anygen.generators.audiocraft import AudiocraftGenerator

    pipeline = getattr(generator, "pipeline", None)
    asked = [
        name
        for name in ("scheduler", "attention_backend", "lora", "vae_slicing", "vae_tiling")
        if getattr(options, name)
    ]
    asked += [name for name in ("cpu_offload", "compile") if getattr(options, name) != "none"]
    if pipeline is None and asked:
        raise _invalid(asked[0], getattr(options, asked[0]), f"a diffusers pipeline; found {type(generator).__name__}")
    if options.multi_band_diffusion and not isinstance(generator, AudiocraftGenerator):
        expected = f"a model of audiocraft; found {type(generator).__name__}"
        raise _invalid("multi_band_diffusion", options.multi_band_diffusion, expected)
    if options.scheduler:
        pipeline.scheduler = chosen_scheduler(pipeline, options.scheduler, options.scheduler_settings)
    if options.lora:
        _add_lora(generator, options.lora, options.lora_scale)
    if options.attention_backend:
        _set_attention(pipeline, options.attention_backend)
    for option, method in (("vae_slicing", "enable_slicing"), ("vae_tiling", "enable_tiling")):
        if getattr(options, option):
            _set_on_vae(pipeline, option, method)
    if options.compile != "none":
        from anygen.generators.conditions import denoiser_of

        denoiser_of(pipeline).compile(mode=None if options.compile == "default" else options.compile)
    if options.cpu_offload != "none":
        _offload(pipeline, options)
    elif options.device and not options.device_map:
        _move(generator, options.device)


def chosen_scheduler(pipeline, name: str, settings: Mapping[str, Any]):
    """Another scheduler with the configuration of the pipeline's own, where that one calls it compatible."""
    import diffusers

    own = type(pipeline.scheduler).__name__
    classes = {found.__name__: found for found in pipeline.scheduler.compatibles}
    if "DDIMScheduler" in classes:
        classes |= {each: getattr(diffusers, each) for each in FEW_STEP_SCHEDULERS}
    if name not in classes:
        raise _invalid("scheduler", name, f"one that {own} is compatible with: {', '.join(sorted(classes))}")
    known = set(inspect.signature(classes[name].__init__).parameters) - {"self"}
    for unknown in sorted(set(settings) - known):
        raise _invalid(f"scheduler_settings[{unknown!r}]", unknown, f"an argument of {name}: {', '.join(sorted(known))}")
    try:
        return classes[name].from_config(pipeline.scheduler.config, **settings)
    except (ImportError, ValueError) as error:  # a scheduler may need a package of its own
        raise _invalid("scheduler", name, f"a scheduler that can be made here ({error})") from error


def _add_lora(generator: Generator, source: str, scale: float) -> None:
    """Load LoRA weights into the pipeline, switched on, frozen."""
    pipeline, folder = generator.pipeline, find_folder(source)
    if not hasattr(pipeline, "load_lora_weights"):
        raise _invalid("lora", source, f"none: {type(pipeline).__name__} has no load_lora_weights")
    found = sorted(path.name for path in folder.glob("*.safetensors"))
    if len(found) != 1:
        raise _invalid("lora", source, f"a folder with one file of safetensors; it holds {', '.join(found) or 'none'}")
    try:
        pipeline.load_lora_weights(folder, weight_name=found[0], adapter_name="lora", use_safetensors=True)
        active = pipeline.get_active_adapters()
        if "lora" not in active:
            raise ValueError("none of its weights belong to a part of this pipeline")
        pipeline.set_adapters(["lora"], adapter_weights=[scale])
    except (RuntimeError, ValueError, ImportError, OSError) as error:
        raise _invalid("lora", source, f"weights for {type(pipeline).__name__} ({error})") from error
    generator.requires_grad_(False)


def _set_attention(pipeline, backend: str) -> None:
    from anygen.generators.conditions import denoiser_of

    denoiser = denoiser_of(pipeline)
    if not any(hasattr(getattr(part, "processor", None), "_attention_backend") for part in denoiser.modules()):
        reason = f"none: the attention of {type(denoiser).__name__} has no choice of backends"
        raise _invalid("attention_backend", backend, reason)
    try:
        denoiser.set_attention_backend(backend)
    except (ValueError, RuntimeError, ImportError) as error:
        raise _invalid("attention_backend", backend, f"a backend that can be used here ({error})") from error


def _set_on_vae(pipeline, option: str, method: str) -> None:
    vae = getattr(pipeline, "vae", None)
    if not hasattr(vae, method):
        raise _invalid(option, True, f"false: {type(vae).__name__} has no {method}")
    try:
        getattr(vae, method)()
    except NotImplementedError as error:
        raise _invalid(option, True, f"false: {error}") from error


def _offload(pipeline, options: LoadOptions) -> None:
    import torch

    device = options.device
    if device is None:
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        if found is None:
            raise _invalid("cpu_offload", options.cpu_offload, "none on a machine without an accelerator")
        device = found.type
    if options.cpu_offload == "sequential" and torch.device(device).type == "cpu":
        raise _invalid("cpu_offload", "sequential", "another device than cpu, where layers wait, or another offload")
    try:
        if options.cpu_offload == "model":
            pipeline.enable_model_cpu_offload(device=device)
        elif options.cpu_offload == "sequential":
            pipeline.enable_sequential_cpu_offload(device=device)
        else:
            pipeline.enable_group_offload(onload_device=torch.device(device), offload_type="leaf_level")
    except (RuntimeError, ValueError, ImportError) as error:
        raise _invalid("cpu_offload", options.cpu_offload, f"an offload that can be had here ({error})") from error


def _move(generator: Generator, device: str) -> None:
    try:
        generator.to(device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for the device
        raise _invalid("device", device, f"a device of this machine ({error})") from error


def _one_of(name: str, value: Any, choices: tuple) -> None:
    if value not in choices:
        raise _invalid(name, value, f"one of {', '.join(str(choice) for choice in choices)}")


def _invalid(name: str, found: Any, expected: str) -> AnyGenError:
    return AnyGenError("invalid_parameter", f"{name}: found {found!r}; expected {expected}", where=name, expected=expected)
