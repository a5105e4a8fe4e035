"""A task's folder can be removed: all other modules can still be imported, and their tests pass."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TESTS = ("tests/test_layers.py", "tests/cli/test_main.py", "tests/training/test_config.py", "tests/lab/compare")
IMPORT_ALL = """
import importlib, pkgutil, sys
import posekit
from posekit.cli.main import command_modules

root, command, *needs_task = sys.argv[1:]
assert posekit.__file__.startswith(root), posekit.__file__
for module in pkgutil.walk_packages(posekit.__path__, "posekit."):
    if module.name not in needs_task:
        importlib.import_module(module.name)
assert command not in command_modules()
assert "train" in command_modules()
"""


@pytest.mark.parametrize(
    ("removed", "command", "needs_task"),
    [
        (("posekit/tasks/classifier", "tests/tasks/classifier"), "train-classifier", ()),
        (
            ("posekit/tasks/person_finder", "tests/tasks/person_finder", "tests/lab/release/test_person_finder.py"),
            "train-detector",
            ("posekit.lab.release.person_finder",),
        ),
    ],
)
def test_the_package_works_without_a_task(tmp_path, removed, command, needs_task):
    for folder in ("posekit", "tests", "tools", "configs"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in removed:
        path = tmp_path / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    run(tmp_path, "-c", IMPORT_ALL, str(tmp_path), command, *needs_task)
    run(tmp_path, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider", *TESTS)


def run(folder, *arguments):
    """Run Python in the copy, with the copy's package."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    finished = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout[-3000:] + finished.stderr[-3000:]
