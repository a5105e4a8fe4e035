"""`posekit visualize predictions`: several models side by side on the same people."""

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from posekit.cli.visualize.models import add_model_options, load_models
from posekit.cli.visualize.output import file_name, tell_written
from posekit.cli.visualize.people import add_joint_option, add_people_options, joint_indices, open_split, require_persons, views
from posekit.command_line import positive
from posekit.drawing.maps import PICTURE, enlarged
from posekit.drawing.pose import prediction_sheet
from posekit.errors import ConfigError
from posekit.files import writable_folder
from posekit.geometry import Crop
from posekit.images import write_image
from posekit.people import People
from posekit.prediction.person_view import run_model
from posekit.prediction.predictor import Predictor
from posekit.scoring.score import Scores, score

_DESCRIPTION = """\
What two or more models predict, side by side on the same people (figure 8 of the paper). Where the truth
is known it stands beside them, and every wrong joint is ringed and tied to where it belongs; wrong is
farther than the data set's own limit (half a head, or a fifth of the torso).

Whoever picks the people picks the impression: by default they are drawn at random."""

_EPILOG = """\
examples:
  eight persons, drawn at random
    %(prog)s --weights runs/bce/best.safetensors runs/al/best.safetensors --data lsp --root data/lspet --split random:0.1111:0
  those on whom the models differ most
    %(prog)s --weights A B --data lsp --root data/lspet --split random:0.1111:0 --pick difference
  one's own photographs
    %(prog)s photo.jpg other.jpg --weights A B"""

_SHOWN = 8
_ACROSS = 6  # pictures in a row of the sheet, at most


def add_predictions(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "predictions",
        help="several models side by side on the same people (figure 8)",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_model_options(parser, several="each has a column")
    parser.add_argument(
        "--pick", choices=("random", "difference"),
        help="whom to show of a data set without --person: drawn at random, or those for whom the models' numbers of right "
        "joints differ most (default: random)",
    )  # fmt: skip
    parser.add_argument("--count", type=positive, metavar="N", help=f"how many of them (default: {_SHOWN})")
    add_joint_option(parser, "all")
    add_people_options(parser, keypoints=False)
    parser.set_defaults(run=_predictions)


def _predictions(args: argparse.Namespace) -> None:
    models, people = load_models(args.weights, args.device), open_split(args)
    out, skeleton = writable_folder(args.out), next(iter(models.values())).info.skeleton
    joints = joint_indices(args.joints, skeleton) or list(range(len(skeleton)))
    if (args.pick or args.count) and (people is None or args.persons):
        raise ConfigError("--pick and --count go with a data set without --person")
    if args.pick == "difference" and len(models) == 1:
        raise ConfigError("--pick difference needs the weights of two models")
    if people is None:
        sheet, name = _of_photos(args, models, joints), "predictions"
    else:
        if args.photos or args.box:
            raise ConfigError("photographs and --box do not go with a data set, which has its own")
        sheet, name = _of_people(args, models, people.mapped_to(skeleton), joints), f"predictions-{file_name(people.name)}"
    path = out / f"{name}.png"
    write_image(path, sheet)
    tell_written([path])


def _of_photos(args: argparse.Namespace, models: dict[str, Predictor], shown: list[int]) -> np.ndarray:
    skeleton = next(iter(models.values())).info.skeleton
    chosen = [view for _, view in views(args, None, skeleton)]
    unknown = np.zeros((len(chosen), len(skeleton)), bool)
    found = {}
    for name, model in models.items():
        joints = [enlarged(run_model(model, view).predicted, model.info.input_size) for view in chosen]
        found[name] = _only(shown, np.array(joints)), unknown
    crops, titles = [view.picture(PICTURE) for view in chosen], [view.title for view in chosen]
    nowhere = np.full((*unknown.shape, 2), np.nan)
    return prediction_sheet(crops, found, nowhere, unknown, skeleton, titles=titles, columns=_columns(len(models)))


def _of_people(args: argparse.Namespace, models: dict[str, Predictor], people: People, shown: list[int]) -> np.ndarray:
    numbers = np.arange(len(people))
    if args.persons:
        require_persons(args.persons, people)
        numbers = np.array(args.persons)
    elif args.pick != "difference":
        numbers = np.sort(np.random.default_rng(0).permutation(numbers)[: args.count or _SHOWN])
    chosen = people.select(numbers)
    bar = sys.stderr.isatty()
    scores = {name: score(chosen, model.predict_people(chosen, progress=bar)) for name, model in models.items()}
    # Whoever could not be read is named by now.
    seen = np.flatnonzero([np.isfinite(joints).any() for joints in next(iter(scores.values())).predictions.joints])
    if args.pick == "difference":
        seen = seen[_most_different([found.pck.correct[seen] for found in scores.values()], args.count or _SHOWN)]
    return _sheet(chosen, numbers, seen.tolist(), scores, shown)


def _most_different(correct: Sequence[np.ndarray], count: int) -> np.ndarray:
    """Places of the persons for whom the models' numbers of right joints, of (N, K) bool each, differ most, in order."""
    right = np.array([found.sum(1) for found in correct])
    return np.sort(np.argsort(right.min(0) - right.max(0), kind="stable")[:count])


def _only(shown: list[int], joints: np.ndarray) -> np.ndarray:
    """Joints (N, K, 2), those that are not shown as NaN."""
    return np.where(np.isin(np.arange(joints.shape[1]), shown)[:, None], joints, np.nan)


def _sheet(people: People, numbers: np.ndarray, places: list[int], scores: dict[str, Scores], shown: list[int]) -> np.ndarray:
    crops, any_scores = [Crop(people[place].box, PICTURE) for place in places], next(iter(scores.values()))
    among = np.isin(np.arange(len(people.skeleton)), shown)
    unscored = f" (no {any_scores.reference.partition(' (')[0]}: not scored)"

    def in_crops(joints):
        return np.array([crop.forward(joints[place]) for crop, place in zip(crops, places, strict=True)])

    return prediction_sheet(
        [people[place].cut(crop) for crop, place in zip(crops, places, strict=True)],
        {name: (_only(shown, in_crops(found.predictions.joints)), found.pck.correct[places]) for name, found in scores.items()},
        in_crops(people.joints),
        people.labelled[places] & among,
        people.skeleton,
        counted=any_scores.pck.counted[places] & among,
        titles=[f"person {numbers[place]}{'' if any_scores.pck.counted[place].any() else unscored}" for place in places],
        columns=_columns(len(scores) + 1),
    )


def _columns(pictures: int) -> int:
    return max(1, _ACROSS // pictures)
