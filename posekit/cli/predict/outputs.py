"""Outputs of `posekit predict`: drawn images, written during the run, and listings of all images, written at the end."""

import argparse
import json
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from posekit import __version__
from posekit.cli.predict import DEFAULT_KINDS, LISTINGS, PICTURES
from posekit.cli.predict.images import ImagePrediction
from posekit.command_line import numbered
from posekit.drawing.labels import draw_numbers
from posekit.drawing.maps import heatmap_figure
from posekit.drawing.person_view import PersonView
from posekit.drawing.style import save_figure
from posekit.errors import OutputError
from posekit.files import atomic_write, writable_folder
from posekit.images import write_image
from posekit.prediction.person_view import run_model
from posekit.prediction.pose import Pose
from posekit.prediction.predictor import Predictor
from posekit.scoring.io.coco import joints_extent, write_dataset
from posekit.scoring.io.hdf5 import write_images_hdf5
from posekit.scoring.io.predictions import ImagePeople
from posekit.scoring.io.tables import write_deeplabcut, write_long, write_wide

_PERSON = ".person-"
_TABLES = {"csv": write_long, "wide": write_wide, "dlc": write_deeplabcut, "h5": write_images_hdf5}


class Outputs:
    """Write the output files of the chosen kinds into one folder, without overwriting any input.

    `images` are all images that will be predicted. Joints that score less than `min_score` are omitted from overlays and
    dataset.json.

    Raises
    ------
    OutputError
        If the folder is not writable, or an output file would overwrite an input.
    """

    def __init__(self, args: argparse.Namespace, images: Sequence[Path], predictor: Predictor, min_score: float):
        self._folder = writable_folder(args.out)
        self._kinds = args.save or DEFAULT_KINDS
        self._predictor = predictor
        self._min_score = min_score
        self._show_boxes = bool(args.boxes or args.boxes_file)
        self._listings = {kind: self._folder / name for kind, name in LISTINGS.items() if kind in self._kinds}
        inputs = {_key(path) for path in (*images, Path(args.weights), args.boxes_file) if path}
        for path in self._listings.values():
            if _key(path) in inputs:
                raise OutputError(f"{path} is an input file and would be overwritten; choose another output folder with --out")
        self._names = _free_names(images, self._folder, inputs)
        self._people: list[ImagePeople] = []
        self._results: dict = {
            "info": {"posekit": __version__, "weights": args.weights, "decode": predictor.decode},
            "images": [],
            "annotations": [],
            "categories": [predictor.info.skeleton.coco_category],
        }

    def add(self, prediction: ImagePrediction) -> None:
        """Write the drawn outputs of one image, and remember the people in the image for `finish`."""
        self._add_people(prediction)
        name = self._names[prediction.path]
        image = prediction.reduced.image
        if "overlay" in self._kinds:
            write_image(self._folder / (name + PICTURES["overlay"]), self._overlay(prediction.reduced_to_limit()))
        for number, pose in enumerate(prediction.poses, 1):
            person = f"{name}{_PERSON}{number}"
            if "crops" in self._kinds:
                write_image(self._folder / (person + PICTURES["crops"]), _crop(image, pose))
            if "heatmaps" in self._kinds:
                title = f"{prediction.path.name}, person {number}"
                self._write_heatmaps(self._folder / (person + PICTURES["heatmaps"]), title, image, pose)

    def _add_people(self, prediction: ImagePrediction) -> None:
        """Remember the people for the listings, with coordinates in pixels of the image file."""
        poses = prediction.poses_in_file()
        k = len(self._predictor.info.skeleton)
        image = prediction.reduced
        people = ImagePeople(
            image=str(prediction.path),
            width=image.width,
            height=image.height,
            joints=np.array([pose.keypoints for pose in poses], np.float64).reshape(-1, k, 2),
            scores=np.array([pose.scores for pose in poses], np.float64).reshape(-1, k),
            boxes=tuple(pose.box for pose in poses),
        )
        self._people.append(people)
        images = self._results["images"]
        images.append({"id": len(images) + 1, "file_name": people.image, "width": image.width, "height": image.height})
        annotations = self._results["annotations"]
        for pose in poses:
            result = {**pose.to_coco(len(images)), **joints_extent(pose.keypoints)}
            annotations.append({"id": len(annotations) + 1, **result})

    def finish(self, *, complete: bool) -> None:
        """Write the listings, one file per output kind; if no image was predicted, write nothing.

        If the run was interrupted (not `complete`), no existing listing is overwritten: the new listing is written next to
        the old one as NAME.partial.SUFFIX, for example predictions.partial.json.
        """
        if not self._people:
            return
        for kind, path in self._listings.items():
            if not complete and path.exists():
                path = path.with_name(f"{path.stem}.partial{path.suffix}")
            with atomic_write(path) as unfinished:
                self._write_listing(kind, unfinished)
            if not complete:
                print(f"interrupted: {path} contains {len(self._people)} of {len(self._names)} images", file=sys.stderr)

    def print_summary(self) -> None:
        """Print the number of people found, and the files written."""
        people = sum(len(image.boxes) for image in self._people)
        print(f"people: {people}, images: {len(self._people)}")
        if not people:
            advice = "give their boxes with --box, or for one person per image use --detect none"
            print(f"no people found; {advice}", file=sys.stderr)
        written = list(map(str, self._listings.values()))
        written += [str(self._folder / f"*{ending}") for kind, ending in PICTURES.items() if kind in self._kinds]
        print("wrote " + ", ".join(written))

    def _write_listing(self, kind: str, path: Path) -> None:
        skeleton = self._predictor.info.skeleton
        if kind == "json":
            path.write_text(json.dumps(self._results, indent=1, allow_nan=False), encoding="utf-8")
        elif kind == "dataset":
            write_dataset(path, self._people, skeleton, min_score=self._min_score)
        else:
            _TABLES[kind](path, self._people, skeleton)

    def _overlay(self, prediction: ImagePrediction) -> np.ndarray:
        image = prediction.reduced.image
        for pose in prediction.poses:
            image = pose.draw(image, min_score=self._min_score, show_box=self._show_boxes)
        if len(prediction.poses) < 2:
            return image
        return draw_numbers(image, [pose.top(self._min_score) for pose in prediction.poses])

    def _write_heatmaps(self, path: Path, title: str, image: np.ndarray, pose: Pose) -> None:
        k = len(pose.skeleton)
        view = PersonView(title, image, pose.box, pose.skeleton, np.zeros((k, 2)), np.zeros(k, bool), "")
        save_figure(heatmap_figure(run_model(self._predictor, view)), path)


def _key(path: Path) -> str:
    return str(path.resolve()).casefold()  # some file systems ignore case


def _free_names(images: Sequence[Path], folder: Path, inputs: Collection[str]) -> dict[Path, str]:
    """Map each image to a unique stem for the names of the drawn files.

    The stem is the image's stem NAME, or NAME-2, NAME-3 … if NAME is taken or if an output would overwrite an input.
    """
    person_inputs = [key for key in inputs if _PERSON in key]
    taken = set()
    names = {}
    for image in images:
        for name in numbered(image.stem):
            key = _key(folder / name)
            overwrites = key + PICTURES["overlay"] in inputs or any(path.startswith(key + _PERSON) for path in person_inputs)
            if key not in taken and not overwrites:
                break
        taken.add(key)
        names[image] = name
    return names


def _crop(image: np.ndarray, pose: Pose) -> np.ndarray:
    """Cut out the part of the image inside the person's box, at least one pixel."""
    height, width = image.shape[:2]
    centre = np.array(pose.box.centre)
    first = np.floor(centre - pose.box.side / 2 + 0.5)
    last = np.ceil(centre + pose.box.side / 2 + 0.5)
    left, top = np.clip(first, 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(last, (left + 1, top + 1), (width, height)).astype(int)
    return image[top:bottom, left:right]
