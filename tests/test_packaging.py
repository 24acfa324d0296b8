"""What a wheel and a source archive of the repository hold: all that the package needs, and nothing that it does not."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def archives(tmp_path_factory) -> dict[str, set[str]]:
    """The file names in the wheel and in the source archive, built from this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    return {"wheel": set(zipfile.ZipFile(wheel).namelist()), "source": sources}


@pytest.mark.parametrize("kind", ["wheel", "source"])
def test_every_module_and_every_weight_is_in_it(kind, archives):
    weights = [path for path in (ROOT / "anygen" / "nano" / "weights").rglob("*") if path.is_file()]
    modules = (ROOT / "anygen").rglob("*.py")
    presets = (ROOT / "anygen" / "presets").glob("*.yaml")
    wanted = {path.relative_to(ROOT).as_posix() for path in (*modules, *weights, *presets, ROOT / "anygen" / "py.typed")}
    assert any(path.suffix == ".safetensors" for path in weights)
    assert not wanted - archives[kind]


def test_the_wheel_holds_the_package_and_the_licence_only(archives):
    outside = {name for name in archives["wheel"] if not name.startswith(("anygen/", "anygen-"))}
    licences = [name for name in archives["wheel"] if name.endswith("licenses/LICENSE")]
    assert not outside and len(licences) == 1


def test_the_source_archive_can_be_tested(archives):
    assert {"README.md", "LICENSE", "pyproject.toml", "tests/test_packaging.py", "benchmarks/nano.py"} <= archives["source"]


def test_weights_are_small():
    """60 MB in all, and no file of 16 MB or more."""
    weights = list((ROOT / "anygen" / "nano" / "weights").rglob("*.safetensors"))
    sizes = {path.relative_to(ROOT).as_posix(): path.stat().st_size / 1e6 for path in weights}
    assert 0 < sum(sizes.values()) <= 60 and max(sizes.values()) < 16, sizes
