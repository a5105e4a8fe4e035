"""`posekit prepare convert`: convert the annotation of a data set to another format."""

import argparse
import sys

import numpy as np

from posekit.cli.prepare.parser import ANNOTATION_SUFFIXES
from posekit.data import open_people
from posekit.data.convert import write_coco, write_hourglass
from posekit.data.image_headers import read_headers
from posekit.errors import ConfigError, OutputError
from posekit.scoring.io.coco import image_ids


def run(args: argparse.Namespace) -> None:
    """Write the annotation file."""
    suffix = ANNOTATION_SUFFIXES[args.to]
    if args.out.suffix != suffix:
        raise ConfigError(f"--out {args.out}: with --to {args.to} the file's name must end in {suffix}")
    if args.out.exists():
        raise OutputError(f"{args.out}: already exists; remove it or choose another name")
    people = open_people(args.data, args.root, args.split)
    warning = ""
    if args.to == "h5":
        write_hourglass(args.out, people)
        n_unknown = np.count_nonzero(~np.isfinite(people.head_sizes))
        if n_unknown:
            warning = f"{n_unknown:,} people have no head size; their values in normalize are NaN"
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
