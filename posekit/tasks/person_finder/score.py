"""How many people a network that finds them proposes, in scenes whose people are known."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from posekit.geometry import Box
from posekit.metrics import square_iou
from posekit.metrics.bootstrap import in_percent, interval95
from posekit.prediction.detect.pose_detector import BOX_MARGIN, CANDIDATES
from posekit.tasks.person_finder.scenes import SceneDataset

_IOU = 0.5
_BATCH = 32
# Larger sides of people, in sides of the scene.
_SIZES = {"below a quarter of the scene": (0, 0.25), "a quarter to a half": (0.25, 0.5), "larger": (0.5, np.inf)}
_COUNTS = {"alone": (1, 1), "two or three": (2, 3), "four and more": (4, np.inf)}


@dataclass(frozen=True)
class Proposals:
    """What was proposed of N people in S scenes.

    Parameters
    ----------
    scene_N : (N,) int
        The scene each stands in.
    side_N : (N,) float
        Longer side of the tight box of their joints, in sides of the scene.
    found_N : (N,) bool
        Whether a box has an IoU of at least 0.5 with the square about that.
    boxes_S : (S,) int
        How many boxes were proposed.
    """

    scene_N: np.ndarray
    side_N: np.ndarray
    found_N: np.ndarray
    boxes_S: np.ndarray

    def recall(self) -> dict[str, tuple[int, float, tuple[float, float]]]:
        """People, share found in percent, its 95 % interval over scenes: of everybody, by size, and by how many a scene has."""
        company = np.bincount(self.scene_N, minlength=len(self.boxes_S))[self.scene_N]
        groups = {"everybody": np.ones(len(self.scene_N), bool)}
        groups |= {name: (self.side_N >= low) & (self.side_N < high) for name, (low, high) in _SIZES.items()}
        groups |= {name: (company >= low) & (company <= high) for name, (low, high) in _COUNTS.items()}
        return {name: self._share(among) for name, among in groups.items()}

    def _share(self, among_N: np.ndarray) -> tuple[int, float, tuple[float, float]]:
        found, there = (np.bincount(self.scene_N[who], minlength=len(self.boxes_S)) for who in (among_N & self.found_N, among_N))
        return int(there.sum()), float(in_percent(found.sum(), there.sum())), interval95(found, there)


def score_proposals(
    find: Callable[[np.ndarray], Sequence[tuple[Box, float]]], scenes: SceneDataset, *, progress: bool = True
) -> Proposals:
    """Let a finder propose boxes in every scene.

    Parameters
    ----------
    find : callable
        Such as `posekit.tasks.person_finder.finder.CentreFinder`; of its boxes those count that `PoseDetector` would look into.
    scenes : SceneDataset
        Each is seen once, as of epoch 0.
    progress : bool
        Whether to show a progress bar.
    """
    scene, side, found, boxes = [], [], [], []
    for number, (image, people) in enumerate(tqdm(_each(scenes), total=len(scenes), unit="scene", disable=not progress)):
        proposed = [box for box, _ in find(image)[:CANDIDATES]]
        boxes.append(len(proposed))
        scene += [number] * len(people)
        side += (people[:, 2] / scenes.size).tolist()
        found += _proposed(proposed, people).tolist()
    return Proposals(np.array(scene, int), np.array(side), np.array(found, bool), np.array(boxes, int))


def _each(scenes: SceneDataset) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pictures, blue, green, red, and their people (N, 3): middle x, y and longer side."""
    for start in range(0, len(scenes), _BATCH):
        batch = scenes.__getitems__([(0, index) for index in range(start, min(start + _BATCH, len(scenes)))])
        for image, people in zip(batch.images.numpy(), batch.people.numpy().astype(np.float64), strict=True):
            yield np.ascontiguousarray(image[..., ::-1]), people[~np.isnan(people[:, 0])]


def _proposed(boxes: Sequence[Box], people_N3: np.ndarray) -> np.ndarray:
    """(N,) bool: whom a box is about."""
    squares = np.array([(*box.centre, box.side / BOX_MARGIN) for box in boxes]).reshape(-1, 3)
    return (square_iou(people_N3, squares) >= _IOU).any(1)
