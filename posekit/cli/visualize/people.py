"""Choose the people to draw, from images without annotation or from a data set."""

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from posekit.command_line import numbered
from posekit.data import open_people
from posekit.drawing.person_view import PersonView
from posekit.errors import ConfigError
from posekit.geometry import Box
from posekit.images import read_image
from posekit.people import People
from posekit.prediction.person_view import annotated_view
from posekit.skeletons import Skeleton


def open_split(args: argparse.Namespace) -> People | None:
    """Open the split given with `--data`, `--root` and `--split`; return None if none of the three options is given.

    Raises
    ------
    ConfigError
        If only some of the three options are given.
    """
    options = [args.data, args.root, args.split]
    if not any(options):
        return None
    if not all(options):
        raise ConfigError("to use a data set, give all three options --data, --root and --split")
    return open_people(args.data, args.root, args.split)


def person_views(args: argparse.Namespace, people: People | None, skeleton: Skeleton) -> Iterator[tuple[str, PersonView]]:
    """Yield the chosen people, mapped to the skeleton, each with a name for the output files.

    Raises
    ------
    ConfigError, DataError, ImageError
        If no people are chosen, or a chosen person, joint or image does not exist.
    """
    if people is not None and args.images:
        raise ConfigError("give either images or people of a data set (--person), not both")
    if people is None and not args.images:
        raise ConfigError("no people to draw: give an image, or --data, --root, --split and --person")
    if people is None:
        yield from _views_of_images(args, skeleton)
    else:
        yield from _annotated_views(args, people, skeleton)


def _annotated_views(args: argparse.Namespace, people: People, skeleton: Skeleton) -> Iterator[tuple[str, PersonView]]:
    if args.box or args.keypoints:
        raise ConfigError("--box and --keypoint apply only to images without annotation, not to a data set (--data)")
    if not args.persons:
        raise ConfigError(f"choose people of {people.name} {people.split} with --person: 0 to {len(people) - 1}")
    require_persons(args.persons, people)
    people = people.mapped_to(skeleton)
    for index in args.persons:
        yield f"person-{index}", annotated_view(people, index)


def require_persons(numbers: Sequence[int], people: People) -> None:
    """Raise `ConfigError` if any of the numbers is not a person of the split."""
    for number in numbers:
        if not 0 <= number < len(people):
            raise ConfigError(f"--person {number}: {people.name} {people.split} has people 0 to {len(people) - 1}")


def _views_of_images(args: argparse.Namespace, skeleton: Skeleton) -> Iterator[tuple[str, PersonView]]:
    if args.persons:
        raise ConfigError("--person needs --data, --root and --split")
    joints = np.zeros((len(skeleton), 2))
    known = np.zeros(len(skeleton), bool)
    for joint, point in args.keypoints:
        joints[skeleton.index(joint)] = point
        known[skeleton.index(joint)] = True
    truth = "keypoints given" if args.keypoints else ""
    used: set[str] = set()
    for path in args.images:
        image = read_image(path)
        name = next(name for name in numbered(path.stem) if name.casefold() not in used)
        used.add(name.casefold())  # some file systems are case-insensitive
        yield name, PersonView(path.name, image, args.box or Box.of_image(image), skeleton, joints, known, truth)


def joint_indices(names: Sequence[str] | None, skeleton: Skeleton) -> list[int] | None:
    """Return the indices of the named joints, or None if `names` is None. The list ["all"] means all joints.

    Raises
    ------
    DataError
        If a joint does not exist; the message lists the existing joints.
    """
    if names is None:
        return None
    if list(names) == ["all"]:
        return list(range(len(skeleton)))
    return [skeleton.index(name) for name in names]
