"""What `posekit predict` writes: pictures as it goes, tables and JSON of all photographs at the end."""

import argparse
import json
import sys
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from posekit import __version__
from posekit.cli.naming import numbered
from posekit.cli.predict.inputs import CROP, HEATMAPS, OVERLAY
from posekit.cli.predict.people import Found
from posekit.drawing.figures import save_figure
from posekit.drawing.heatmaps import heatmap_figure
from posekit.drawing.numbers import draw_numbers
from posekit.drawing.person_view import PersonView
from posekit.errors import OutputError
from posekit.files import atomic_write, writable_folder
from posekit.images import write_image
from posekit.prediction.person_view import run_model
from posekit.prediction.pose import Pose
from posekit.prediction.predictor import Predictor
from posekit.scoring.io.coco_dataset import coco_category, joints_extent, write_dataset
from posekit.scoring.io.deeplabcut import write_deeplabcut
from posekit.scoring.io.image_poses import ImagePeople, write_images_hdf5, write_long, write_wide

LISTINGS = {
    "json": "predictions.json",
    "dataset": "dataset.json",
    "csv": "predictions.csv",
    "wide": "predictions.wide.csv",
    "dlc": "predictions.dlc.csv",
    "h5": "predictions.h5",
}
"""Kinds of files that hold all photographs, and their names."""
PICTURES = {"overlay": OVERLAY, "heatmaps": HEATMAPS, "crops": CROP}
"""Kinds of pictures, and how their names end."""
_PERSON = ".person-"


class Outputs:
    """Files of the chosen kinds in one folder, none of which is an input.

    Parameters
    ----------
    predictor : Predictor
    photographs : sequence of Path
        All that will be looked at.
    args : argparse.Namespace
        The command's: `save`, `out`, `weights`, `boxes`, `boxes_file`, `min_score`.

    Raises
    ------
    OutputError
        If the folder cannot be written, or a file of a chosen kind is an input.
    """

    def __init__(self, predictor: Predictor, photographs: Sequence[Path], args: argparse.Namespace):
        self._predictor, self._args = predictor, args
        folder = writable_folder(args.out)
        inputs = {_key(Path(path)) for path in (*photographs, args.weights, args.boxes_file) if path is not None}
        self._listings = {kind: folder / name for kind, name in LISTINGS.items() if kind in args.save}
        for path in self._listings.values():
            if _key(path) in inputs:
                raise OutputError(f"{path} is an input and would be overwritten; choose another folder with --out")
        self._stems = dict(zip(photographs, _free_stems(photographs, folder, inputs), strict=True))
        self._results = _empty_results(predictor, str(args.weights))
        self._people: list[ImagePeople] = []

    @property
    def counts(self) -> tuple[int, int]:
        """How many people, and how many photographs."""
        return sum(len(photograph.boxes) for photograph in self._people), len(self._people)

    def add(self, found: Found) -> None:
        """Write the pictures of a photograph, and keep its people for `finish`."""
        people = found.as_people(self._predictor.info.skeleton)
        _add_results(self._results, people, found.poses)
        self._people.append(people)
        stem, wanted = self._stems[found.path], self._args.save
        if "overlay" in wanted:
            write_image(stem.with_name(stem.name + OVERLAY), self._overlay(found.no_larger()))
        for number, pose in enumerate(found.shown if {"heatmaps", "crops"} & set(wanted) else (), 1):
            name = f"{stem.name}{_PERSON}{number}"
            if "crops" in wanted:
                write_image(stem.with_name(name + CROP), _cut(found.photograph.image, pose))
            if "heatmaps" in wanted:
                self._write_heatmaps(stem.with_name(name + HEATMAPS), f"{found.path.name}, person {number}", found, pose)

    def finish(self, *, whole: bool) -> None:
        """Write the files that hold all photographs; with no photograph, those of before are kept.

        If the work was stopped, these are kept too, and what was done stands beside them, as NAME.partial; which is told.
        """
        if not self._people:
            return
        for kind, path in self._listings.items():
            path = path if whole or not path.exists() else path.with_name(f"{path.stem}.partial{path.suffix}")
            with atomic_write(path) as unfinished:
                self._writer(kind)(unfinished)
            if not whole:
                print(f"stopped: {path} holds {len(self._people)} of {len(self._stems)} photographs", file=sys.stderr)

    def paths(self) -> list[Path]:
        """What was written, as patterns where these are many."""
        return [
            *self._listings.values(),
            *(self._args.out / f"*{end}" for kind, end in PICTURES.items() if kind in self._args.save),
        ]

    def _writer(self, kind: str) -> Callable[[Path], None]:
        if kind == "json":
            return partial(_write_json, self._results)
        writers = {
            "dataset": partial(write_dataset, min_score=self._args.min_score),
            "csv": write_long,
            "wide": write_wide,
            "dlc": write_deeplabcut,
            "h5": write_images_hdf5,
        }
        return lambda path: writers[kind](path, self._people, self._predictor.info.skeleton)

    def _overlay(self, found: Found) -> np.ndarray:
        image, framed = found.photograph.image, self._args.boxes is not None or self._args.boxes_file is not None
        for pose in found.shown:
            image = pose.draw(image, min_score=self._args.min_score, show_box=framed)
        if len(found.poses) < 2:
            return image
        return draw_numbers(image, [pose.top(self._args.min_score) for pose in found.shown])

    def _write_heatmaps(self, path: Path, title: str, found: Found, pose: Pose) -> None:
        k = len(pose.skeleton)
        nothing = np.zeros((k, 2)), np.zeros(k, bool)
        view = PersonView(title, found.photograph.image, pose.box, pose.skeleton, *nothing, "")
        save_figure(heatmap_figure(run_model(self._predictor, view)), path)


def _key(path: Path) -> str:
    return str(path.resolve()).casefold()  # some file systems do not tell A from a


def _free_stems(photographs: Sequence[Path], folder: Path, inputs: Collection[str]) -> list[Path]:
    """What the names of each photograph's pictures begin with: its name, or NAME-2 … where that is taken or an input's."""
    people = [path for path in inputs if _PERSON in path]
    stems: dict[str, Path] = {}

    def free(key: str) -> bool:
        return not (key in stems or key + OVERLAY in inputs or any(path.startswith(key + _PERSON) for path in people))

    for photograph in photographs:
        stem = next(folder / name for name in numbered(photograph.stem) if free(_key(folder / name)))
        stems[_key(stem)] = stem
    return list(stems.values())


def _cut(image: np.ndarray, pose: Pose) -> np.ndarray:
    """The pixels of the photograph within the person's box."""
    low, high = (np.array(pose.box.centre) + sign * pose.box.side / 2 + 0.5 for sign in (-1, 1))
    size = image.shape[1::-1]
    left, top = np.clip(np.floor(low), 0, np.array(size) - 1).astype(int)
    right, bottom = np.clip(np.ceil(high), (left + 1, top + 1), size).astype(int)
    return image[top:bottom, left:right]


def _empty_results(predictor: Predictor, weights: str) -> dict:
    return {
        "info": {"posekit": __version__, "weights": weights, "decode": predictor.decode},
        "images": [],
        "annotations": [],
        "categories": [coco_category(predictor.info.skeleton)],
    }


def _add_results(content: dict, people: ImagePeople, poses: Sequence[Pose]) -> None:
    image_id = len(content["images"]) + 1
    size = {"width": people.width, "height": people.height}
    content["images"].append({"id": image_id, "file_name": people.image, **size})
    for pose in poses:
        entry = {**pose.to_coco(image_id), **joints_extent(pose.keypoints)}
        content["annotations"].append({"id": len(content["annotations"]) + 1, **entry})


def _write_json(content: dict, path: Path) -> None:
    path.write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf-8")
