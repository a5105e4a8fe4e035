"""Imports point down only. Each offender is named by file and line, with what it imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import posekit

BASE = {
    "errors", "files", "machine", "skeletons", "geometry", "images", "matlab", "people", "weights", "choices",
    "command_line", "tables",
}  # fmt: skip
TASKS = {"tasks.pose", "tasks.classifier", "tasks.person_finder"}
CORE = BASE | {"heatmaps", "losses", "metrics", "models", "data", "synthetic", "drawing", "scoring", "prediction", "training"}

# What each room may import from posekit, besides itself.
MAY_IMPORT = {
    **dict.fromkeys(BASE, BASE),
    "heatmaps": BASE,
    "losses": {"errors"},
    "metrics": BASE,
    "models": BASE | {"metrics"},
    "data": BASE | {"metrics"},
    "synthetic": BASE,
    "drawing": BASE | {"heatmaps", "losses", "metrics"},
    "scoring": BASE | {"metrics", "data", "drawing"},
    "prediction": BASE | {"heatmaps", "metrics", "models", "data", "drawing", "scoring"},
    "training": BASE | {"models", "data", "drawing"},
    "tasks": {"errors"},  # the list of tasks, in tasks/__init__.py
    **dict.fromkeys(TASKS, CORE | {"tasks"}),  # no task imports another
    "lab": CORE | TASKS | {"tasks"},
    "cli": CORE | TASKS | {"tasks", "lab"},
}
# Packages that a room does without, so that it stays quick to import and easy to test.
DOES_WITHOUT = {
    "errors": {"numpy", "torch", "scipy"},
    "files": {"numpy", "torch", "scipy"},
    "tables": {"numpy", "torch", "scipy"},
    "skeletons": {"torch", "scipy"},
    "geometry": {"torch", "scipy"},
    "images": {"torch", "scipy"},
    "people": {"torch", "scipy"},
    "matlab": {"torch"},
    "metrics": {"torch"},
    "scoring": {"torch"},
    "synthetic": {"torch"},
    "tasks": {"numpy", "torch", "scipy"},
}
# Names that the package itself offers, and the room they come from.
OFFERED = {
    "load": "prediction", "Predictor": "prediction", "Pose": "prediction", "PoseDetector": "prediction",
    "OnnxDetector": "prediction", "TestTimeAugmentation": "prediction", "Box": "geometry",
}  # fmt: skip


def find_offenders(package: Path) -> list[str]:
    """ "file:line: what is wrong" for every import in the package that breaks a rule."""
    return [
        f"{path.relative_to(package.parent).as_posix()}:{line}: {problem}"
        for path in sorted(package.rglob("*.py"))
        for line, problem in _problems(path, path.relative_to(package).with_suffix("").parts)
    ]


def _problems(path: Path, parts: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    room = _room(parts)
    if room == "__init__":  # the package's face offers what lies above
        return
    if room not in MAY_IMPORT:
        yield 1, f"the room {room} is not in the table of layers"
        return
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    at_module_level = {id(node) for node in _module_level(tree)}
    for node in ast.walk(tree):
        for module in _imported(node, parts):
            problem = _problem(room, parts, module, at_module_level=id(node) in at_module_level)
            if problem:
                yield node.lineno, problem


def _room(parts: tuple[str, ...]) -> str:
    """First folder or file below the package; each task is a room of its own."""
    if parts[0] == "tasks" and len(parts) > 1 and f"tasks.{parts[1]}" in TASKS:
        return f"tasks.{parts[1]}"
    return parts[0]


def _problem(room: str, parts: tuple[str, ...], module: str, *, at_module_level: bool) -> str | None:
    package, *inside = module.split(".")
    if package == "posekit" and inside:
        other = OFFERED.get(inside[0]) or _room(tuple(inside))
        if other in MAY_IMPORT and other not in MAY_IMPORT[room] | {room}:
            return f"{room} may not import {other}"
        if room == other == "cli" and len(inside) > 1 and inside[1] != parts[1]:
            return f"the command {parts[1]} may not import the command {inside[1]}"
        return None
    if package in DOES_WITHOUT.get(room, ()):
        return f"{room} does without {package}"
    if package == "cv2" and room != "images":
        return "OpenCV is imported from posekit.images"
    if package == "matplotlib" and at_module_level:
        return "matplotlib is imported inside the functions that draw"
    return None


def _module_level(node: ast.AST) -> Iterator[ast.AST]:
    """Everything that runs when the module is imported: bodies of `if`, `try` and classes too, not of functions.

    What stands under ``if TYPE_CHECKING`` never runs.
    """
    for child in ast.iter_child_nodes(node):
        types_only = isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"
        if not types_only and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _module_level(child)


def _imported(node: ast.AST, parts: tuple[str, ...]) -> list[str]:
    """Full names of the modules (or names in them) that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        above = ".".join(("posekit", *parts)[: -node.level]) if node.level else ""
        base = ".".join(filter(None, (above, node.module)))
        return [f"{base}.{alias.name}" for alias in node.names]
    return []


def test_imports_point_down():
    offenders = find_offenders(Path(posekit.__file__).parent)
    assert not offenders, "\n" + "\n".join(offenders)


def test_layers_are_a_ladder():
    """Above BASE, nobody may import what may import it."""
    for room in MAY_IMPORT.keys() - BASE:
        assert not [other for other in MAY_IMPORT[room] - {room} if room in MAY_IMPORT[other]], room


@pytest.mark.parametrize(
    "file, source, problem",
    [
        ("metrics/pck.py", "import numpy\nfrom posekit.heatmaps import decode", "2: metrics may not import heatmaps"),
        ("metrics/pck.py", "def f():\n    from posekit import heatmaps", "2: metrics may not import heatmaps"),
        ("data/lsp.py", "import posekit.models.weights", "1: data may not import models"),
        ("data/lsp.py", "from posekit import load", "1: data may not import prediction"),
        ("data/deep/er.py", "from ...training import engine", "1: data may not import training"),
        ("data/__init__.py", "from ..training.engine import Engine", "1: data may not import training"),
        (
            "training/engine.py",
            "if True:\n    from posekit.tasks.pose.task import PoseTask",
            "2: training may not import tasks.pose",
        ),
        ("training/engine.py", "from posekit.tasks import TASKS", "1: training may not import tasks"),
        ("training/engine.py", "from posekit.scoring.score import score", "1: training may not import scoring"),
        ("scoring/io/coco.py", "from posekit.prediction import pose", "1: scoring may not import prediction"),
        ("scoring/score.py", "import torch", "1: scoring does without torch"),
        ("tasks/pose/build.py", "from posekit.cli.main import main", "1: tasks.pose may not import cli"),
        ("tasks/pose/build.py", "from posekit.tasks.classifier import data", "1: tasks.pose may not import tasks.classifier"),
        ("tasks/pose/build.py", "from posekit.lab.compare import run", "1: tasks.pose may not import lab"),
        ("tasks/__init__.py", "from posekit.tasks.pose import build", "1: tasks may not import tasks.pose"),
        ("lab/report/write.py", "from posekit.cli import eval", "1: lab may not import cli"),
        ("cli/eval.py", "from posekit.cli.predict import inputs", "1: the command eval may not import the command predict"),
        ("heatmaps.py", "import cv2", "1: OpenCV is imported from posekit.images"),
        (
            "drawing/loss.py",
            "try:\n    from matplotlib import pyplot\nexcept ImportError:\n    pass",
            "2: matplotlib is imported inside",
        ),
        ("extras.py", "", "1: the room extras is not in the table"),
    ],
)
def test_offenders_are_named(tmp_path, file, source, problem):
    path = tmp_path / "posekit" / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    (offender,) = find_offenders(tmp_path / "posekit")
    assert offender.startswith(f"posekit/{file}:{problem}")


@pytest.mark.parametrize(
    "file, source",
    [
        ("__init__.py", "def f():\n    from posekit.prediction.predictor import load"),
        ("metrics/table.py", "from .pck import pck\nfrom ..errors import DataError"),
        ("prediction/predictor.py", "from posekit.scoring.io.predictions import Predictions"),
        ("drawing/loss.py", "def draw():\n    from matplotlib import pyplot"),
        ("drawing/loss.py", "if TYPE_CHECKING:\n    from matplotlib.figure import Figure"),
        ("tasks/pose/build.py", "from posekit.training.engine import Engine\nfrom posekit.tasks.pose.task import PoseTask"),
        ("lab/compare/plan.py", "from posekit import __version__\nfrom posekit.tasks import TASKS"),
        ("cli/visualize/penalty.py", "def f():\n    from posekit.lab.explorer.server import serve"),
        ("cli/visualize/penalty.py", "from posekit.cli.visualize import people\nfrom posekit.command_line import short_names"),
    ],
)
def test_what_is_allowed(tmp_path, file, source):
    path = tmp_path / "posekit" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    assert find_offenders(tmp_path / "posekit") == []
