"""Recall of a person finder on composed scenes, in which the positions of all people are known."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from posekit.geometry import Box
from posekit.metrics import square_iou
from posekit.metrics.bootstrap import in_percent, interval95
from posekit.prediction.detect import BOX_MARGIN, CANDIDATES
from posekit.tasks.person_finder.scenes import SceneDataset, known_people

_BATCH = 32
# Groups by size: range of the longer side of a person's bounding box, as a fraction of the side of the scene.
_SIZES = {"below a quarter of the scene": (0, 0.25), "a quarter to a half": (0.25, 0.5), "larger": (0.5, np.inf)}
# Groups by number of people: range of the number of people in the scene.
_COUNTS = {"alone": (1, 1), "two or three": (2, 3), "four and more": (4, np.inf)}


@dataclass(frozen=True)
class Proposals:
    """Result of a person finder for N people in S scenes.

    Parameters
    ----------
    scene_N : (N,) int
        Index of the scene that shows the person.
    side_N : (N,) float
        Longer side of the bounding box of the person's joints, as a fraction of the side of the scene.
    is_found_N : (N,) bool
        True where a proposed box has an IoU of at least 0.5 with the person's square, whose side is the longer side.
    boxes_S : (S,) int
        Number of proposed boxes in each scene.
    """

    scene_N: np.ndarray
    side_N: np.ndarray
    is_found_N: np.ndarray
    boxes_S: np.ndarray

    def recall(self) -> dict[str, tuple[int, float, tuple[float, float]]]:
        """Compute the recall of all people, of each size group, and of each group by number of people in the scene.

        Returns
        -------
        dict of str to (int, float, (float, float))
            By group: number of people, recall in percent, and the 95 % confidence interval of the recall from a bootstrap over
            scenes.
        """
        people_in_scene = np.bincount(self.scene_N, minlength=len(self.boxes_S))[self.scene_N]
        recall = {"everybody": self._recall_of(np.ones(len(self.scene_N), bool))}
        for name, (low, high) in _SIZES.items():
            recall[name] = self._recall_of((self.side_N >= low) & (self.side_N < high))
        for name, (low, high) in _COUNTS.items():
            recall[name] = self._recall_of((people_in_scene >= low) & (people_in_scene <= high))
        return recall

    def _recall_of(self, group_N: np.ndarray) -> tuple[int, float, tuple[float, float]]:
        scenes = len(self.boxes_S)
        people = np.bincount(self.scene_N[group_N], minlength=scenes)
        found = np.bincount(self.scene_N[group_N & self.is_found_N], minlength=scenes)
        return int(people.sum()), float(in_percent(found.sum(), people.sum())), interval95(found, people)


def score_proposals(find: Callable[[np.ndarray], Sequence[tuple[Box, float]]], scenes: SceneDataset) -> Proposals:
    """Run a person finder, such as `posekit.tasks.person_finder.finder.CentreFinder`, on every scene of epoch 0.

    Only the boxes with the highest scores are used, as many as `PoseDetector` examines.
    """
    scene: list[int] = []
    side: list[float] = []
    found: list[bool] = []
    boxes: list[int] = []
    for number, (image, people) in enumerate(tqdm(_iterate(scenes), total=len(scenes), unit="scene")):
        proposed = [box for box, _ in find(image)[:CANDIDATES]]
        squares = np.array([(*box.centre, box.side / BOX_MARGIN) for box in proposed]).reshape(-1, 3)
        boxes.append(len(proposed))
        scene += [number] * len(people)
        side += (people[:, 2] / scenes.size).tolist()
        found += np.any(square_iou(people, squares) >= 0.5, axis=1).tolist()
    return Proposals(np.array(scene, int), np.array(side), np.array(found, bool), np.array(boxes, int))


def _iterate(scenes: SceneDataset) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield BGR images and (N, 3) arrays of the people in each image: centre x, y and longer side in pixels."""
    for start in range(0, len(scenes), _BATCH):
        stop = min(start + _BATCH, len(scenes))
        batch = scenes.__getitems__([(0, index) for index in range(start, stop)])
        for image, people in zip(batch.images.numpy(), known_people(batch), strict=True):
            yield np.ascontiguousarray(image[..., ::-1]), people.astype(np.float64)
