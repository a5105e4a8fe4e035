"""Training tasks, one folder per task.

A task has the modules `cli`, `config`, `build` and `task`, and a module `compare` if `posekit compare` supports the
task. The folders of the classifier and the person finder can be deleted: only the code that releases and compares their models
needs these folders.
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
    """Folder and command of a task, and the key that identifies the configuration files of the task.

    Parameters
    ----------
    name : str
        Name of the folder in `posekit.tasks`.
    command : str
        Training command, for example ``train`` for ``posekit train``.
    data_key : str
        Key in the section ``data`` that only configuration files of this task have. Empty: the files of this task have no
        key of another task.
    """

    name: str
    command: str
    data_key: str = ""

    def has(self, module: str) -> bool:
        """Whether the task has a module of this name; False if the folder of the task was deleted."""
        folder = f"posekit.tasks.{self.name}"
        return find_spec(folder) is not None and find_spec(f"{folder}.{module}") is not None

    def load(self, module: str) -> ModuleType:
        """Import a module of the task."""
        return importlib.import_module(f"posekit.tasks.{self.name}.{module}")


TASKS = (
    TaskEntry("pose", "train"),
    TaskEntry("classifier", "train-classifier", data_key="images"),
    TaskEntry("person_finder", "train-detector", data_key="people"),
)


def task_of_config(path: str | Path) -> TaskEntry:
    """Find the task of a training configuration.

    Raises
    ------
    ConfigError
        If the file is the configuration of a comparison.
    """
    try:
        contents = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        contents = {}  # `posekit.training.config_files` reports the error later
    if not isinstance(contents, Mapping):
        contents = {}
    if "models" in contents:
        raise ConfigError(f"{path}: this file is for posekit compare")
    data = contents.get("data")
    for entry in TASKS:
        if entry.data_key and isinstance(data, Mapping) and entry.data_key in data:
            return entry
    return TASKS[0]


def require_task(path: str | Path, command: str) -> None:
    """Raise `ConfigError` if a configuration file is not for the given command."""
    entry = task_of_config(path)
    if entry.command != command:
        raise ConfigError(f"{path}: this file is for posekit {entry.command}, not posekit {command}")
