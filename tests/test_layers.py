"""Imports point down only. Each offender is named by file and line, with what it imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import posekit

BASE = {
    "errors",
    "opencv",
    "files",
    "machine",
    "skeletons",
    "geometry",
    "images",
    "matlab",
    "sample",
    "weights",
    "calibration",
    "video",
}
ONE = {"heatmaps", "centres", "losses", "metrics", "models"}
TWO = {"datasets", "predictions", "drawing"}
THREE = {"inference", "training", "evaluation", "explorer"}
ALL = BASE | ONE | TWO | THREE | {"config", "build", "cli"}

# What each room may import from posekit, besides itself.
MAY_IMPORT = {
    **dict.fromkeys(BASE, BASE),
    "heatmaps": BASE,
    "centres": BASE | {"heatmaps"},
    "losses": {"errors"},
    "metrics": BASE,
    "models": BASE,
    "datasets": BASE | ONE - {"models"},
    "predictions": BASE,
    "drawing": BASE | ONE,
    "inference": BASE | ONE | TWO,
    "training": BASE | ONE | TWO,
    "evaluation": BASE | ONE | TWO | {"inference"},
    "explorer": BASE | ONE | TWO | {"inference"},
    "config": {"errors"},
    "build": ALL - {"cli", "explorer"},
    "cli": ALL,
}
# Packages that a room does without, so that it stays quick to import and easy to test.
DOES_WITHOUT = {
    "errors": {"numpy", "torch", "scipy"},
    "files": {"numpy", "torch", "scipy"},
    "skeletons": {"torch", "scipy"},
    "geometry": {"torch", "scipy"},
    "images": {"torch", "scipy"},
    "matlab": {"torch"},
    "config": {"numpy", "torch", "scipy"},
}
# Names that the package itself offers, and the room they come from.
OFFERED = {"load": "inference"}


def find_offenders(package: Path) -> list[str]:
    """ "file:line: what is wrong" for every import in the package that breaks a rule."""
    return [
        f"{path.relative_to(package.parent).as_posix()}:{line}: {problem}"
        for path in sorted(package.rglob("*.py"))
        for line, problem in _problems(path, path.relative_to(package).with_suffix("").parts)
    ]


def _problems(path: Path, parts: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    room = parts[0]
    if room == "__init__":  # the package's face offers what lies above
        return
    if room not in MAY_IMPORT:
        yield 1, f"the room {room} is not in the table of layers"
        return
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    at_module_level = {id(node) for node in _module_level(tree)}
    for node in ast.walk(tree):
        for module in _imported(node, parts):
            problem = _problem(room, module, at_module_level=id(node) in at_module_level)
            if problem:
                yield node.lineno, problem


def _problem(room: str, module: str, *, at_module_level: bool) -> str | None:
    package, _, inside = module.partition(".")
    if package == "posekit":
        other = OFFERED.get(inside.partition(".")[0], inside.partition(".")[0])
        return f"{room} may not import {other}" if other in MAY_IMPORT and other not in MAY_IMPORT[room] | {room} else None
    if package in DOES_WITHOUT.get(room, ()):
        return f"{room} does without {package}"
    if package == "cv2" and room != "opencv":
        return "OpenCV is imported from posekit.opencv"
    if package == "matplotlib" and at_module_level:
        return "matplotlib is imported inside the functions that draw"
    return None


def _module_level(node: ast.AST) -> Iterator[ast.AST]:
    """Everything that runs when the module is imported: bodies of `if`, `try` and classes too, not of functions."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
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
    assert set(MAY_IMPORT) == ALL
    for room in ALL - BASE:
        assert not [other for other in MAY_IMPORT[room] - {room} if room in MAY_IMPORT[other]], room


@pytest.mark.parametrize(
    "file, source, problem",
    [
        ("metrics/pck.py", "import numpy\nfrom posekit.heatmaps import decode", "2: metrics may not import heatmaps"),
        ("metrics/pck.py", "def f():\n    from posekit import heatmaps", "2: metrics may not import heatmaps"),
        ("datasets/lsp.py", "import posekit.models.weights", "1: datasets may not import models"),
        ("datasets/lsp.py", "from posekit import load", "1: datasets may not import inference"),
        ("datasets/deep/er.py", "from ...training import engine", "1: datasets may not import training"),
        ("datasets/__init__.py", "from ..training.engine import Engine", "1: datasets may not import training"),
        ("training/engine.py", "if True:\n    from posekit.config import Config", "2: training may not import config"),
        ("training/engine.py", "from posekit.evaluation.score import score", "1: training may not import evaluation"),
        ("predictions.py", "from posekit.datasets import mpii", "1: predictions may not import datasets"),
        ("build.py", "from posekit.cli.main import main", "1: build may not import cli"),
        ("build.py", "from posekit.explorer.scene import Scene", "1: build may not import explorer"),
        ("explorer/page.py", "from posekit.evaluation import score", "1: explorer may not import evaluation"),
        ("config.py", "import torch.nn", "1: config does without torch"),
        ("heatmaps.py", "import cv2", "1: OpenCV is imported from posekit.opencv"),
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
        ("__init__.py", "def f():\n    from posekit.inference import load"),
        ("metrics/table.py", "from .pck import pck\nfrom ..errors import DataError"),
        ("evaluation/score.py", "from posekit.inference import Predictor"),
        ("drawing/loss.py", "def draw():\n    from matplotlib import pyplot"),
        ("cli/train.py", "from posekit import __version__, build, config"),
        ("cli/visualize/explore.py", "def f():\n    from posekit.explorer.server import serve"),
    ],
)
def test_what_is_allowed(tmp_path, file, source):
    path = tmp_path / "posekit" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    assert find_offenders(tmp_path / "posekit") == []
