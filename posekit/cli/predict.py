"""`posekit predict`: keypoints and overlay pictures for photographs."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from posekit import __version__
from posekit.cli.arguments import box
from posekit.cli.command import run_command
from posekit.errors import BoxError, ImageError, OutputError
from posekit.files import replacing, writable_folder
from posekit.images import read_image, write_image
from posekit.inference import Pose, Predictor, load
from posekit.inference.backends import BACKENDS, PRECISIONS
from posekit.skeletons import Skeleton

_DESCRIPTION = """\
Find the keypoints of people in photographs.

The model looks at one person in one square box. Give each person's rectangle with --box; without it
the whole picture is taken as one person's box, which suits a photograph that one person fills."""

_EPILOG = """\
examples:
  one person who fills the picture
    %(prog)s runner.jpg --weights runs/lspet/best.safetensors --out poses
  two people in one picture; rectangles tight around them, the model looks a quarter further
    %(prog)s street.jpg --weights W --box 40,60,120,310 --box 300,55,110,305
  photographs from one fixed camera: every --box holds for every photograph
    %(prog)s shots/*.jpg --weights W --box 200,80,400,600
  a rectangle that begins left of the picture needs an equals sign: --box=-10,20,200,400

what is written:
  OUT/predictions.json   images (size as shown, after the EXIF turn), annotations (COCO keypoint
                         results: x, y, score for each joint, 0-based image pixels) and categories
                         (joint names, limbs); pycocotools' loadRes takes the list "annotations"
  OUT/NAME.overlay.png   the skeletons drawn on the photograph: the person's left side orange, right
                         side blue, middle white; boxes that were given are framed

A photograph that cannot be read, or that a box misses, is named and skipped; exit status 1 if none is left."""


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(_parser(prog), _run, argv)


def _parser(prog: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog, description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="photographs")
    parser.add_argument("--weights", required=True, metavar="W", help="weights file (.safetensors, .onnx)")
    parser.add_argument(
        "--box",
        dest="boxes",
        action="append",
        type=box,
        metavar="x,y,w,h",
        help="rectangle around one person: left, top, width, height in pixels; may be repeated (default: the whole picture)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("predictions"), metavar="DIR", help="folder to write (default: %(default)s)"
    )
    parser.add_argument(
        "--min-score",
        type=float,
        default=0.1,
        metavar="S",
        help="joints that score less are not drawn; the JSON file has them all (default: %(default)s)",
    )
    parser.add_argument(
        "--decode", choices=("quarter", "dark", "argmax"), default="quarter", help="heatmap to point (default: %(default)s)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N (default: %(default)s)")
    parser.add_argument("--backend", choices=BACKENDS, default="auto", help="what runs the model (default: %(default)s)")
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="no", help="what torch multiplies in; no: float32 (default: %(default)s)"
    )
    return parser


def _run(args: argparse.Namespace) -> None:
    predictor = load(args.weights, device=args.device, decode=args.decode, backend=args.backend, precision=args.precision)
    listing = _prepare_folder(args.out, args.inputs)
    overlays = _overlay_paths(args.inputs, args.out)
    content = _empty_listing(predictor, args.weights)
    failures = []
    try:
        for path, overlay in zip(tqdm(args.inputs, unit="photo", disable=_no_bar(args.inputs)), overlays, strict=True):
            try:
                image = read_image(path)
                poses = predictor(image, args.boxes)
            except (ImageError, BoxError) as error:
                failures.append(error)
                tqdm.write(f"skipped: {_naming(path, error)}", file=sys.stderr)
                continue
            _add(content, path, image, poses)
            write_image(overlay, _drawn(image, poses, args))
    finally:  # what is done is kept, whatever stops the rest
        if content["images"]:
            _write(listing, json.dumps(content, indent=1, allow_nan=False))
    _conclude(content, failures, args)


def _prepare_folder(out: Path, inputs: Sequence[Path]) -> Path:
    """Path of the JSON file, in a folder that can be written: found out before the work, not after it."""
    listing = writable_folder(out) / "predictions.json"
    if listing.resolve() in {path.resolve() for path in inputs}:
        raise OutputError(f"{listing} is an input and would be overwritten; choose another folder with --out")
    return listing


def _overlay_paths(inputs: Sequence[Path], out: Path) -> list[Path]:
    """One path for each input: NAME.overlay.png, or NAME-2.overlay.png … where that is taken or is an input."""
    taken = {_key(path) for path in inputs}
    paths = []
    for source in inputs:
        path, number = out / f"{source.stem}.overlay.png", 1
        while _key(path) in taken:
            number += 1
            path = out / f"{source.stem}-{number}.overlay.png"
        taken.add(_key(path))
        paths.append(path)
    return paths


def _key(path: Path) -> str:
    return str(path.resolve()).casefold()  # some file systems do not tell A from a


def _no_bar(inputs: Sequence[Path]) -> bool | None:
    return True if len(inputs) == 1 else None  # None: only on a terminal


def _naming(path: Path, error: Exception) -> str:
    return str(error) if str(path) in str(error) else f"{path}: {error}"


def _empty_listing(predictor: Predictor, weights: str) -> dict:
    skeleton = predictor.info.skeleton
    return {
        "info": {"posekit": __version__, "weights": str(weights), "decode": predictor.decode},
        "images": [],
        "annotations": [],
        "categories": [_category(skeleton)],
    }


def _category(skeleton: Skeleton) -> dict:
    limbs = [[a + 1, b + 1] for a, b in skeleton.limb_indices]  # COCO counts joints from 1 here
    return {"id": 1, "name": "person", "supercategory": "person", "keypoints": list(skeleton.joints), "skeleton": limbs}


def _add(content: dict, path: Path, image: np.ndarray, poses: Sequence[Pose]) -> None:
    image_id = len(content["images"]) + 1
    height, width = image.shape[:2]
    content["images"].append({"id": image_id, "file_name": str(path), "width": width, "height": height})
    for pose in poses:
        content["annotations"].append({"id": len(content["annotations"]) + 1, **pose.to_coco(image_id)})


def _drawn(image: np.ndarray, poses: Sequence[Pose], args: argparse.Namespace) -> np.ndarray:
    for pose in poses:
        image = pose.draw(image, min_score=args.min_score, show_box=args.boxes is not None)
    return image


def _write(path: Path, text: str) -> None:
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _conclude(content: dict, failures: Sequence[Exception], args: argparse.Namespace) -> None:
    if failures:
        print(f"{len(failures)} of {len(args.inputs)} photographs skipped", file=sys.stderr)
    if not content["images"]:
        raise ImageError("no photograph could be used")
    print(f"people: {len(content['annotations'])}, photographs: {len(content['images'])}")
    print(f"wrote {args.out / 'predictions.json'} and {args.out / '*.overlay.png'}")
