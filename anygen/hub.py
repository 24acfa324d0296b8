"""Where a model is: inside the package, in a folder, or in a repository of the hub. Loads nothing heavy but to fetch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anygen.errors import AnyGenError

HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.jinja", "*.model", "*.md"]
"""What is fetched from the hub: never pickles, never code."""
PICKLED_FILES = ["*.bin", "*.pt", "*.pth", "*.tar"]
"""What is fetched as well where a caller was given leave to read pickled weights."""


def find_folder(source: str | Path, *, allow_pickle: bool = False) -> Path:
    """Where a model is on disk; a repository of the hub is fetched into the hub's cache first.

    `allow_pickle` fetches pickled weights too. Whoever reads them does so with `weights_only=True`.
    """
    if source == "nano":
        return Path(__file__).parent / "nano" / "weights"
    if Path(source).is_dir():
        return Path(source)
    repository, _, revision = str(source).partition("@")
    if isinstance(source, Path) or repository.count("/") != 1 or repository.startswith((".", "/", "~")):
        expected = "'nano', a folder that exists, or a repository of the hub, name/repository"
        raise AnyGenError("model_load_error", f"found no folder {str(source)!r}; expected {expected}")
    return _fetch(repository, revision or None, HUB_FILES + PICKLED_FILES if allow_pickle else HUB_FILES)


def seen_from(folder: Path, source: str) -> str:
    """A source that a file in `folder` names: a path below or beside it made absolute, anything else as it is."""
    nearby = folder / source
    return str(nearby.resolve()) if nearby.is_dir() else source


def _fetch(repository: str, revision: str | None, files: list[str]) -> Path:
    from huggingface_hub import snapshot_download

    with hub_errors(repository):
        return Path(snapshot_download(repository, revision=revision, allow_patterns=files))


@contextmanager
def hub_errors(repository: str) -> Iterator[None]:
    """What the hub raises within, as `model_load_error`, `hub_access_denied` or `hub_unavailable` with the repository."""
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        yield
    except HFValidationError as error:
        raise AnyGenError("model_load_error", f"{repository}: {error}") from error
    except (GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise AnyGenError("hub_access_denied", f"{repository}: {error}; check the name, or log in") from error
    except OSError as error:  # no network, offline mode, or a time-out, and nothing in the cache
        raise AnyGenError("hub_unavailable", f"{repository}: {error}; pass a folder to work offline") from error
