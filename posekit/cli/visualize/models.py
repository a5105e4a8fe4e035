"""With which models to look."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from posekit.drawing.person_view import PersonView
from posekit.errors import ConfigError
from posekit.prediction.person_view import run_model
from posekit.prediction.predictor import Predictor, load
from posekit.weights import DEFAULT, FOLDER, locate, shipped

# Names that `posekit train` gives weights of one run.
_OF_A_RUN = re.compile(r"best|final|epoch-\d+")


def add_model_options(parser: argparse.ArgumentParser, *, several: str | None = None) -> None:
    """Options that name weights and the device; `several` says what more than one weights file is for."""
    told = f"weights file (.safetensors), or a name of what comes with posekit (default: {DEFAULT})"
    if several:
        parser.add_argument("--weights", default=[DEFAULT], nargs="+", metavar="W", help=f"{told}; {several}")
    else:
        parser.add_argument("--weights", default=DEFAULT, metavar="W", help=told)
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:N (default: %(default)s)")


def load_models(weights: Sequence[str], device: str) -> dict[str, Predictor]:
    """The models of weights files, or of names of what comes with posekit, by short names that tell them apart.

    Raises
    ------
    WeightsError, ConfigError
        If one cannot be read, one is named twice, or they do not find the same joints.
    """
    other = [path for path in weights if Path(path).suffix != ".safetensors" and path not in shipped()]
    if other:
        raise ConfigError(
            f"--weights {other[0]}: not a .safetensors file, nor a name of what comes with posekit: {', '.join(shipped())}; "
            "name photographs before the options, not after --weights"
        )
    files = [locate(path).resolve() for path in weights]
    if len(set(files)) < len(files):
        raise ConfigError("--weights names a file twice")
    models = [load(path, device=device) for path in files]
    if len({model.info.skeleton.joints for model in models}) > 1:
        raise ConfigError("--weights: the models find different joints, so they cannot stand side by side")
    return dict(zip(_names(weights, files, models), models, strict=True))


def _names(weights: Sequence[str], paths: Sequence[Path], models: Sequence[Predictor]) -> list[str]:
    """ "epoch 5" or the file's name within one run's folder, else the run's; where that is not enough, more of the path."""
    runs = [_run(path) for path in paths]
    epochs = [model.info.notes.get("epochs") for model in models]
    names = [[path.stem for path in paths], list(map(str, weights))]
    if len(set(runs)) > 1 or len(paths) == 1:
        names[:1] = [[run.name for run in runs], [f"{run.name} {path.stem}" for run, path in zip(runs, paths, strict=True)]]
    elif None not in epochs and all(_OF_A_RUN.fullmatch(path.stem) for path in paths):
        names.insert(0, [f"epoch {epoch}" for epoch in epochs])
    return next(found for found in names if len(set(found)) == len(found))


def _run(path: Path) -> Path:
    """The folder of the run that wrote the weights; for what comes with posekit its name, as if that were one."""
    if path.parent == FOLDER.resolve():
        return path.with_suffix("")
    return path.parent.parent if path.parent.name == "epochs" else path.parent


def known_or_peaks(view: PersonView, model: Predictor, whose: str) -> PersonView:
    """The view; if nothing at all is known of it, with the model's own peaks standing for the truth, which is told.

    Parameters
    ----------
    view : PersonView
        In the model's skeleton.
    model : Predictor
    whose : str
        The model, as pictures call it.
    """
    if view.known.any():
        return view
    joints = view.crop(model.info.input_size).inverse(run_model(model, view).predicted.astype(np.float64))
    print(f"{view.title}: nothing is known of it, so the peaks of {whose} stand for the truth; --keypoint NAME=x,y tells more")
    return replace(view, joints=joints, known=np.ones(len(joints), bool), truth=f"the peaks of {whose}")
