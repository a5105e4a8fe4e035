"""Helpers that the subcommands of `posekit visualize` share: load models, choose the people to draw, write figures."""

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from posekit.command_line import numbered
from posekit.data import open_people
from posekit.drawing.person_view import PersonView
from posekit.drawing.style import save_figure
from posekit.errors import ConfigError
from posekit.geometry import Box
from posekit.images import read_image
from posekit.people import People
from posekit.prediction.person_view import annotated_view
from posekit.prediction.predictor import Predictor, load
from posekit.skeletons import Skeleton
from posekit.weights import FOLDER, locate, shipped

# File stems of the weights that `posekit train` writes.
_NAMES_IN_A_RUN = re.compile(r"best|final|epoch-\d+")


def load_models(weights: Sequence[str], device: str) -> dict[str, Predictor]:
    """Load weights files or bundled weights by name, all with the same joints; return the models by short, unique names."""
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
    """Name models of one run by epoch or file stem, and models of several runs by run folder; use longer names if ambiguous."""
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


def open_split(args: argparse.Namespace) -> People | None:
    """Open the split given with `--data`, `--root` and `--split`; return None if none of the three options is given."""
    options = [args.data, args.root, args.split]
    if not any(options):
        return None
    if not all(options):
        raise ConfigError("to use a data set, give all three options --data, --root and --split")
    return open_people(args.data, args.root, args.split)


def person_views(args: argparse.Namespace, people: People | None, skeleton: Skeleton) -> Iterator[tuple[str, PersonView]]:
    """Yield the chosen people, mapped to the skeleton, each with a name for the output files."""
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
    """Return the indices of the named joints, or None if `names` is None. The list ["all"] means all joints."""
    if names is None:
        return None
    if list(names) == ["all"]:
        return list(range(len(skeleton)))
    return [skeleton.index(name) for name in names]


def write_plot(figure, folder: Path, name: str) -> None:
    """Write a matplotlib figure of lines and bars as NAME.png, NAME.svg and NAME.pdf, and print the paths."""
    for suffix in ("png", "svg", "pdf"):
        _write(figure, folder / f"{name}.{suffix}")


def write_png(figure, folder: Path, name: str) -> None:
    """Write a matplotlib figure of images or heatmaps as NAME.png only, and print the path."""
    _write(figure, folder / f"{name}.png")


def _write(figure, path: Path) -> None:
    save_figure(figure, path)
    print(f"wrote {path}")
