"""The shape of each preset: tiny random snapshots of the very classes that it names."""

import pytest

from anygen.inspection.inventory import read_inventory
from anygen.presets import preset_names, read_preset


@pytest.mark.parametrize("name", preset_names())
def test_snapshots_are_of_the_named_classes_and_their_widths_meet(name, snapshots):
    for place, part in read_preset(name).parts.items():
        found = read_inventory(snapshots(part.class_name))
        assert found.kind == ("transformers" if place == "llm" else "diffusers") and not found.mismatches, part.class_name
        if place == "llm":
            assert found.parts[0].class_name.split(".")[0] == part.class_name
        else:
            assert found.joints, part.class_name
