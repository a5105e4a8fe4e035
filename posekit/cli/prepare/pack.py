"""`posekit prepare pack`: every person's crop and annotation in one file."""

import argparse
import re
from pathlib import Path

from posekit.command_line import above_zero, add_source_options, positive
from posekit.data import WITH_PHOTOGRAPHS, open_people
from posekit.data.pack.crops import Packing
from posekit.data.pack.write import write_pack
from posekit.data.splits import OFFICIAL_SPLITS
from posekit.errors import ConfigError, DataError
from posekit.people import People

_DESCRIPTION = """\
Write every person's crop and annotation into one HDF5 file, for training without thousands of small files.

Joints and boxes stay in pixels of the photographs, so that whatever is trained on, predicted or scored is the same as
with the photographs themselves, but for what JPEG loses and where large persons are scaled down."""

_EPILOG = """\
examples:
  LSPET
    %(prog)s --data lsp --root data/lspet --out data/lspet.h5
  MPII's training part, in parts that fit a limit for files
    %(prog)s --data mpii --root data/mpii --split train --out data/mpii-train.h5 --part-size 1GB

and then, with the file, any one of its parts or 'data/mpii-train-*.h5' as root:
    posekit eval --weights W --data packed --root data/lspet.h5 --split all
and in a training configuration: {data: packed, path: lspet.h5, split: random:0.9:1}

what is written:
  OUT                     or OUT's name with -000, -001, … where --part-size is given; data/README.md tells the format
  OUT.unfinished          crops while the command runs, as large as OUT; interrupted, the same command goes on from there
A pack of all people can be divided when it is read, into the data set's own splits and by random:FRACTION:SEED.
A photograph that is no larger than its crop's JPEG would be is packed as it is: nothing is lost."""

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def add_pack(commands: argparse._SubParsersAction) -> None:
    """Add ``pack`` to the commands."""
    parser = commands.add_parser(
        "pack",
        help="write everyone's crop and annotation into one file",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_source_options(parser, WITH_PHOTOGRAPHS)
    parser.add_argument("--split", default="all", metavar="NAME", help="whom to pack (default: %(default)s)")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.h5", help="file to write; it must be new")
    parser.add_argument(
        "--side",
        type=positive,
        default=Packing.side,
        metavar="PX",
        help="largest side of a crop; enough for 256 px (default: %(default)s)",
    )
    parser.add_argument(
        "--margin", type=above_zero, default=Packing.margin, metavar="M",
        help="side of what is packed relative to the person's box; enough for the default augmentation (default: %(default)s)",
    )  # fmt: skip
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--quality", type=positive, default=Packing.quality, metavar="Q", help="of the JPEGs (default: %(default)s)")
    form.add_argument("--raw", dest="quality", action="store_const", const=0, help="pixels instead of JPEGs")
    parser.add_argument("--part-size", type=_size, metavar="SIZE", help="split into files of at most this size, such as 60MB")
    parser.add_argument("--workers", type=positive, metavar="N", help="processes (default: one a processor)")
    parser.set_defaults(run=_pack)


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)(KB|MB|GB|)", text.upper().replace(" ", ""))
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r}: expected bytes, or a whole number of kB, MB or GB, such as 60MB")
    return int(match[1]) * _UNITS[match[2]]


def _pack(args: argparse.Namespace) -> None:
    if args.out.suffix != ".h5":
        raise ConfigError(f"--out {args.out}: the file's name must end in .h5")
    packing = Packing(args.side, args.margin, args.quality)
    people = open_people(args.data, args.root, args.split)
    files, failures = write_pack(
        args.out, people, packing, official=_official(args), part_bytes=args.part_size, workers=args.workers
    )
    size = sum(path.stat().st_size for path in files)
    form = f"JPEG {packing.quality}" if packing.quality else "raw pixels"
    print(
        f"{files[0]}{f' … {files[-1].name}' if len(files) > 1 else ''}: {len(people):,} persons of {people.name} {people.split}, "
        f"{size / 1e6:,.1f} MB ({form}, {packing.side} px, margin {packing.margin:g})"
    )
    if failures:
        print(f"warning: {len(failures):,} of them have no crop, as their photograph cannot be read")


def _official(args: argparse.Namespace) -> dict[str, People]:
    """The data set's own splits, which a pack of all can be divided into."""
    official = {}
    for name in OFFICIAL_SPLITS if args.split == "all" else ():
        try:
            official[name] = open_people(args.data, args.root, name)
        except (ConfigError, DataError):
            continue  # it has no such split, or not whole
    return official
