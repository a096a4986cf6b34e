"""Who may import what: the engine never Slicer, Slicer's process never torch."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

MODULE_FOLDER = Path(__file__).parents[2] / "Med2E3Slicer"
ENGINE = sorted((MODULE_FOLDER / "med2e3").rglob("*.py"))
SLICER_SIDE = [
    MODULE_FOLDER / "Med2E3Slicer.py",
    *sorted((MODULE_FOLDER / "Med2E3SlicerLib").rglob("*.py")),
]
HEAVY = {"torch", "transformers", "onnxruntime", "SimpleITK", "typer", "safetensors"}
HOST = {"slicer", "qt", "ctk", "vtk", "Med2E3SlicerLib"}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return names


def relative(path: Path) -> str:
    return str(path.relative_to(MODULE_FOLDER))


@pytest.mark.parametrize("path", ENGINE, ids=relative)
def test_the_engine_never_imports_slicer_or_qt(path):
    assert not {name.partition(".")[0] for name in imported(path)} & HOST


@pytest.mark.parametrize("path", SLICER_SIDE, ids=relative)
def test_slicers_process_imports_of_the_engine_the_wire_alone(path):
    for name in imported(path):
        assert name.partition(".")[0] not in HEAVY
        if name.partition(".")[0] == "med2e3":
            assert name == "med2e3.wire" or name.startswith("med2e3.wire.")


@pytest.mark.parametrize(
    "path", sorted((MODULE_FOLDER / "med2e3" / "wire").glob("*.py")), ids=relative
)
def test_the_wire_knows_nothing_of_the_rest_of_the_engine(path):
    for name in imported(path):
        assert not name.startswith("med2e3.") or name.startswith("med2e3.wire")


@pytest.mark.parametrize(
    "path", sorted((MODULE_FOLDER / "med2e3" / "remote").glob("*.py")), ids=relative
)
def test_the_worker_of_a_server_needs_no_package(path):
    for name in imported(path):
        top = name.partition(".")[0]
        assert top == "med2e3" or top in sys.stdlib_module_names


@pytest.mark.parametrize("path", [p for p in SLICER_SIDE if "scene" in p.parts], ids=relative)
def test_the_scene_knows_no_widgets(path):
    assert not {name.partition(".")[0] for name in imported(path)} & {"qt", "ctk"}


@pytest.mark.parametrize("path", [p for p in SLICER_SIDE if "panels" in p.parts], ids=relative)
def test_the_panels_touch_no_scene(path):
    assert "mrmlScene" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [*ENGINE, *SLICER_SIDE], ids=relative)
def test_nothing_runs_code_that_came_with_a_model(path):
    source = path.read_text(encoding="utf-8")
    assert not re.search(r"trust_remote_code\s*=\s*True", source)
    assert not re.search(r"\bpickle\b.*\bload", source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert given.get("weights_only") == "True"
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert given.get("allow_pickle", "False") == "False"
