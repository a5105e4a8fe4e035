"""Whom to look at: photographs of one's own, or persons of a data set."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from posekit.cli.naming import numbered
from posekit.cli.visualize.output import add_out
from posekit.command_line import add_source_options, box
from posekit.data import DATASETS, open_people
from posekit.drawing.person_view import PersonView
from posekit.errors import ConfigError
from posekit.geometry import Box
from posekit.images import read_image
from posekit.people import People
from posekit.prediction.person_view import annotated_view
from posekit.skeletons import Skeleton


def add_joint_option(parser: argparse.ArgumentParser, default: str) -> None:
    """The option that names joints; `default` says which are shown without it."""
    parser.add_argument("--joint", dest="joints", nargs="+", metavar="NAME", help=f"joints to show, or all (default: {default})")


def add_people_options(parser: argparse.ArgumentParser, *, keypoints: bool = True) -> None:
    """Options that name photographs, persons and the folder to write; with `keypoints`, where joints of photographs truly are."""
    parser.add_argument("photos", nargs="*", type=Path, metavar="PHOTO", help="photographs without annotation")
    add_out(parser)
    own = parser.add_argument_group("photographs without annotation")
    own.add_argument(
        "--box", type=box, metavar="x,y,w,h", help="rectangle around the person, in pixels (default: the whole picture)"
    )
    parser.set_defaults(keypoints=[])
    if keypoints:
        own.add_argument(
            "--keypoint", dest="keypoints", action="append", type=_keypoint, metavar="NAME=x,y",
            help="where a joint truly is, in pixels of the photograph; repeatable",
        )  # fmt: skip
    annotated = parser.add_argument_group("persons of a data set")
    add_data_options(annotated)
    annotated.add_argument(
        "--person", dest="persons", nargs="+", type=int, metavar="I",
        help="their numbers in the split, from 0: as in eval's report and lists",
    )  # fmt: skip


def add_data_options(group: argparse._ArgumentGroup) -> None:
    """Options that name a data set's split."""
    add_source_options(group, DATASETS, required=False)
    group.add_argument("--split", metavar="NAME", help="train, valid, test, all, random:FRACTION:SEED or random-rest:FRACTION:SEED")


def open_split(args: argparse.Namespace) -> People | None:
    """The data set's split that was named; None if there is none.

    Raises
    ------
    ConfigError
        If it is named in part only.
    """
    named = [args.data, args.root, args.split]
    if not any(named):
        return None
    if not all(named):
        raise ConfigError("a data set needs all of --data, --root and --split")
    return open_people(args.data, args.root, args.split)


def views(args: argparse.Namespace, people: People | None, skeleton: Skeleton) -> Iterator[tuple[str, PersonView]]:
    """Whoever was asked for, with a name for files, in the skeleton.

    Raises
    ------
    ConfigError, DataError, ImageError
        If that cannot be: nobody was named, there is no such person, joint or photograph.
    """
    if people is not None and args.photos:
        raise ConfigError("give photographs, or --person of a data set, not both")
    if people is None and not args.photos:
        raise ConfigError("nobody to look at: give a photograph, or --data, --root, --split and --person")
    yield from _persons(args, people, skeleton) if people is not None else _photos(args, skeleton)


def _persons(args: argparse.Namespace, people: People, skeleton: Skeleton) -> Iterator[tuple[str, PersonView]]:
    if args.box or args.keypoints:
        raise ConfigError("--box and --keypoint go with photographs: the data set has its own")
    if not args.persons:
        raise ConfigError(f"name persons of {people.name} {people.split} with --person: 0 to {len(people) - 1}")
    require_persons(args.persons, people)
    for index in args.persons:
        yield f"person-{index}", annotated_view(people.mapped_to(skeleton), index)


def require_persons(numbers: Sequence[int], people: People) -> None:
    """Raise `ConfigError` unless the split has persons of these numbers."""
    for number in numbers:
        if not 0 <= number < len(people):
            raise ConfigError(f"--person {number}: {people.name} {people.split} has persons 0 to {len(people) - 1}")


def _photos(args: argparse.Namespace, skeleton: Skeleton) -> Iterator[tuple[str, PersonView]]:
    if args.persons:
        raise ConfigError("--person goes with --data, --root and --split")
    joints, known = np.zeros((len(skeleton), 2)), np.zeros(len(skeleton), bool)
    for name, point in args.keypoints:
        joints[skeleton.index(name)], known[skeleton.index(name)] = point, True
    truth = "keypoints given" if args.keypoints else ""
    taken: set[str] = set()
    for path in args.photos:
        image = read_image(path)
        name = next(name for name in numbered(path.stem) if name.casefold() not in taken)
        taken.add(name.casefold())  # some file systems do not tell A from a
        yield name, PersonView(path.name, image, args.box or Box.of_picture(image), skeleton, joints, known, truth)


def joint_indices(names: Sequence[str] | None, skeleton: Skeleton) -> list[int] | None:
    """Places of the named joints; None if none was named.

    Raises
    ------
    DataError
        If there is no such joint; the message lists those there are.
    """
    if names is None:
        return None
    return list(range(len(skeleton))) if list(names) == ["all"] else [skeleton.index(name) for name in names]


def _keypoint(text: str) -> tuple[str, tuple[float, float]]:
    name, _, place = text.partition("=")
    try:
        x, y = map(float, place.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=x,y, such as left_wrist=312,204") from None
    if not (abs(x) < 1e5 and abs(y) < 1e5):
        raise argparse.ArgumentTypeError(f"{text!r}: the pixels must be finite")
    return name, (x, y)
