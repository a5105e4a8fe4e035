"""The tasks that models are trained for.

Each task is a folder with `config`, `data`, `build`, `task`, `score` and `cli` as far as it needs them, and `compare` where
`posekit compare` can compare its models. A folder can be removed: nothing else in the package needs it.
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
    """Where a task lives, and how its configuration files are recognised.

    Parameters
    ----------
    name : str
        Its folder in `posekit.tasks`.
    command : str
        The command that trains it, as in ``posekit train``.
    data_key : str
        A key below ``data`` that only configurations of this task have; empty for the task of all other files.
    """

    name: str
    command: str
    data_key: str = ""

    def has(self, module: str) -> bool:
        """Whether the task has this module; False if the task's folder was removed."""
        return bool(find_spec(f"posekit.tasks.{self.name}") and find_spec(f"posekit.tasks.{self.name}.{module}"))

    def load(self, module: str) -> ModuleType:
        """Import one of the task's modules."""
        return importlib.import_module(f"posekit.tasks.{self.name}.{module}")


TASKS = (
    TaskEntry("pose", "train"),
    TaskEntry("classifier", "train-classifier", data_key="images"),
    TaskEntry("person_finder", "train-detector", data_key="people"),
)


def task_of_config(path: str | Path) -> TaskEntry:
    """Which task a training configuration's file is for.

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
    """Raise `ConfigError` if a configuration file is for another command than this one."""
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
