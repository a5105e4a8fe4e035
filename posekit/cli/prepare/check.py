"""`posekit prepare check`: check a data set before training on it."""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from posekit.data import open_people
from posekit.data.checks.check import check
from posekit.data.checks.check_results import BAD, CheckResult, results_table
from posekit.data.image_headers import ImageHeaders, read_headers
from posekit.data.splits import OFFICIAL_SPLITS, split_of_file
from posekit.drawing.labels import named_sheet
from posekit.errors import ConfigError, DataError, ImageError
from posekit.files import writable_folder
from posekit.images import read_image, write_image
from posekit.people import People, concatenate

# The official splits that these data sets can have; trying any other split would read all files again.
_OFFICIAL_SPLITS = {"mpii": ("train", "valid"), "lsp": ("train", "test")}
_DRAWN_PEOPLE = 12


def run(args: argparse.Namespace) -> None:
    """Print the table of check results, and draw randomly chosen people.

    Raises
    ------
    DataError
        If any result is BAD.
    """
    root_name = re.sub(r"[^\w.]+", "-", args.root.absolute().name)
    out = writable_folder(args.out or Path("runs") / f"check-{args.data}-{root_name}")
    splits, results = _open_splits(args)
    image_paths = np.concatenate([people.image_paths for people in splits.values()])
    headers = read_headers(image_paths, progress=sys.stderr.isatty())
    is_published = not (args.root / "synthetic.json").is_file()
    results += check(splits, headers, known_counts=is_published)
    print(results_table(results) + "\n")
    _draw_people(out / "check.png", splits, headers)
    n_bad = sum(result.verdict == BAD for result in results)
    if n_bad:
        raise DataError(f"{args.root}: {n_bad} of {len(results)} checks are BAD; see the table above")


def _open_splits(args: argparse.Namespace) -> tuple[dict[str, People], list[CheckResult]]:
    """Open the splits given with `--split`.

    Without `--split`, open all official splits; if the data set has no official splits, open all its people.

    Returns
    -------
    splits : dict of str to People
    results : list of CheckResult
        A BAD result for each official split that cannot be read.
    """
    if args.split:
        return {name: open_people(args.data, args.root, name) for name in args.split}, []
    splits = {}
    results = []
    for name in _official_splits(args):
        try:
            splits[name] = open_people(args.data, args.root, name)
        except ConfigError:
            continue  # the data set has no such split
        except DataError as error:
            results.append(CheckResult(BAD, "people", str(error), split=name))
    if splits:
        return splits, results
    return {"all": open_people(args.data, args.root)}, []


def _official_splits(args: argparse.Namespace) -> Sequence[str]:
    if args.data in _OFFICIAL_SPLITS:
        return _OFFICIAL_SPLITS[args.data]
    files = [args.root] if args.root.is_file() else [*args.root.glob("*.json"), *args.root.glob("annotations/*.json")]
    return sorted({split_of_file(path) for path in files} & set(OFFICIAL_SPLITS))


def _draw_people(path: Path, splits: Mapping[str, People], headers: ImageHeaders) -> None:
    """Draw randomly chosen people, skipping unreadable images."""
    people = concatenate(list(splits.values()))
    all_titles = []
    for name, split in splits.items():
        all_titles += [f"{name} {i}: {Path(image).name}" for i, image in enumerate(split.image_paths)]
    candidates = np.flatnonzero(np.isin(people.image_paths, list(headers.sizes)))
    images: list[np.ndarray] = []
    persons = []
    titles = []
    for i in np.random.default_rng(0).permutation(candidates).tolist():
        if len(images) == _DRAWN_PEOPLE:
            break
        try:
            images.append(read_image(people.image_paths[i]))
        except ImageError as error:
            print(error)
            continue
        persons.append(people[i])
        titles.append(all_titles[i])
    if not images:
        print("no people are drawn, because no image can be read")
        return
    write_image(path, named_sheet(images, persons, people.skeleton, titles))
    print(f"wrote {path}: check that joint names and left/right are correct")
