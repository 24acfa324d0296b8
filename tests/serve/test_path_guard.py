"""Files of one folder: what leads out of it, by dots, by links or by its kind, is refused."""

import os

import pytest
from making import raises_code

from anygen.serve.path_guard import read_file


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "media"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "bell.png").write_bytes(b"bell")
    (root / "deep" / "er" / "cat.png").write_bytes(b"cat")
    (root / "odd %41.png").write_bytes(b"odd")
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "media2").mkdir()
    (tmp_path / "media2" / "near").write_bytes(b"near")
    return root


def read(address, root, max_bytes=100):
    return read_file(address, root=root, max_bytes=max_bytes)


def test_files_inside_are_read(root):
    assert read(f"file://{root}/bell.png", root) == read("bell.png", root) == read("file://bell.png", root) == b"bell"
    assert read("deep/../deep/er/cat.png", root) == b"cat"
    assert read("file://odd%20%2541.png", root) == b"odd"
    (root / "link.png").symlink_to("deep/er/cat.png")
    (root / "folder").symlink_to("deep")
    assert read("link.png", root) == read("folder/er/cat.png", root) == b"cat"


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd", "/etc/passwd", "../secret", "file://../secret", "deep/../../secret", "..%2fsecret",
        "../media2/near", "", ".", "deep", "none.png", "bell.png\0", "bell.png/x", "a" * 5000, "file://", "/dev/zero",
        "/proc/self/environ", "~/.bashrc", "file://localhost/etc/passwd",
    ],
)  # fmt: skip
def test_all_else_is_not(root, address):
    with raises_code("path_not_allowed"):
        read(address, root)


def test_links_that_lead_out_are_refused(root, tmp_path):
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "up").symlink_to(tmp_path)
    (root / "loop").symlink_to("loop")
    for address in ("out", "up/secret", "loop"):
        with raises_code("path_not_allowed"):
            read(address, root)


def test_a_link_put_in_after_the_check_is_not_followed(root, tmp_path, monkeypatch):
    (root / "swapped").symlink_to(tmp_path / "secret")
    monkeypatch.setattr(os.path, "realpath", lambda path: str(path))  # the check saw a plain file
    with raises_code("path_not_allowed"):
        read("swapped", root)


def test_pipes_and_devices_are_refused_at_once(root):
    os.mkfifo(root / "pipe")
    with raises_code("path_not_allowed"):
        read("pipe", root)


def test_size_and_no_root(root):
    (root / "large").write_bytes(bytes(101))
    with raises_code("media_too_large"):
        read("large", root)
    with raises_code("path_not_allowed"):
        read("bell.png", None)
