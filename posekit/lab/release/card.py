"""Parts that all model cards share: file name, facts about the weights, speed, training configuration."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from torch import nn
from torch.utils.benchmark import Timer

from posekit.errors import ConfigError, DataError
from posekit.files import atomic_write, writable_folder
from posekit.tables import markdown_table

_TIMING_SECONDS = 4.0


def release_path(out: Path, name: str) -> Path:
    """Create the output folder, and return the path of the weights file; raises `ConfigError` if the name is not allowed."""
    if not name.replace("-", "").isalnum():
        raise ConfigError(f"--name {name}: only letters, digits and hyphens are allowed")
    return writable_folder(out) / f"{name}.safetensors"


def run_settings(weights: Path) -> dict[str, Any]:
    """Load config.yaml from the folder of the weights, without the user's paths; empty if the file does not exist.

    Raises
    ------
    DataError
        If config.yaml is not the configuration of a training run.
    """
    path = weights.parent / "config.yaml"
    if not path.is_file():
        return {}
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        del settings["data"]["root"]
        if start_from := settings.get("model", {}).get("start_from"):
            settings["model"]["start_from"] = "/".join(Path(start_from).parts[-2:])
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        raise DataError(f"{path}: not the configuration of a training run ({error})") from error
    return settings


def training_facts(notes: Mapping[str, object]) -> dict[str, str]:
    """Return rows of the card's first table, from the notes that training stores in a weights file."""
    names = [name for name in ("trained_on", "loss", "gamma", "epochs") if name in notes]
    return {name.replace("_", " "): str(notes[name]) for name in names}


def size_facts(model: nn.Module, path: Path) -> dict[str, str]:
    """Return rows of the card's first table: number of parameters and file size."""
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    return {"parameters": f"{n_parameters / 1e6:.2f} M", "file": f"{path.stat().st_size / 1e6:.1f} MB, half precision"}


def seconds_per_call(work: Callable[[], object]) -> float:
    """Return the median time of a call in seconds."""
    return Timer("work()", globals={"work": work}).blocked_autorange(min_run_time=_TIMING_SECONDS).median


def training_section(command: str, settings: Mapping[str, Any]) -> list[str]:
    """Return the section of the card with the training configuration."""
    text = yaml.safe_dump(settings, sort_keys=False).strip()
    return ["## Training", f"`posekit {command}` with this configuration:\n\n```yaml\n{text}\n```"]


def write_card(args: argparse.Namespace, weights: Path, facts: Mapping[str, str], sections: Sequence[str], summary: str) -> None:
    """Write the card beside the weights file, and print a summary of the scores."""
    parts = [f"# {args.name}", markdown_table(["", ""], list(facts.items())), f"**Terms of use.** {args.terms}", *sections]
    path = weights.with_suffix(".md")
    with atomic_write(path) as unfinished:
        unfinished.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(f"{summary}\n\nwrote {weights} and its card, {path}")
