"""`posekit visualize predictions`: several models side by side on the same people."""

import argparse
from collections.abc import Sequence

import numpy as np

from posekit.cli.arguments import positive
from posekit.cli.visualize.output import file_name, tell_written
from posekit.cli.visualize.people import (
    add_model_options,
    add_people_options,
    load_models,
    open_split,
    require_persons,
    subjects,
)
from posekit.drawing.maps import PICTURE
from posekit.drawing.pose import prediction_sheet
from posekit.errors import ConfigError
from posekit.evaluation import Scores, score
from posekit.files import writable_folder
from posekit.geometry import Crop
from posekit.images import read_image, write_image
from posekit.inference import Predictor, look
from posekit.sample import People

_DESCRIPTION = """\
What two or more models predict, side by side on the same people (figure 8 of the paper). Where the truth
is known it stands beside them, and every wrong joint is ringed and tied to where it belongs; wrong is
farther than the data set's own limit (half a head, or a fifth of the torso).

Whoever picks the people picks the impression: by default they are drawn at random."""

_EPILOG = """\
examples:
  eight persons, drawn at random
    %(prog)s --weights runs/bce/best.safetensors runs/al/best.safetensors --data lsp --root data/lspet --split all
  those on whom the models differ most
    %(prog)s --weights A B --data lsp --root data/lspet --split all --pick difference
  one's own photographs
    %(prog)s photo.jpg other.jpg --weights A B"""

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
        "--pick", choices=("random", "difference"), default="random",
        help="whom to show without --person: drawn at random, or those of whose joints the models' numbers of right ones "
        "differ most (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--count", type=positive, default=8, metavar="N", help="how many of them (default: %(default)s)")
    add_people_options(parser, keypoints=False)
    parser.set_defaults(run=_predictions)


def _predictions(args: argparse.Namespace) -> None:
    models, people = load_models(args.weights, args.device), open_split(args)
    out, skeleton = writable_folder(args.out), next(iter(models.values())).info.skeleton
    if people is None:
        sheet, name = _of_photos(args, models), "predictions"
    else:
        if args.photos or args.box:
            raise ConfigError("photographs and --box do not go with a data set, which has its own")
        sheet, name = _of_people(args, models, people.mapped_to(skeleton)), f"predictions-{file_name(people.name)}"
    path = out / f"{name}.png"
    write_image(path, sheet)
    tell_written([path])


def _of_photos(args: argparse.Namespace, models: dict[str, Predictor]) -> np.ndarray:
    skeleton = next(iter(models.values())).info.skeleton
    chosen = [subject for _, subject in subjects(args, None, skeleton)]
    unknown = np.zeros((len(chosen), len(skeleton)), bool)
    found = {}
    for name, model in models.items():
        size = model.info.input_size
        joints = [(look(model, subject).predicted + 0.5) * (PICTURE / size) - 0.5 for subject in chosen]
        found[name] = np.array(joints), unknown
    crops, titles = [subject.picture(PICTURE) for subject in chosen], [subject.title for subject in chosen]
    nowhere = np.full((*unknown.shape, 2), np.nan)
    return prediction_sheet(crops, found, nowhere, unknown, skeleton, titles=titles, columns=_columns(len(models)))


def _of_people(args: argparse.Namespace, models: dict[str, Predictor], people: People) -> np.ndarray:
    numbers = np.arange(len(people))
    if args.persons:
        require_persons(args.persons, people)
        numbers = np.array(args.persons)
    elif args.pick == "random":
        numbers = np.sort(np.random.default_rng(0).permutation(numbers)[: args.count])
    chosen = people.select(numbers)
    scores = {name: score(chosen, model.predict_people(chosen)) for name, model in models.items()}
    places = range(len(numbers))
    if not args.persons and args.pick == "difference":
        places = _most_different(list(scores.values()), args.count)
    return _sheet(chosen, numbers, list(places), scores)


def _most_different(scores: Sequence[Scores], count: int) -> list[int]:
    """Places of the persons on whom the models' numbers of right joints differ most, in order."""
    right = np.array([found.pck.correct.sum(1) for found in scores])
    spread = right.max(0) - right.min(0)
    return sorted(np.argsort(-spread, kind="stable")[:count].tolist())


def _sheet(people: People, numbers: np.ndarray, places: list[int], scores: dict[str, Scores]) -> np.ndarray:
    crops, any_scores = [Crop(people[place].box, PICTURE) for place in places], next(iter(scores.values()))
    counted, unscored = any_scores.pck.counted[places], f" (no {any_scores.reference.partition(' (')[0]}: not scored)"

    def in_crops(joints):
        return np.array([crop.forward(joints[place]) for crop, place in zip(crops, places, strict=True)])

    return prediction_sheet(
        [crop.warp(read_image(people.images[place])) for crop, place in zip(crops, places, strict=True)],
        {name: (in_crops(found.predictions.joints), found.pck.correct[places]) for name, found in scores.items()},
        in_crops(people.joints),
        people.labelled[places],
        people.skeleton,
        counted=counted,
        titles=[f"person {numbers[place]}{'' if any_scores.pck.counted[place].any() else unscored}" for place in places],
        columns=_columns(len(scores) + 1),
    )


def _columns(pictures: int) -> int:
    return max(1, _ACROSS // pictures)
