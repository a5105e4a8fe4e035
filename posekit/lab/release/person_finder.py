"""`posekit prepare release-detector`: write trained detector weights as a small file with a model card."""

import argparse
from pathlib import Path

import numpy as np
from torch.utils.benchmark import set_torch_threads

from posekit.drawing.labels import draw_boxes
from posekit.drawing.pose import contact_sheet
from posekit.errors import ConfigError, DataError
from posekit.images import write_image
from posekit.lab.release.card import (
    release_path,
    run_settings,
    seconds_per_call,
    size_facts,
    training_facts,
    training_section,
    write_card,
)
from posekit.models import load_weights, save_weights
from posekit.prediction.detect import CANDIDATES
from posekit.synthetic.scene import render_scene
from posekit.tables import markdown_table
from posekit.tasks.person_finder.build import build_scene_parts
from posekit.tasks.person_finder.config import DetectorConfig
from posekit.tasks.person_finder.finder import CentreFinder, CentresInfo
from posekit.tasks.person_finder.scenes import SceneDataset
from posekit.tasks.person_finder.score import Proposals, score_proposals
from posekit.training.config_files import ConfigParser

_EXAMPLES = 8
_COLUMNS = 4
_SHOWN_SCORE = 0.15


def run(args: argparse.Namespace) -> None:
    """Write the half-precision weights, the model card and an image of example detections; score the weights as written.

    Raises
    ------
    ConfigError
        If the run's config.yaml is missing.
    DataError
        If a weight is too large for half precision.
    """
    path = release_path(args.out, args.name)
    model, info = load_weights(args.weights, info_class=CentresInfo)
    scenes = _validation_scenes(args)
    info = info.with_notes(name=args.name, terms=args.terms)
    try:
        save_weights(path, model, info, half=True)
    except ValueError as error:
        raise DataError(f"{args.weights}: cannot be released ({error})") from error
    finder = CentreFinder(path)
    print(f"scoring: {len(scenes):,} scenes")
    proposals = score_proposals(finder, scenes)
    facts = {
        "finds": "people in whole images, as boxes for a pose model",
        "network": f"one hourglass of {info.features} features" + (f" on {info.encoder}" if info.encoder else ""),
        "maps": f"centres of people whose longer side is {', '.join(f'{size:.0f}' for size in info.sizes)} px",
        **training_facts(info.notes),
        **size_facts(model, path),
        "speed": _speed(path, scenes),
    }
    write_image(path.with_suffix(".png"), _draw_examples(finder))
    recall = _recall_table(proposals)
    sections = [
        "## Scores",
        f"Percentage of people found in {len(scenes):,} scenes of {scenes.size} x {scenes.size} pixels, composed of people of "
        f"{scenes.people.name} {scenes.people.split}. A person is found if one of the at most {CANDIDATES} boxes has an IoU of at "
        f"least 0.5. The detector gives {proposals.boxes_S.mean():.0f} boxes per scene on average; the pose model must reject most "
        "of these boxes. In brackets: 95 % intervals of a bootstrap over scenes.",
        recall,
        "## Examples",
        f"![rendered people]({args.name}.png)",
        f"Rendered people, which the detector was not trained on, and the boxes with a score of at least {_SHOWN_SCORE}. A person "
        "may have several boxes.",
        *training_section("train-detector", run_settings(args.weights)),
    ]
    write_card(args, path, facts, sections, recall)


def _validation_scenes(args: argparse.Namespace) -> SceneDataset:
    """Open the validation scenes of the training run."""
    path = args.weights.parent / "config.yaml"
    if not path.is_file():
        raise ConfigError(f"{args.weights}: the same folder must contain config.yaml, which names the validation data")
    overrides = [f"--data.root={args.root}"] if args.root else []
    config = ConfigParser(DetectorConfig).read(path, overrides)
    _, valid, backgrounds = build_scene_parts(config.data)
    return SceneDataset(valid, backgrounds, size=config.model.input_size, seed=config.seed)


def _speed(path: Path, scenes: SceneDataset) -> str:
    """Measure the speed of the detector on one thread of this machine."""
    image = np.zeros((2 * scenes.size, 2 * scenes.size, 3), np.uint8)
    with set_torch_threads(1):
        finder = CentreFinder(path, device="cpu")
        return f"{1 / seconds_per_call(lambda: finder(image)):.1f} images/s on one core"


def _draw_examples(finder: CentreFinder) -> np.ndarray:
    """Draw rendered people and the detections with a score of at least `_SHOWN_SCORE`."""
    images = [render_scene(np.random.default_rng(seed), subjects=1 + seed % 2).image for seed in range(_EXAMPLES)]
    tile_shape = np.max([image.shape for image in images], axis=0)
    tiles = []
    for image in images:
        height, width = image.shape[:2]
        detections = [(box, score) for box, score in finder(image) if score >= _SHOWN_SCORE]
        tile = np.zeros(tile_shape, np.uint8)
        tile[:height, :width] = draw_boxes(image, detections)
        tiles.append(tile)
    return contact_sheet(tiles, _COLUMNS)


def _recall_table(proposals: Proposals) -> str:
    rows = []
    for name, (n_people, percent, (low, high)) in proposals.recall().items():
        rows.append([name, f"{n_people:,}", f"{percent:.1f} ({low:.1f} to {high:.1f})"])
    return markdown_table(["group", "people", "found, %"], rows)
