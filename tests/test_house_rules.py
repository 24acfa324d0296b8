"""The rules of the house that a machine can check, over every Python file of the repository.

Each test names the offenders with file and line, so that a failure reads as a list of things to mend.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = sorted((ROOT / "anygen").rglob("*.py"))
SOURCES = sorted(path for name in ("anygen", "tests", "benchmarks", "demos") for path in (ROOT / name).rglob("*.py"))
TEXTS = [*SOURCES, *sorted(ROOT.glob("*.md")), ROOT / "pyproject.toml", ROOT / ".ci" / "run"]

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 80
MAX_ARGUMENTS = 8
VAGUE_NAMES = {"utils.py", "helpers.py", "common.py", "util.py", "helper.py", "misc.py"}
WIDE_SIGNATURES = {
    "anygen/generators/audio_pipeline.py __call__": "the parameters that every diffusers pipeline has",
}
"""Functions with more arguments than that, and why: their signature is somebody else's interface."""
HEAVY = ("torch", "transformers", "diffusers", "accelerate", "peft", "huggingface_hub", "httpx", "av", "soundfile", "scipy")
MUTATORS = {"append", "add", "update", "setdefault", "pop", "popitem", "clear", "extend", "insert", "remove", "discard"}
DESCRIPTIVE_DECORATORS = {"register_to_config"}
"""Decorators that sound like a registration and are none: diffusers' keeps a module's own constructor arguments."""
IMPORT_NAMES = {"pillow": "PIL", "pyyaml": "yaml", "huggingface-hub": "huggingface_hub"}
"""Distributions that are imported by another name than the one they are installed by."""
OPTIONAL_PACKAGES = {"audiocraft", "omegaconf"}
"""Third-party packages that code may import where a user has them, though no extra installs them: audiocraft, and what
its configurations are."""

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITIONS = (*FUNCTIONS, ast.ClassDef)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name, an attribute or a call of one; "" for anything else."""
    if isinstance(node, ast.Call):
        return dotted(node.func)
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def is_command(function: ast.FunctionDef) -> bool:
    """Whether every argument is annotated with a typer option: such a signature is the command's help page."""
    arguments = [*function.args.args, *function.args.kwonlyargs]
    return bool(arguments) and all(a.annotation and "typer." in ast.unparse(a.annotation) for a in arguments)


def test_there_is_something_to_check():
    assert len(PACKAGE) > 10 and Path(__file__).resolve() in SOURCES


def test_files_are_short_and_named_by_their_concept():
    long = [f"{relative(p)}: {n} lines" for p in SOURCES if (n := len(p.read_text().splitlines())) > MAX_FILE_LINES]
    vague = [relative(p) for p in SOURCES if p.name in VAGUE_NAMES]
    assert not long and not vague, f"longer than {MAX_FILE_LINES} lines: {long}; named after nothing: {vague}"


def test_functions_are_short_and_take_few_arguments():
    offenders = []
    for path in SOURCES:
        for function in functions(parsed(path)):
            place = f"{relative(path)}:{function.lineno} {function.name}"
            lines = function.end_lineno - function.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                offenders.append(f"{place}: {lines} lines, at most {MAX_FUNCTION_LINES}")
            args = function.args
            names = [a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs) if a.arg not in ("self", "cls")]
            is_wide = f"{relative(path)} {function.name}" in WIDE_SIGNATURES or is_command(function)
            if len(names) > MAX_ARGUMENTS and not is_wide:
                offenders.append(f"{place}: {len(names)} arguments, at most {MAX_ARGUMENTS}")
    assert not offenders, "\n".join(offenders)


def test_text_is_ascii():
    offenders = []
    for path in TEXTS:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.isascii():
                offenders.append(f"{relative(path)}:{number}: {ascii(line.strip())}")
    assert not offenders, "\n".join(offenders)


def test_nothing_is_registered_by_a_decorator():
    offenders = []
    for path in PACKAGE:
        for node in ast.walk(parsed(path)):
            for decorator in node.decorator_list if isinstance(node, DEFINITIONS) else ():
                name = dotted(decorator).rsplit(".", 1)[-1]
                if "register" in name and name not in DESCRIPTIVE_DECORATORS:
                    offenders.append(f"{relative(path)}:{decorator.lineno} @{dotted(decorator)}")
    assert not offenders, "\n".join(offenders)


def test_modules_only_define():
    """At module level: imports, definitions, assignments, and `if` around those; no calls for their effect, no loops."""
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, *DEFINITIONS, ast.If, ast.Try)
    offenders = []
    for path in PACKAGE:
        for node in parsed(path).body:
            is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if not (is_docstring or isinstance(node, allowed)):
                offenders.append(f"{relative(path)}:{node.lineno} {ast.unparse(node)[:60]}")
    assert not offenders, "\n".join(offenders)


def module_names(tree: ast.Module) -> set[str]:
    """Names that assignments at module level bind."""
    names = set()
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        names |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return names


def state_changes(function: ast.FunctionDef, names: set[str]) -> list[tuple[int, str]]:
    """Places in `function` that rebind or mutate one of the module's `names`."""
    arguments = {a.arg for a in ast.walk(function.args) if isinstance(a, ast.arg)}
    bound = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)} | arguments
    names = names - bound
    found = []
    for node in ast.walk(function):
        if isinstance(node, ast.Global):
            found.append((node.lineno, f"global {', '.join(node.names)}"))
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
            if isinstance(node.value, ast.Name) and node.value.id in names:
                found.append((node.lineno, f"{node.value.id}[...] = "))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
            if isinstance(node.func.value, ast.Name) and node.func.value.id in names:
                found.append((node.lineno, f"{dotted(node)}(...)"))
    return found


def test_module_state_does_not_change():
    offenders = []
    for path in PACKAGE:
        tree = parsed(path)
        names = module_names(tree)
        for function in functions(tree):
            offenders += [f"{relative(path)}:{line} {what}" for line, what in state_changes(function, names)]
    assert not offenders, "\n".join(sorted(set(offenders)))


def test_everything_public_is_documented():
    offenders = []
    for path in PACKAGE:
        tree = parsed(path)
        if not ast.get_docstring(tree):
            offenders.append(f"{relative(path)}: the module")
        for node in tree.body:
            if isinstance(node, DEFINITIONS) and not node.name.startswith("_"):
                if not ast.get_docstring(node):
                    offenders.append(f"{relative(path)}:{node.lineno} {node.name}")
    assert not offenders, "no docstring:\n" + "\n".join(offenders)


def test_no_path_of_somebodys_machine_is_left():
    foreign = re.compile(r"(?<![\w.$}])/(work|home|root|mnt|opt|Users)/")
    offenders = []
    for path in TEXTS:
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if foreign.search(line):
                offenders.append(f"{relative(path)}:{number}: {line.strip()}")
    assert not offenders, "\n".join(offenders)


def test_every_import_is_declared():
    """The package imports the standard library, its dependencies and its extras, nothing that is there by luck."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    distributions = {re.match(r"[\w.-]+", requirement).group().lower() for requirement in requirements}
    declared = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in distributions}
    allowed = declared | OPTIONAL_PACKAGES | set(sys.stdlib_module_names) | {"anygen"}
    offenders = []
    for path in PACKAGE:
        for node in ast.walk(parsed(path)):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module]
            offenders += [f"{relative(path)}:{node.lineno} {m}" for m in modules if m.split(".")[0] not in allowed]
    assert not offenders, "\n".join(offenders)


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_is_light():
    """`import anygen` takes less than 0.3 s (the best of three, against a busy machine) and loads nothing heavy."""
    code = (
        "import sys, time; start = time.perf_counter(); import anygen; seconds = time.perf_counter() - start;"
        f"print(seconds, *[name for name in {HEAVY} if name in sys.modules])"
    )
    outputs = [run_python(code).split() for _ in range(3)]
    assert all(len(output) == 1 for output in outputs), f"loaded by `import anygen`: {outputs[0][1:]}"
    assert min(float(output[0]) for output in outputs) < 0.3


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="needs the processor time of a child process")
def test_help_is_quick_and_light():
    code = f"import sys; from anygen.cli import main; main(['--help']); sys.exit(' '.join(set({HEAVY}) & set(sys.modules)) or None)"
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, "`anygen --help` failed or loaded what stderr lists"
        seconds.append(min(time.perf_counter() - started, usage.ru_utime + usage.ru_stime))
    assert min(seconds) < 1.0
