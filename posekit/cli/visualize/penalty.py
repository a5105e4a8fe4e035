"""`posekit visualize penalty`: maps of where anchor loss is higher than cross entropy."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from posekit.cli.visualize.models import load_models, shared_skeleton, truth_or_peaks
from posekit.cli.visualize.output import write_plot, write_png
from posekit.cli.visualize.parser import PENALTY_JOINTS
from posekit.cli.visualize.people import joint_indices, open_split, person_views
from posekit.drawing.maps import MAX_COLUMNS
from posekit.drawing.penalty import most_penalised, penalty_figure
from posekit.drawing.style import SERIES
from posekit.errors import ConfigError
from posekit.files import atomic_write, writable_folder
from posekit.lab.penalty_study.bars import penalty_bars
from posekit.lab.penalty_study.study import EXPLANATION, PenaltyComparison, PenaltyStudy, penalty_study
from posekit.people import People
from posekit.prediction.person_view import run_model
from posekit.prediction.predictor import Predictor


def run(args: argparse.Namespace) -> None:
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
            f"{len(models)} models times {len(args.gamma)} values of --gamma: at most {MAX_COLUMNS} columns fit side by side"
        )
    if args.limit:
        raise ConfigError("--limit applies only to a data set without --person")
    skeleton = shared_skeleton(models)
    joints = joint_indices(args.joints, skeleton)
    last_name, last_model = list(models.items())[-1]
    for name, view in person_views(args, people, skeleton):
        annotated = bool(view.known.any())
        view = truth_or_peaks(view, last_model, last_name)
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
        raise ConfigError(f"{len(models)} models: a chart can show at most {len(SERIES)}")
    if args.limit:
        people = people.select(np.isin(people.image_paths, people.image_paths[: args.limit]))
    numbers: dict[str, Any] = {"weights": dict(zip(models, args.weights, strict=True)), "models": {}}
    studies: dict[str, PenaltyStudy] = {}
    regions = {}
    opposite = {}
    for name, model in models.items():
        study = penalty_study(model, people, gamma=args.gamma[0], progress=sys.stderr.isatty())
        print(f"{name}\n{study.table()}\n")
        studies[name] = study
        regions[name] = study.regions
        opposite[name] = study.group_rows("opposite")
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
    write_plot(penalty_bars(regions), out, "penalty-regions")
    write_plot(penalty_bars(opposite), out, "penalty-opposite")
