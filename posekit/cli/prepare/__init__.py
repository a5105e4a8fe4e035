"""`posekit prepare`: make, check, convert and pack data sets, convert weights."""

import argparse
import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from posekit.cli.prepare.check import add_check
from posekit.cli.prepare.convert import add_convert
from posekit.cli.prepare.pack import add_pack
from posekit.command_line import run_command
from posekit.lab.release.pose_model import add_release
from posekit.models import convert_weights
from posekit.synthetic.write import FORMATS, write_synthetic

_SYNTHETIC = """\
Render people and write them as a genuine MPII, LSP or LSPET data set.

Nothing has to be fetched: this is the data set for a first try, for tests, and for finding out what a
loss does where the truth is known to the pixel. The left and the right limb of a person look alike;
face, feet, chest and the way joints bend tell them apart."""

_SYNTHETIC_EPILOG = """\
examples:
  2,000 people, ready for --data mpii
    %(prog)s --out data/synthetic --people 2000
  other people for a test
    %(prog)s --out data/synthetic-test --people 500 --seed 1
  the same kind of pictures as Leeds Sports Pose, ready for --data lsp
    %(prog)s --out data/synthetic-lsp --format lsp

what is written:
  mpii    DIR/images/*.jpg, DIR/annot/mpii_human_pose_v1_u12_1.mat; nearly as many pictures as people, as
          some pictures show two; there is no official split: take --split random-rest:0.1:0 (nine tenths
          of the pictures) to train and --split random:0.1:0 (the others) to validate
  lsp     DIR/images/im0001.jpg …, DIR/joints.mat (3, 14, N); third row: occluded
  lspet   DIR/images/im00001.jpg …, DIR/joints.mat (14, 3, N); third column: labelled
  and DIR/synthetic.json, which says what was asked for

The same options give the same files, whatever the number of workers. A folder that holds the very same
set is left as it is; one that holds anything else is refused. Some 15 ms a picture and processor."""

_CONVERT_WEIGHTS = """\
Turn a published PyTorch checkpoint of the stacked hourglass (MPII, 16 joints) into a posekit weights file.

Known are those of bearpaw/pytorch-pose (checkpoint or model_best .pth.tar) and of
princeton-vl/pytorch_stacked_hourglass. Nothing in the file is executed."""


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(_parser(prog), lambda args: args.run(args), argv)


def _parser(prog: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Make, check, convert and pack data sets, convert weights.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_synthetic(commands)
    add_check(commands)
    add_convert(commands)
    add_pack(commands)
    add_release(commands)
    if find_spec("posekit.tasks.person_finder"):
        from posekit.lab.release.person_finder import add_release_detector

        add_release_detector(commands)
    _add_convert_weights(commands)
    return parser


def _add_synthetic(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "synthetic",
        help="render people and write them as MPII, LSP or LSPET files",
        description=_SYNTHETIC,
        epilog=_SYNTHETIC_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write; it must be new or empty")
    parser.add_argument("--people", type=int, default=2000, metavar="N", help="people to annotate (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="which people; 0 or more (default: %(default)s)")
    parser.add_argument("--format", choices=FORMATS, default="mpii", help="kind of annotation file (default: %(default)s)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one a processor)")
    parser.set_defaults(run=_synthetic)


def _synthetic(args: argparse.Namespace) -> None:
    folder = write_synthetic(args.out, people=args.people, seed=args.seed, format=args.format, workers=args.workers)
    pictures = json.loads((folder / "synthetic.json").read_text(encoding="utf-8"))["pictures"]
    print(f"{folder}: {args.people:,} annotated people in {pictures:,} pictures ({args.format})")


def _add_convert_weights(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "convert-weights",
        help="turn a published hourglass checkpoint into a posekit weights file",
        description=_CONVERT_WEIGHTS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, metavar="CHECKPOINT", help="the published .pth or .pth.tar file")
    parser.add_argument("target", type=Path, metavar="WEIGHTS", help="the .safetensors file to write")
    parser.set_defaults(run=_convert_weights)


def _convert_weights(args: argparse.Namespace) -> None:
    info = convert_weights(args.source, args.target)
    print(f"{args.target}: {info.stacks} stacks of {info.features} features, {len(info.skeleton)} joints, {info.input_size} px")
