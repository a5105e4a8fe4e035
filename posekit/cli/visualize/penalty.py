"""`posekit visualize` `penalty`, `targets` and `explore`: anchor loss on the heatmaps of a model."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from posekit.cli.visualize import PENALTY_JOINTS, TARGET_JOINTS
from posekit.cli.visualize.people import (
    joint_indices,
    load_models,
    open_split,
    person_views,
    shared_skeleton,
    write_plot,
    write_png,
)
from posekit.drawing.maps import MAX_COLUMNS, target_figure
from posekit.drawing.penalty import most_penalised, penalty_figure
from posekit.drawing.person_view import PersonView
from posekit.drawing.style import SERIES
from posekit.errors import ConfigError
from posekit.files import atomic_write, writable_folder
from posekit.images import read_image
from posekit.lab.penalty_study.bars import penalty_bars
from posekit.lab.penalty_study.study import EXPLANATION, PenaltyComparison, PenaltyStudy, penalty_study
from posekit.people import People
from posekit.prediction.person_view import run_model
from posekit.prediction.predictor import Predictor, load


def penalty(args: argparse.Namespace) -> None:
    """Draw penalty maps of the chosen people; if none are chosen, measure the penalty over the data set."""
    models = load_models(args.weights, args.device)
    people = open_split(args)
    out = writable_folder(args.out)
    if people is None or args.persons or args.images:
        _draw_maps(args, out, models, people)
    else:
        _measure(args, out, models, people)


def _draw_maps(args: argparse.Namespace, out: Path, models: dict[str, Predictor], people: People | None) -> None:
    if len(models) * len(args.gamma) > MAX_COLUMNS:
        raise ConfigError(
            f"{len(models)} models x {len(args.gamma)} values of --gamma: at most {MAX_COLUMNS} columns are allowed; give fewer"
        )
    if args.limit:
        raise ConfigError("--limit applies only to a data set without --person")
    skeleton = shared_skeleton(models)
    joints = joint_indices(args.joints, skeleton)
    last_name, last_model = list(models.items())[-1]
    for name, view in person_views(args, people, skeleton):
        annotated = bool(view.known.any())
        view = _truth_or_peaks(view, last_model, last_name)
        if not annotated and len(models) == 1 and args.view == "penalty":
            print("the penalty at a model's own peaks is 0: give --keypoint, a second model in --weights, or --view modulator")
        outputs = {model: run_model(predictor, view) for model, predictor in models.items()}
        shown = joints or most_penalised(list(outputs.values()), args.gamma[0], PENALTY_JOINTS)
        write_png(penalty_figure(outputs, shown, gammas=args.gamma, quantity=args.view), out, f"{name}.{args.view}")


def _measure(args: argparse.Namespace, out: Path, models: dict[str, Predictor], people: People) -> None:
    if args.joints or args.view != "penalty" or args.box or args.keypoints or len(args.gamma) > 1:
        raise ConfigError(
            "a data set without --person allows one value of --gamma only, and no --joint, --view, --box or --keypoint"
        )
    if len(models) > len(SERIES):
        raise ConfigError(f"--weights: {len(models)} models given, but a chart can show at most {len(SERIES)}; give fewer")
    if args.limit:
        people = people.select(np.isin(people.image_paths, people.image_paths[: args.limit]))
    numbers: dict[str, Any] = {"weights": dict(zip(models, args.weights, strict=True)), "models": {}}
    studies: dict[str, PenaltyStudy] = {}
    for name, model in models.items():
        study = penalty_study(model, people, gamma=args.gamma[0], progress=sys.stderr.isatty())
        print(f"{name}\n{study.table()}\n")
        studies[name] = study
        numbers["models"][name] = study.to_dict()
    print(f"{EXPLANATION}\n")
    if len({study.targets for study in studies.values()}) > 1:
        print("The models' numbers cannot be compared, because the models' targets (input size, sigma, rounding) differ.\n")
    elif len(studies) == 2:
        first, second = studies
        difference = PenaltyComparison(studies[first], studies[second])
        print(difference.table((first, second)) + "\n")
        numbers["difference"] = difference.to_dict()
    path = out / "penalty.json"
    with atomic_write(path) as unfinished:
        unfinished.write_text(json.dumps(numbers, indent=1), encoding="utf-8")
    print(f"wrote {path}")
    regions = {name: study.regions for name, study in studies.items()}
    write_plot(penalty_bars(regions), out, "penalty-regions")
    opposite = {name: study.group_rows("opposite") for name, study in studies.items()}
    write_plot(penalty_bars(opposite), out, "penalty-opposite")


def targets(args: argparse.Namespace) -> None:
    """Draw the parts of anchor loss for the chosen joints, one figure per person."""
    ((name, model),) = load_models([args.weights], args.device).items()
    people = open_split(args)
    out = writable_folder(args.out)
    skeleton = model.info.skeleton
    joints = joint_indices(args.joints, skeleton)
    for person, view in person_views(args, people, skeleton):
        output = run_model(model, _truth_or_peaks(view, model, name))
        shown = joints or most_penalised([output], args.gamma, TARGET_JOINTS)
        write_png(target_figure(output, shown, gamma=args.gamma, model=name), out, f"{person}.targets")


def _truth_or_peaks(view: PersonView, model: Predictor, name: str) -> PersonView:
    """Return the view; if no joint is annotated, print a notice and use the model's heatmap peaks as the true positions.

    The view must use the model's skeleton; `name` is the model's name in figures.
    """
    if view.known.any():
        return view
    peaks = run_model(model, view).predicted.astype(np.float64)
    joints = view.crop(model.info.input_size).inverse(peaks)
    print(f"{view.title}: no annotated joints: using the peaks of {name} as truth; to set the truth, give --keypoint NAME=x,y")
    return replace(view, joints=joints, known=np.ones(len(joints), bool), truth=f"the peaks of {name}")


def explore(args: argparse.Namespace) -> None:
    """Serve the interactive page until Ctrl-C."""
    try:
        from posekit.lab.explorer.server import listen, serve
    except ImportError as error:
        raise ConfigError(f'the explorer needs NiceGUI ({error}): pip install "nicegui>=3.18"') from None
    from posekit.lab.explorer.state import open_state

    predictor = load(args.weights, device=args.device)
    state = open_state(predictor, args.image.name, read_image(args.image)) if args.image else None
    serve(predictor, state, listen(args.port), browser=not args.no_browser)
