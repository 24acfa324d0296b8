"""Presets: compositions of published parts for machines of 8, 24 and 80 GB, one YAML file each.

    read_preset("qwen3-24gb") -> Preset, with the arguments that `AnyGenPipeline.compose` takes

None of them was run here. What is tested is their shape: the same classes, composed at tiny size with random weights.
"""

from anygen.presets.preset import Preset, PresetPart, is_preset, preset_names, read_preset, read_preset_file

__all__ = ["Preset", "PresetPart", "is_preset", "preset_names", "read_preset", "read_preset_file"]
