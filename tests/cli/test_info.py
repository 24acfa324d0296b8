"""`anygen info`: the table, the record, and that neither loads a library."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import synthetic_checkpoints as synthetic

from anygen.cli import main

LIGHT = """
import sys
from anygen.cli import main
status = main(["info", "nano"])
heavy = {"torch", "transformers", "diffusers", "numpy", "safetensors", "yaml"} & set(sys.modules)
sys.exit(f"status {status}, loaded {heavy}" if status or heavy - {"yaml"} else 0)
"""


def test_nano_is_told_without_loading_a_library():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "memory of the weights: float32 0.12 GB" in done.stdout and "int4" in done.stdout
    assert "encoder 128 -> input_projectors/image 128" in done.stdout and "MISMATCH" not in done.stdout


def test_a_published_checkpoint_with_a_mismatch_and_licences(tmp_path, capsys):
    synthetic.write_legacy(tmp_path)
    assert main(["info", str(tmp_path)]) == 0
    output = capsys.readouterr().out
    assert "CC-BY-NC-SA 4.0" in output and "frozen, not in the files" in output
    source = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    assert f"MISMATCH: output_projector.image gives 10; {source} takes 768" in output
    assert main(["info", str(tmp_path), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["kind"] == "nextgpt-legacy"
    joint = next(j for j in record["joints"] if j["right"] == source)
    assert joint == {
        "left": "output_projector.image", "left_width": 10, "right": source, "right_width": 768, "fits": False
    }  # fmt: skip
    assert record["memory_gb"]["float32"] == round(4 * record["num_parameters"] / 1e9, 3)


def test_a_presets_name_shows_the_preset(capsys):
    assert main(["info", "pocket-8gb"]) == 0
    output = capsys.readouterr().out
    assert "Qwen/Qwen3-0.6B" in output and "not run here" in output


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub(folder, asked):
    """The hub's three answers that are needed, for the repository someone/model: (method, file, bytes sent) in `asked`."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path.startswith("/api/models/someone/model"):
                names = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]
                listed = [{"rfilename": name} for name in names]
                return self.send(json.dumps({"id": "someone/model", "sha": COMMIT, "siblings": listed}).encode())
            name = self.path.partition("?")[0].removeprefix(f"/someone/model/resolve/{COMMIT}/")
            if not (folder / name).is_file():
                return self.send(b"{}", status=404)
            data, status = (folder / name).read_bytes(), 200
            if given := self.headers.get("range"):
                first, last = given.removeprefix("bytes=").split("-")
                data, status = data[int(first) : int(last or len(data)) + 1], 206
            asked.append((self.command, name, len(data)))
            self.send(data, status=status)

        do_HEAD = do_GET

        def send(self, data, *, status=200):
            self.send_response(status)
            for name, value in (("Content-Length", len(data)), ("ETag", f'"{len(data)}"'), ("X-Repo-Commit", COMMIT)):
                self.send_header(name, str(value))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def test_of_a_repository_no_weights_are_fetched(tmp_path):
    import torch
    from safetensors.torch import save_file

    folder, asked = tmp_path / "model", []
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    save_file({"weight": torch.zeros(1000, 1000, dtype=torch.float16)}, folder / "model.safetensors")
    with hub(folder, asked) as address:
        more = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0", "NO_PROXY": "*"}
        command = [sys.executable, "-c", "import sys; from anygen.cli import main; sys.exit(main(sys.argv[1:]))"]
        command += ["info", "someone/model", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | more, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (part,) = found["parts"]
    assert (found["num_parameters"], part["num_bytes"], part["licence"]) == (1_000_000, 2_000_000, "mit")
    sent = {name: size for method, name, size in asked if method == "GET"}
    assert set(sent) == {"config.json", "README.md", "model.safetensors"} and sent["model.safetensors"] <= 100_001
