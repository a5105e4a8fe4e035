"""The tasks that models are trained for, one folder each.

A task has the modules `cli`, `config`, `build`, `task` and `training`, and `compare` if `posekit compare` supports it. The folders
of the classifier and the person finder can be removed: nothing else needs them, besides what releases and compares their models.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import yaml

from posekit.errors import ConfigError


@dataclass(frozen=True)
class TaskEntry:
    """A task's folder, its command, and how its configuration files are recognised.

    Parameters
    ----------
    name : str
        Its folder in `posekit.tasks`.
    command : str
        Command that trains it, as in ``posekit train``.
    data_key : str
        Key below ``data`` that only this task's configurations have; empty for the task of all other files.
    """

    name: str
    command: str
    data_key: str = ""

    def has(self, module: str) -> bool:
        """Whether the task has this module; False if the task's folder was removed."""
        folder = f"posekit.tasks.{self.name}"
        return find_spec(folder) is not None and find_spec(f"{folder}.{module}") is not None

    def load(self, module: str) -> ModuleType:
        """Import one of the task's modules."""
        return importlib.import_module(f"posekit.tasks.{self.name}.{module}")


TASKS = (
    TaskEntry("pose", "train"),
    TaskEntry("classifier", "train-classifier", data_key="images"),
    TaskEntry("person_finder", "train-detector", data_key="people"),
)


def task_of_config(path: str | Path) -> TaskEntry:
    """Find the task that a training configuration is for.

    Raises
    ------
    ConfigError
        If the file configures a comparison.
    """
    contents = _top_level(path)
    if "models" in contents:
        raise ConfigError(f"{path}: this file configures a comparison; use posekit compare")
    data = contents.get("data")
    for entry in TASKS:
        if entry.data_key and isinstance(data, Mapping) and entry.data_key in data:
            return entry
    return TASKS[0]


def require_task(path: str | Path, command: str) -> None:
    """Raise `ConfigError` if a configuration file is for another command."""
    entry = task_of_config(path)
    if entry.command != command:
        raise ConfigError(f"{path}: this file configures posekit {entry.command}, not {command}")


def _top_level(path: str | Path) -> Mapping:
    """The file's top-level mapping; empty if it cannot be read, which `posekit.training.config_files` reports."""
    try:
        contents = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return contents if isinstance(contents, Mapping) else {}
