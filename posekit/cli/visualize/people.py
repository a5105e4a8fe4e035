"""The people to draw: in images without annotation, or from a data set."""

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from posekit.cli.naming import numbered
from posekit.data import open_people
from posekit.drawing.person_view import PersonView
from posekit.errors import ConfigError
from posekit.geometry import Box
from posekit.images import read_image
from posekit.people import People
from posekit.prediction.person_view import annotated_view
from posekit.skeletons import Skeleton


def open_split(args: argparse.Namespace) -> People | None:
    """Open the data set's split that the options name; None if they name none.

    Raises
    ------
    ConfigError
        If they name it only in part.
    """
    options = [args.data, args.root, args.split]
    if not any(options):
        return None
    if not all(options):
        raise ConfigError("a data set needs all of --data, --root and --split")
    return open_people(args.data, args.root, args.split)


def person_views(args: argparse.Namespace, people: People | None, skeleton: Skeleton) -> Iterator[tuple[str, PersonView]]:
    """Yield the people that the options name, each with a name for files, in the skeleton.

    Raises
    ------
    ConfigError, DataError, ImageError
        If the options name no people, or a person, joint or image that does not exist.
    """
    if people is not None and args.images:
        raise ConfigError("give images, or --person of a data set, not both")
    if people is None and not args.images:
        raise ConfigError("no people to draw: give an image, or --data, --root, --split and --person")
    if people is None:
        yield from _views_of_images(args, skeleton)
    else:
        yield from _annotated_views(args, people, skeleton)


def _annotated_views(args: argparse.Namespace, people: People, skeleton: Skeleton) -> Iterator[tuple[str, PersonView]]:
    if args.box or args.keypoints:
        raise ConfigError("--box and --keypoint are for images without annotation, not for --data")
    if not args.persons:
        raise ConfigError(f"choose people of {people.name} {people.split} with --person: 0 to {len(people) - 1}")
    require_persons(args.persons, people)
    people = people.mapped_to(skeleton)
    for index in args.persons:
        yield f"person-{index}", annotated_view(people, index)


def require_persons(numbers: Sequence[int], people: People) -> None:
    """Raise `ConfigError` unless the split has people of these numbers."""
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
        used.add(name.casefold())  # some file systems ignore case
        yield name, PersonView(path.name, image, args.box or Box.of_image(image), skeleton, joints, known, truth)


def joint_indices(names: Sequence[str] | None, skeleton: Skeleton) -> list[int] | None:
    """Return the indices of the named joints; None if none is named.

    Raises
    ------
    DataError
        If there is no such joint; the message lists those there are.
    """
    if names is None:
        return None
    if list(names) == ["all"]:
        return list(range(len(skeleton)))
    return [skeleton.index(name) for name in names]
