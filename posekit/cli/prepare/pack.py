"""`posekit prepare pack`: pack the crop and annotation of every person into one file."""

import argparse

from posekit.data import open_people
from posekit.data.pack.crops import Packing
from posekit.data.pack.write import write_pack
from posekit.data.splits import OFFICIAL_SPLITS
from posekit.errors import ConfigError, DataError
from posekit.people import People


def run(args: argparse.Namespace) -> None:
    """Write the pack as one file, or as several parts."""
    if args.out.suffix != ".h5":
        raise ConfigError(f"--out {args.out}: the file's name must end in .h5")
    packing = Packing(args.side, args.margin, args.quality)
    people = open_people(args.data, args.root, args.split)
    official = _official_splits(args) if args.split == "all" else {}
    files, failures = write_pack(args.out, people, packing, official=official, part_bytes=args.part_size, workers=args.workers)
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    names = f"{files[0]} … {files[-1].name}" if len(files) > 1 else str(files[0])
    encoding = f"JPEG {packing.quality}" if packing.quality else "raw pixels"
    print(
        f"{names}: {len(people):,} people of {people.name} {people.split}, "
        f"{megabytes:,.1f} MB ({encoding}, {packing.side} px, margin {packing.margin:g})"
    )
    if failures:
        print(f"warning: {len(failures):,} people have no crop, because their image cannot be read")


def _official_splits(args: argparse.Namespace) -> dict[str, People]:
    """Open the data set's own splits, so that a pack of all people can later be read in these splits."""
    splits = {}
    for name in OFFICIAL_SPLITS:
        try:
            splits[name] = open_people(args.data, args.root, name)
        except (ConfigError, DataError):
            continue  # the data set lacks this split or some of its files
    return splits
