"""Makes `tiny_parts.py` and `tiny_pipelines.py` importable, and writes each class's snapshot once."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "backbones"))


@pytest.fixture(scope="session")
def snapshots(tmp_path_factory):
    """A function from a class's name to the folder of its tiny random snapshot."""
    import tiny_parts
    import tiny_pipelines
    import torch

    folder, made = tmp_path_factory.mktemp("snapshots"), {}

    def snapshot(class_name: str) -> Path:
        if class_name not in made:
            torch.manual_seed(0)
            save = tiny_parts.save_llm if class_name in tiny_parts.LLMS | tiny_parts.SEERS else tiny_pipelines.save_pipeline
            save(class_name, folder / class_name)
            made[class_name] = folder / class_name
        return made[class_name]

    return snapshot
