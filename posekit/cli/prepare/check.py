"""`posekit prepare check`: a data set looked over."""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from posekit.command_line import add_source_options
from posekit.data import WITH_PHOTOGRAPHS, open_people
from posekit.data.checks.check import check
from posekit.data.checks.check_results import BAD, CheckResult, results_table
from posekit.data.image_headers import Photographs, read_headers
from posekit.data.splits import OFFICIAL_SPLITS, split_of_file
from posekit.drawing.contact import named_sheet
from posekit.errors import ConfigError, DataError, ImageError
from posekit.files import writable_folder
from posekit.images import read_image, write_image
from posekit.people import People, concatenate

_DESCRIPTION = """\
ModelOutput a data set over before training on it, as a careful person would.

Each thing that was looked at is a line of the table: OK; LOOK where somebody should look or it cannot be told;
BAD where training would fail or learn something wrong. The exit status is 1 if anything is BAD."""

_EPILOG = """\
examples:
  MPII, its training and its validation part, and whether they share photographs
    %(prog)s --data mpii --root data/mpii
  the two parts into which LSPET is divided for training
    %(prog)s --data lsp --root data/lspet --split random:0.9:1 random-rest:0.9:1
  your own annotation in COCO's format
    %(prog)s --data coco --root mydata/annotations.json

what is looked at, for each split:
  persons, repeated persons    how many, against the published numbers; who is left out, and why
  photographs                  missing ones, and ones whose header cannot be read (only headers are read)
  joints outside, at limits    labels outside their photograph; coordinates at exactly -1, 0 or the last pixel
  head boxes, or torsos        whom PCKh (MPII) or PCK (others) must leave out
  coordinate base              labels that are all one pixel off: a file that counts from 1 taken for one
                               that counts from 0, or the reverse (photographs' sizes help to tell)
  left and right               exchanged in the whole set, or shoulders against hips in single persons
  joint order                  joints that are read in another order than the file's
and photographs that two splits share.

what is written:
  OUT/check.png                persons drawn at random, with every joint's name: look at it"""

# Those that there may be; to look for others means to read all files again.
_OFFICIAL_SPLITS = {"mpii": ("train", "valid"), "lsp": ("train", "test")}
_DRAWN = 12


def add_check(commands: argparse._SubParsersAction) -> None:
    """Add ``check`` to the commands."""
    parser = commands.add_parser(
        "check",
        help="look a data set over before training on it",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_source_options(parser, WITH_PHOTOGRAPHS)
    parser.add_argument("--split", nargs="+", metavar="NAME", help="splits to look at (default: the official ones that are there)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for check.png (default: runs/check-DATA-ROOTNAME)")
    parser.set_defaults(run=_check)


def _check(args: argparse.Namespace) -> None:
    root_name = re.sub(r"[^\w.]+", "-", args.root.absolute().name)
    out = writable_folder(args.out or Path("runs") / f"check-{args.data}-{root_name}")
    splits, lacking = _open_splits(args)
    images = (image for people in splits.values() for image in people.image_paths)
    photographs = read_headers(images, progress=sys.stderr.isatty())
    known_counts = not (args.root / "synthetic.json").is_file()
    findings = [*lacking, *check(splits, photographs, known_counts=known_counts)]
    print(results_table(findings) + "\n")
    print(_write_sheet(out / "check.png", splits, photographs))
    bad = sum(finding.verdict == BAD for finding in findings)
    if bad:
        raise DataError(f"{args.root}: {bad} of {len(findings)} findings are BAD; see above")


def _open_splits(args: argparse.Namespace) -> tuple[dict[str, People], list[CheckResult]]:
    """The splits that are asked for, or all official ones, or everyone; and what was found while looking for them."""
    if args.split:
        return {name: open_people(args.data, args.root, name) for name in dict.fromkeys(args.split)}, []
    splits, lacking = {}, []
    for name in _official_splits(args):
        try:
            splits[name] = open_people(args.data, args.root, name)
        except ConfigError:
            continue  # the data set has no such split
        except DataError as error:
            lacking.append(CheckResult(BAD, "persons", str(error), split=name))
    if splits:
        return splits, lacking
    return {"all": open_people(args.data, args.root)}, []


def _official_splits(args: argparse.Namespace) -> Sequence[str]:
    if args.data in _OFFICIAL_SPLITS:
        return _OFFICIAL_SPLITS[args.data]
    files = [args.root] if args.root.is_file() else [*args.root.glob("*.json"), *args.root.glob("annotations/*.json")]
    return sorted({split_of_file(path) for path in files} & set(OFFICIAL_SPLITS))


def _write_sheet(path: Path, splits: Mapping[str, People], photographs: Photographs) -> str:
    """Draw some persons whose photographs can be read; returns what to say about it."""
    people = concatenate(list(splits.values()))
    titles = [f"{name} {i}: {Path(image).name}" for name, part in splits.items() for i, image in enumerate(part.image_paths)]
    there = np.flatnonzero(np.isin(people.image_paths, list(photographs.sizes)))
    images = {}
    for person in np.random.default_rng(0).permutation(there).tolist():
        if len(images) == _DRAWN:
            break
        try:
            images[person] = read_image(people.image_paths[person])
        except ImageError as error:
            print(error)
    if not images:
        return "no photograph can be read: nobody is drawn"
    persons = [people[i] for i in images]
    write_image(path, named_sheet(list(images.values()), persons, people.skeleton, [titles[i] for i in images]))
    return f"wrote {path}: look whether names and sides are right"
