"""Load the models to draw, and name them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from posekit.drawing.person_view import PersonView
from posekit.errors import ConfigError
from posekit.prediction.person_view import run_model
from posekit.prediction.predictor import Predictor, load
from posekit.skeletons import Skeleton
from posekit.weights import FOLDER, locate, shipped

# File stems of the weights that `posekit train` writes.
_NAMES_IN_A_RUN = re.compile(r"best|final|epoch-\d+")


def load_models(weights: Sequence[str], device: str) -> dict[str, Predictor]:
    """Load weights files or bundled weights by name; return the models by short, unique names.

    Raises
    ------
    WeightsError, ConfigError
        If a file cannot be read, a file is given twice, or the models have different joints.
    """
    for path in weights:
        if Path(path).suffix != ".safetensors" and path not in shipped():
            raise ConfigError(
                f"--weights {path}: neither a .safetensors file nor the name of bundled weights ("
                f"{', '.join(shipped())}); put images before the options, not after --weights"
            )
    files = [locate(path).resolve() for path in weights]
    if len(set(files)) < len(files):
        raise ConfigError("--weights: the same file is given twice")
    models = [load(path, device=device) for path in files]
    if len({model.info.skeleton.joints for model in models}) > 1:
        raise ConfigError("--weights: the models have different joints and cannot be drawn side by side")
    return dict(zip(_short_names(weights, files, models), models, strict=True))


def _short_names(weights: Sequence[str], paths: Sequence[Path], models: Sequence[Predictor]) -> list[str]:
    """Name the models of one run by epoch or file stem, of several runs by run folder; if ambiguous, use longer names."""
    runs = [_run_folder(path) for path in paths]
    stems = [path.stem for path in paths]
    epochs = [model.info.notes.get("epochs") for model in models]
    if len(set(runs)) > 1 or len(paths) == 1:
        run_names = [run.name for run in runs]
        candidates = [run_names, [f"{run} {stem}" for run, stem in zip(run_names, stems, strict=True)]]
    elif None not in epochs and all(_NAMES_IN_A_RUN.fullmatch(stem) for stem in stems):
        candidates = [[f"epoch {epoch}" for epoch in epochs], stems]
    else:
        candidates = [stems]
    candidates.append(list(weights))
    return next(names for names in candidates if len(set(names)) == len(names))


def _run_folder(path: Path) -> Path:
    """Return the folder of the run that wrote the weights; bundled weights count as a run with their own name."""
    if path.parent == FOLDER.resolve():
        return path.with_suffix("")
    return path.parent.parent if path.parent.name == "epochs" else path.parent


def shared_skeleton(models: Mapping[str, Predictor]) -> Skeleton:
    """Return the common skeleton of the models returned by `load_models`."""
    return next(iter(models.values())).info.skeleton


def truth_or_peaks(view: PersonView, model: Predictor, name: str) -> PersonView:
    """Return the view; if no joint is annotated, print a notice and use the model's heatmap peaks as the true positions.

    Parameters
    ----------
    view : PersonView
        Must use the model's skeleton.
    model : Predictor
    name : str
        The model's name in figures.
    """
    if view.known.any():
        return view
    peaks = run_model(model, view).predicted.astype(np.float64)
    joints = view.crop(model.info.input_size).inverse(peaks)
    print(f"{view.title}: no annotated joints: using the peaks of {name} as truth; to set the truth, give --keypoint NAME=x,y")
    return replace(view, joints=joints, known=np.ones(len(joints), bool), truth=f"the peaks of {name}")
