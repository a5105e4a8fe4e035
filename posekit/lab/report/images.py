"""People shown in the report: their selection, and images of one person as data URIs."""

import base64
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from posekit.drawing.penalty import overlay_heatmap, penalty_map
from posekit.drawing.pose import draw_comparison
from posekit.errors import ImageError
from posekit.geometry import Crop
from posekit.heatmaps import STRIDE, encode
from posekit.opencv import cv2
from posekit.scoring.score import Scores

CLIPPED_AT = 1.0  # reference sizes; so that a single joint that is far off does not decide the ranking
_GALLERY_SIZE = 12
LARGE, SMALL, THUMBNAIL = 384, 128, 176
_QUALITY = 70
# BGR colours: background for images that cannot be read; marks of peaks and true joints on heatmaps.
_BACKGROUND, _PEAK, _TRUTH = (44, 38, 36), (66, 210, 255), (255, 255, 0)


@dataclass(frozen=True)
class Gallery:
    """People shown under one heading.

    Parameters
    ----------
    heading, remark : str
    persons : (n,) int64
        Indices of the people.
    joints : (n,) int64, optional
        For each person, the joint whose heatmap is shown; default: the whole pose is shown.
    """

    heading: str
    remark: str
    persons: np.ndarray
    joints: np.ndarray | None = None


def mean_errors(scores: Scores) -> np.ndarray:
    """Return the mean error of each person over the joints of the means; each joint's error is clipped at `CLIPPED_AT`.

    Returns
    -------
    (N,) float64 : in reference sizes; NaN for people without an evaluated joint.
    """
    errors = scores.pck.errors[:, list(scores.mean_joints)]
    counts = (~np.isnan(errors)).sum(1)
    total = np.nansum(np.minimum(errors, CLIPPED_AT), axis=1)
    return np.divide(total, counts, out=np.full(len(errors), np.nan), where=counts > 0)


def select_galleries(scores: Scores, errors_N: np.ndarray) -> list[Gallery]:
    """Return all galleries that are not empty."""
    galleries = rank_by_error(errors_N)
    if scores.double_counting is not None:
        galleries.append(select_double_counted(scores))
    return [gallery for gallery in galleries if len(gallery.persons)]


def rank_by_error(errors_N: np.ndarray) -> list[Gallery]:
    """Return the galleries of the worst, median and best people. Few people are split among the three."""
    scored = np.flatnonzero(~np.isnan(errors_N))
    order = scored[np.argsort(errors_N[scored], kind="stable")]
    size = min(_GALLERY_SIZE, -(-len(order) // 3))
    worst = order[len(order) - size :][::-1]
    others = order[: len(order) - size]
    best = others[:size]
    rest = others[size:]
    start = max(len(rest) - size, 0) // 2
    return [
        Gallery("Worst", "People with the largest mean errors, in descending order.", worst),
        Gallery("Median", "People in the middle of the ranking by mean error.", rest[start : start + size]),
        Gallery("Best", "People with the smallest mean errors, in ascending order.", best),
    ]


def select_double_counted(scores: Scores) -> Gallery:
    """Return one heatmap with several peaks per person; first the heatmaps in which only a lower peak is correct."""
    double = scores.double_counting
    assert double is not None and scores.predictions.heights is not None
    persons, joints = np.nonzero(double.double)
    heights = scores.predictions.heights[persons, joints]
    others = np.take_along_axis(heights, double.other_NK[persons, joints][:, None], axis=1)[:, 0]
    order = np.lexsort((-others / heights[:, 0], ~double.only_other_right[persons, joints]))
    first_maps = np.sort(np.unique(persons[order], return_index=True)[1])[:_GALLERY_SIZE]
    chosen = order[first_maps]
    remark = (
        "One heatmap with several peaks per person. Heatmaps in which the highest peak is wrong and another peak is "
        "correct come first, then those with a higher second peak. Left: heatmap. Right: penalty, which anchor loss adds "
        "to cross entropy. If heatmaps are not available, rings mark the peaks (larger for higher peaks). Cross: true joint."
    )
    return Gallery("Double counting", remark, persons[chosen], joints[chosen])


@dataclass(frozen=True)
class PersonImages:
    """Images that the report shows of one person.

    Parameters
    ----------
    scores : Scores
        Scores of all people.
    index : int
        Index of the person.
    large : (LARGE, LARGE, 3) uint8
        The person's crop in BGR; a plain dark background if the image cannot be read.
    maps : (K, h, w) float32
        Activated heatmaps of the crop, for the K joints of the people scored; NaN for joints without a heatmap.
    problem : str, optional
        Reason why the image cannot be read.
    """

    scores: Scores
    index: int
    large: np.ndarray
    maps: np.ndarray
    problem: str | None = None

    @property
    def name(self) -> str:
        """File name of the image, without folder."""
        return Path(self.scores.people.image_paths[self.index]).name

    def crop(self, size: int) -> Crop:
        """Return the person's crop with a side of `size` pixels."""
        return Crop(self.scores.people[self.index].box, size)

    def comparison(self) -> str:
        """Draw the predicted pose, with wrong joints marked, beside the true pose."""
        return data_uri(self._draw_comparison(LARGE))

    def thumbnail(self) -> str:
        """Draw the predicted pose, with wrong joints marked, as a thumbnail."""
        return data_uri(self._draw_comparison(THUMBNAIL)[-THUMBNAIL:, :THUMBNAIL])

    def _draw_comparison(self, tile: int) -> np.ndarray:
        scores = self.scores
        crop = self.crop(LARGE)
        predicted = crop.forward(scores.predictions.joints[self.index])
        truth = crop.forward(scores.people.joints[self.index])
        predictions = {"prediction": (predicted, scores.pck.correct[self.index])}
        return draw_comparison(self.large, predictions, truth, scores.pck.counted[self.index], scores.people.skeleton, tile)

    @property
    def has_maps(self) -> bool:
        """Whether at least one joint has a heatmap."""
        return bool(np.isfinite(self.maps).any())

    def has_map(self, joint: int) -> bool:
        """Return whether the joint has a heatmap."""
        return bool(np.isfinite(self.maps[joint]).all())

    def heatmap(self, joint: int) -> str:
        """Draw the joint's heatmap over the crop, scaled to the heatmap's maximum, with a cross at the true joint."""
        return self._mark_truth(joint, overlay_heatmap(self._backdrop, self.maps[joint]))

    def penalty(self, joint: int) -> str:
        """Draw the joint's penalty map over the crop, scaled to the map's maximum, with a cross at the true joint."""
        return self._mark_truth(joint, overlay_heatmap(self._backdrop, self._penalties[joint]))

    def highest_penalty(self, joint: int) -> float:
        """Return the maximum of the joint's penalty map."""
        return float(self._penalties[joint].max())

    def peaks(self, joint: int) -> str:
        """Draw the peaks of the joint's heatmap as rings, larger for higher peaks, with a cross at the true joint."""
        image = self._backdrop.copy()
        predictions = self.scores.predictions
        assert predictions.heights is not None and predictions.peaks is not None  # otherwise no joint has several peaks
        heights = predictions.heights[self.index, joint]
        known = np.isfinite(heights)
        sizes = np.sqrt(np.clip(heights[known] / heights[known].max(), 0, 1))
        points = self.crop(SMALL).forward(predictions.peaks[self.index, joint][known])
        for point, size in zip(points, sizes, strict=True):
            cv2.circle(image, _pixel(point), round(2 + 8 * size), _PEAK, 2, cv2.LINE_AA)
        return self._mark_truth(joint, image)

    def _mark_truth(self, joint: int, image: np.ndarray) -> str:
        if self.scores.pck.counted[self.index, joint]:
            truth = self.crop(SMALL).forward(self.scores.people.joints[self.index, joint])
            cv2.drawMarker(image, _pixel(truth), _TRUTH, cv2.MARKER_CROSS, 9, 1, cv2.LINE_AA)
        return data_uri(image)

    @cached_property
    def _backdrop(self) -> np.ndarray:
        """(SMALL, SMALL, 3) uint8 crop, in grey and darkened, so that only the overlaid map is coloured."""
        grey = cv2.cvtColor(cv2.resize(self.large, (SMALL, SMALL), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
        return cv2.cvtColor(cv2.convertScaleAbs(grey, alpha=0.65), cv2.COLOR_GRAY2BGR)

    @cached_property
    def _penalties(self) -> np.ndarray:
        """(K, h, w) float32 penalty maps; 0 for joints that are not evaluated or have no heatmap."""
        known = self.scores.pck.counted[self.index] & np.isfinite(self.maps).all((1, 2))
        size = self.maps.shape[-1]
        joints = self.crop(STRIDE * size).forward(self.scores.people.joints[self.index])
        targets = encode(torch.from_numpy(joints)[None], torch.from_numpy(known)[None], size=size)[0].numpy()
        return penalty_map(np.where(known[:, None, None], self.maps, 0).clip(0, 1), targets)


def read_person_images(scores: Scores, index: int) -> PersonImages:
    """Load a person's crop, without heatmaps (`maps` is NaN)."""
    person = scores.people[index]
    no_maps = np.full((len(scores.people.skeleton), 1, 1), np.nan, np.float32)
    try:
        return PersonImages(scores, index, person.cut(Crop(person.box, LARGE)), no_maps)
    except ImageError as error:
        # The page may be published, so it must not contain folder names of this machine.
        problem = str(error).replace(person.image_path, Path(person.image_path).name)
        return PersonImages(scores, index, np.full((LARGE, LARGE, 3), _BACKGROUND, np.uint8), no_maps, problem)


def data_uri(image: np.ndarray) -> str:
    """Encode a BGR image, (H, W, 3) uint8, as WebP, which takes two thirds of the size of JPEG."""
    encoded = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])[1]
    return "data:image/webp;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


def _pixel(point: np.ndarray) -> tuple[int, int]:
    x, y = np.rint(np.clip(point, -1e4, 1e4))
    return int(x), int(y)
