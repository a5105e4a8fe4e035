"""The work of `posekit prepare`. Only `pack` and `convert-weights` import torch."""

import argparse
import json
import re
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from posekit.data import open_people
from posekit.data.checks import BAD, CheckResult, results_table
from posekit.data.checks.check import check
from posekit.data.convert import write_coco, write_hourglass
from posekit.data.splits import OFFICIAL_SPLITS, split_of_file
from posekit.drawing.labels import named_sheet
from posekit.errors import ConfigError, DataError, ImageError, OutputError
from posekit.files import writable_folder
from posekit.images import read_headers, read_image, write_image
from posekit.people import People, concatenate
from posekit.scoring.io.coco import image_ids
from posekit.synthetic.write import write_synthetic

_DRAWN_PEOPLE = 12


def render(args: argparse.Namespace) -> None:
    """Render people and write them as a data set."""
    folder = write_synthetic(args.out, people=args.people, seed=args.seed, format=args.format, workers=args.workers)
    n_images = json.loads((folder / "synthetic.json").read_text(encoding="utf-8"))["pictures"]
    print(f"{folder}: {args.people:,} annotated people in {n_images:,} images ({args.format})")


def check_data(args: argparse.Namespace) -> None:
    """Print the table of check results, and draw randomly chosen people; raise `DataError` if any result is BAD."""
    root_name = re.sub(r"[^\w.]+", "-", args.root.absolute().name)
    out = writable_folder(args.out or Path("runs") / f"check-{args.data}-{root_name}")
    results = []
    if args.split:
        splits = {name: open_people(args.data, args.root, name) for name in args.split}
    else:
        splits, errors = _open_official_splits(args)
        results = [CheckResult(BAD, "people", str(error), split=name) for name, error in errors.items()]
        splits = splits or {"all": open_people(args.data, args.root)}
    image_paths = np.concatenate([people.image_paths for people in splits.values()])
    headers = read_headers(image_paths, progress=sys.stderr.isatty())
    is_published = not (args.root / "synthetic.json").is_file()
    results += check(splits, headers, known_counts=is_published)
    print(results_table(results) + "\n")
    _draw_people(out / "check.png", splits, headers.sizes)
    n_bad = sum(result.verdict == BAD for result in results)
    if n_bad:
        raise DataError(f"{args.root}: {n_bad} of {len(results)} checks are BAD; see the table above")


def _open_official_splits(args: argparse.Namespace) -> tuple[dict[str, People], dict[str, DataError]]:
    """Open the data set's own splits; also return the errors of splits that cannot be read."""
    names: Sequence[str]
    if args.data == "coco":
        files = [args.root] if args.root.is_file() else [*args.root.glob("*.json"), *args.root.glob("annotations/*.json")]
        names = sorted({split_of_file(path) for path in files} & set(OFFICIAL_SPLITS))
    else:  # only the usual splits: trying the third official split would read all files again
        names = ("train", "valid") if args.data == "mpii" else ("train", "test")
    splits = {}
    errors = {}
    for name in names:
        try:
            splits[name] = open_people(args.data, args.root, name)
        except ConfigError:
            continue  # the data set has no such split
        except DataError as error:
            errors[name] = error
    return splits, errors


def _draw_people(path: Path, splits: dict[str, People], readable: Collection[str]) -> None:
    """Draw randomly chosen people whose images are in `readable`, skipping images that turn out to be unreadable."""
    people = concatenate(list(splits.values()))
    all_titles = []
    for name, split in splits.items():
        all_titles += [f"{name} {i}: {Path(image).name}" for i, image in enumerate(split.image_paths)]
    candidates = np.flatnonzero(np.isin(people.image_paths, list(readable)))
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


def convert(args: argparse.Namespace) -> None:
    """Write the annotation of a data set in another format."""
    suffix = ".json" if args.to == "coco" else ".h5"
    if args.out.suffix != suffix:
        raise ConfigError(f"--out {args.out}: with --to {args.to} the file's name must end in {suffix}")
    if args.out.exists():
        raise OutputError(f"{args.out}: already exists; remove the file or choose another name")
    people = open_people(args.data, args.root, args.split)
    warning = ""
    if args.to == "h5":
        write_hourglass(args.out, people)
        n_unknown = np.count_nonzero(~np.isfinite(people.head_sizes))
        if n_unknown:
            warning = f"{n_unknown:,} people have no head size; their normalize values are NaN"
    else:
        headers = read_headers(people.image_paths, progress=sys.stderr.isatty())
        write_coco(args.out, people, image_ids(people), headers)
        n_unreadable = len(set(people.image_paths.tolist()) - set(headers.sizes))
        if n_unreadable:
            warning = f"{n_unreadable:,} images cannot be read; their width and height are written as 0"
    left_out = "".join(f", {count:,} left out: {reason}" for reason, count in people.left_out.items())
    print(f"{args.out}: {len(people):,} people of {people.name} {people.split} ({people.box_source}){left_out}")
    if warning:
        print(f"warning: {warning}")


def pack(args: argparse.Namespace) -> None:
    """Write the crop and annotation of every person into one file, or into several parts."""
    from posekit.data.packing import Packing, write_pack

    if args.out.suffix != ".h5":
        raise ConfigError(f"--out {args.out}: the file's name must end in .h5")
    packing = Packing(args.side, args.margin, args.quality)
    people = open_people(args.data, args.root, args.split)
    # A pack of all people also stores the official splits, so that each split can later be read from the pack.
    official = _open_official_splits(args)[0] if args.split == "all" else {}
    files, failures = write_pack(args.out, people, packing, official=official, part_bytes=args.part_size, workers=args.workers)
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    names = f"{files[0]} … {files[-1].name}" if len(files) > 1 else str(files[0])
    encoding = f"JPEG {packing.quality}" if packing.quality else "raw pixels"
    print(
        f"{names}: {len(people):,} people of {people.name} {people.split}, "
        f"{megabytes:,.1f} MB ({encoding}, {packing.side} px, margin {packing.margin:g})"
    )
    if failures:
        print(f"warning: {len(failures):,} people have no crop, because their images cannot be read")


def convert_weights(args: argparse.Namespace) -> None:
    """Convert a published hourglass checkpoint to a posekit weights file."""
    from posekit import models

    info = models.convert_weights(args.source, args.target)
    print(f"{args.target}: {info.stacks} stacks of {info.features} features, {len(info.skeleton)} joints, {info.input_size} px")
