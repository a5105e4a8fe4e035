"""`posekit prepare release-detector`: a trained network that finds people as one small file with its card."""

import argparse
from pathlib import Path

import numpy as np
import yaml

from benchmarks.measure import per_second, threads
from posekit.drawing.boxes import draw_boxes
from posekit.drawing.pose import contact_sheet
from posekit.errors import ConfigError, DataError
from posekit.files import atomic_write
from posekit.images import write_image
from posekit.lab.release.pose_model import release_path, run_settings
from posekit.models import load_weights, save_weights
from posekit.prediction.detect.pose_detector import CANDIDATES
from posekit.scoring.markdown import markdown_table
from posekit.synthetic.scene import render_scene
from posekit.tasks.person_finder.build import build_scene_parts
from posekit.tasks.person_finder.config import DetectorConfig
from posekit.tasks.person_finder.finder import CentreFinder
from posekit.tasks.person_finder.model import CentresInfo
from posekit.tasks.person_finder.scenes import SceneDataset
from posekit.tasks.person_finder.score import Proposals, score_proposals
from posekit.training.config_files import ConfigParser
from posekit.weights import FOLDER

_DESCRIPTION = """\
Make a trained network that finds people ready to be passed on: half precision, in one small file, beside a card that tells what
it was trained on, what it may be used for, and whom it finds in scenes of other people. The very weights that are written are
scored."""

_EPILOG = """\
example:
  %(prog)s --weights runs/lspet-people/best.safetensors --name lspet-people --root data --terms "For research use, as the data set."

what is written:
  OUT/NAME.safetensors   the weights; predict takes posekit/weights/lspet-people.safetensors
  OUT/NAME.md, NAME.png  the card, and what is found in pictures of rendered people"""

_PICTURES, _ACROSS, _SURE = 8, 4, 0.15


def add_release_detector(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "release-detector",
        help="the same of a network that finds people",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--weights", required=True, type=Path, metavar="W", help="weights of train-detector, beside the run's config.yaml"
    )
    parser.add_argument("--name", required=True, help="what they are to be called")
    parser.add_argument("--root", metavar="DIR", help="folder that the data's paths start from (default: the run's)")
    parser.add_argument("--terms", required=True, metavar="TEXT", help="what they may be used for: mostly what the data set may")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help="folder to write (default: posekit's own)")
    parser.set_defaults(run=_release)


def _release(args: argparse.Namespace) -> None:
    path = release_path(args)
    model, info = load_weights(args.weights, info_class=CentresInfo)
    scenes = _scenes(args)
    info = info.with_notes(name=args.name, terms=args.terms)
    try:
        save_weights(path, model, info, half=True)
    except ValueError as error:
        raise DataError(f"{args.weights}: cannot be released ({error})") from error
    find = CentreFinder(path)
    print(f"scoring: {len(scenes):,} scenes")
    proposals = score_proposals(find, scenes)
    facts = {
        "parameters": f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.2f} M",
        "file": f"{path.stat().st_size / 1e6:.1f} MB, half precision",
        "speed": _speed(path, scenes),
    }
    picture = path.with_suffix(".png")
    write_image(picture, _sheet(find))
    with atomic_write(path.with_suffix(".md")) as unfinished:
        unfinished.write_text(_card(args, info, facts, proposals, scenes, picture.name), encoding="utf-8")
    print(f"{_recall(proposals)}\n\nwrote {path} and its card, {path.with_suffix('.md')}")


def _scenes(args: argparse.Namespace) -> SceneDataset:
    """Those that the run validated on."""
    configuration = args.weights.parent / "config.yaml"
    if not configuration.is_file():
        raise ConfigError(f"{args.weights}: has no config.yaml beside it, which tells what it was validated on")
    overrides = [f"--data.root={args.root}"] if args.root else []
    config = ConfigParser(DetectorConfig).read(configuration, overrides)
    _, valid, backgrounds = build_scene_parts(config.data)
    return SceneDataset(valid, backgrounds, size=config.model.input_size, seed=config.seed)


def _speed(path: Path, scenes: SceneDataset) -> str:
    """Pictures per second on one thread of this machine."""
    with threads(1):
        find = CentreFinder(path, device="cpu")
        image = np.zeros((2 * scenes.size, 2 * scenes.size, 3), np.uint8)
        return f"{per_second(lambda: find(image)):.1f} pictures/s on one core"


def _sheet(find: CentreFinder) -> np.ndarray:
    """Rendered people, and what the network is fairly sure of."""
    images = [render_scene(np.random.default_rng(seed), subjects=1 + seed % 2).image for seed in range(_PICTURES)]
    tiles = np.zeros((_PICTURES, *np.max([image.shape for image in images], axis=0)), np.uint8)
    for tile, image in zip(tiles, images, strict=True):
        height, width = image.shape[:2]
        tile[:height, :width] = draw_boxes(image, [found for found in find(image) if found[1] >= _SURE])
    return contact_sheet(tiles, _ACROSS)


def _card(
    args: argparse.Namespace, info: CentresInfo, facts: dict[str, str], proposals: Proposals, scenes: SceneDataset, picture: str
) -> str:
    sizes = ", ".join(f"{size:.0f}" for size in info.sizes)
    learned = {name: str(info.notes[name]) for name in ("trained_on", "loss", "gamma", "epochs") if name in info.notes}
    table = {
        "finds": "people in whole pictures: boxes for a pose model to look into; no pose model itself",
        "network": f"one hourglass of {info.features} features" + (f" on {info.encoder}" if info.encoder else ""),
        "maps": f"middles of people whose longer side is {sizes} px",
        **{name.replace("_", " "): text for name, text in learned.items()},
        **facts,
    }
    settings = yaml.safe_dump(run_settings(args.weights), sort_keys=False).strip()
    return "\n\n".join(
        [
            f"# {args.name}",
            markdown_table(["", ""], list(table.items())),
            f"**Terms of use.** {args.terms}",
            "## Scores",
            f"Share of the people that one of at most {CANDIDATES} boxes is about (IoU 0.5), in {len(scenes):,} scenes of "
            f"{scenes.size} x {scenes.size} pixels, pasted together from people of {scenes.people.name} {scenes.people.split}; "
            f"{proposals.boxes_S.mean():.0f} boxes a scene, most of which the pose model must turn down. 95 % intervals of a "
            "bootstrap over scenes.",
            _recall(proposals),
            "## What it finds",
            f"![rendered people]({picture})",
            f"Rendered people, of whom it has seen none, and the boxes whose peak is {_SURE} and more. Someone may have several.",
            "## Made by",
            f"`posekit train-detector` with this configuration:\n\n```yaml\n{settings}\n```\n",
        ]
    )


def _recall(proposals: Proposals) -> str:
    rows = [
        [name, f"{there:,}", f"{share:.1f} ({low:.1f} to {high:.1f})"]
        for name, (there, share, (low, high)) in proposals.recall().items()
    ]
    return markdown_table(["who", "people", "found, %"], rows)
