"""`posekit prepare synthetic`: render people and write them as a data set."""

import argparse
import json

from posekit.synthetic.write import write_synthetic


def run(args: argparse.Namespace) -> None:
    """Render the people and write the data set."""
    folder = write_synthetic(args.out, people=args.people, seed=args.seed, format=args.format, workers=args.workers)
    n_images = json.loads((folder / "synthetic.json").read_text(encoding="utf-8"))["pictures"]
    print(f"{folder}: {args.people:,} annotated people in {n_images:,} images ({args.format})")
