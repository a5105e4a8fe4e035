"""`posekit prepare convert`: a data set's annotation in another form."""

import argparse
import sys
from pathlib import Path

import numpy as np

from posekit.command_line import add_source_options
from posekit.data import open_people
from posekit.data.convert import write_coco, write_hourglass
from posekit.data.image_headers import read_headers
from posekit.errors import ConfigError, OutputError
from posekit.scoring.io.coco import image_ids

_DESCRIPTION = """\
Write a data set's annotation in another form, without MATLAB: MPII (any form) or LSP and LSPET as COCO keypoints,
MPII as the stacked hourglass authors' HDF5."""

_EPILOG = """\
examples:
  MPII's .mat as COCO keypoints, to be read here with --data coco --root data/mpii/valid.json
    %(prog)s --data mpii --root data/mpii --split valid --to coco --out data/mpii/valid.json
  the same as HDF5, for programs that read the hourglass authors' files
    %(prog)s --data mpii --root data/mpii --split train --to h5 --out hourglass/annot/train.h5
  LSPET as COCO keypoints
    %(prog)s --data lsp --root data/lspet --to coco --out data/lspet/lspet_train.json

what is written:
  coco    0-based pixels; visibility 0 not labelled, 1 hidden, 2 visible; bbox: the square box divided by 1.25,
          so that the margin of --data coco gives the very same box; area: that of the labelled joints' tight box;
          width and height of photographs that are there, otherwise 0; head_size (PCKh's) where it is known
  h5      part, visible, center, scale (adjusted for the crop), normalize, imgname; 1-based pixels
The joints are those that are read here; MPII's valid has the evaluation file's, where it lies beside the annotation.
With train, valid or test in FILE's name (lspet_train.json) --split knows it by that word."""

_SUFFIXES = {"coco": ".json", "h5": ".h5"}


def add_convert(commands: argparse._SubParsersAction) -> None:
    """Add ``convert`` to the commands."""
    parser = commands.add_parser(
        "convert",
        help="write MPII, LSP or LSPET as COCO keypoints or HDF5",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_source_options(parser, ("mpii", "lsp"))
    parser.add_argument("--split", default="all", metavar="NAME", help="whom to write (default: %(default)s)")
    parser.add_argument("--to", required=True, choices=tuple(_SUFFIXES), help="form to write")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="file to write; it must be new")
    parser.set_defaults(run=_convert)


def _convert(args: argparse.Namespace) -> None:
    if args.out.suffix != _SUFFIXES[args.to]:
        raise ConfigError(f"--out {args.out}: with --to {args.to} the file's name must end in {_SUFFIXES[args.to]}")
    if args.out.exists():
        raise OutputError(f"{args.out}: is there already; remove it or choose another name")
    people = open_people(args.data, args.root, args.split)
    if args.to == "h5":
        write_hourglass(args.out, people)
        lacking, what = np.count_nonzero(~np.isfinite(people.head_sizes)), "persons have no head size: their normalize is NaN"
    else:
        photographs = read_headers(people.image_paths, progress=sys.stderr.isatty())
        write_coco(args.out, people, image_ids(people), photographs)
        lacking = len(set(people.image_paths.tolist()) - set(photographs.sizes))
        what = "photographs cannot be read: their width and height are 0"
    left_out = "".join(f", {count:,} left out: {reason}" for reason, count in people.left_out.items())
    print(f"{args.out}: {len(people):,} persons of {people.name} {people.split} ({people.box_source}){left_out}")
    if lacking:
        print(f"warning: {lacking:,} {what}")
