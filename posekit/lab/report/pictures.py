"""The pictures of one person, as data URIs: they travel inside the page."""

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

LARGE, SMALL, THUMBNAIL = 384, 128, 176
_QUALITY = 70
# Blue, green, red: the ground where there is no photograph, and the marks on heatmaps.
_GROUND, _PEAK, _TRUTH = (44, 38, 36), (66, 210, 255), (255, 255, 0)


@dataclass(frozen=True)
class Pictures:
    """What can be drawn of one person.

    Parameters
    ----------
    scores : Scores
        Of everybody.
    index : int
        The person's place there.
    large : (LARGE, LARGE, 3) uint8
        The person's crop, blue, green, red; a dark ground where the photograph cannot be read.
    problem : str, optional
        Why it cannot.
    maps : (K, h, w) float32, optional
        Activated heatmaps in the frame of the person's crop, joints as in the people scored; NaN for those that the model lacks.
    """

    scores: Scores
    index: int
    large: np.ndarray
    problem: str | None = None
    maps: np.ndarray | None = None

    @property
    def name(self) -> str:
        """The photograph's, without its folder."""
        return Path(self.scores.people.image_paths[self.index]).name

    def crop(self, size: int) -> Crop:
        """The person's crop, `size` pixels wide."""
        return Crop(self.scores.people[self.index].box, size)

    def comparison(self) -> str:
        """The prediction, wrong joints marked, beside the truth."""
        return data_uri(self._comparison(LARGE))

    def thumbnail(self) -> str:
        """The prediction, wrong joints marked."""
        return data_uri(self._comparison(THUMBNAIL)[-THUMBNAIL:, :THUMBNAIL])

    def has_map(self, joint: int) -> bool:
        """Whether there is a heatmap of the joint."""
        return self.maps is not None and bool(np.isfinite(self.maps[joint]).all())

    def heatmap(self, joint: int) -> str:
        """The joint's heatmap over the crop, in colours of its own scale, and the truth as a cross."""
        return self._marked(joint, overlay_heatmap(self._backdrop, self.maps[joint]))

    def penalty(self, joint: int) -> str:
        """The joint's penalty map over the crop, in colours of its own scale, and the truth as a cross."""
        return self._marked(joint, overlay_heatmap(self._backdrop, self._penalties[joint]))

    def highest_penalty(self, joint: int) -> float:
        """What anchor loss charges more, at most."""
        return float(self._penalties[joint].max())

    def peaks(self, joint: int) -> str:
        """The peaks of the joint's heatmap as rings, the higher the larger, and the truth as a cross."""
        predictions, picture = self.scores.predictions, self._backdrop.copy()
        heights = predictions.heights[self.index, joint]
        known = np.isfinite(heights)
        sizes = np.sqrt(np.clip(heights[known] / heights[known].max(), 0, 1))
        points = self.crop(SMALL).forward(predictions.peaks[self.index, joint][known])
        for point, size in zip(points, sizes, strict=True):
            cv2.circle(picture, _pixel(point), round(2 + 8 * size), _PEAK, 2, cv2.LINE_AA)
        return self._marked(joint, picture)

    def _marked(self, joint: int, picture: np.ndarray) -> str:
        """With a cross at the truth, where it counts."""
        if self.scores.pck.counted[self.index, joint]:
            truth = self.crop(SMALL).forward(self.scores.people.joints[self.index, joint])
            cv2.drawMarker(picture, _pixel(truth), _TRUTH, cv2.MARKER_CROSS, 9, 1, cv2.LINE_AA)
        return data_uri(picture)

    @cached_property
    def _backdrop(self) -> np.ndarray:
        """(SMALL, SMALL, 3) uint8: the crop, grey and dim, so that colours are the map's."""
        grey = cv2.cvtColor(cv2.resize(self.large, (SMALL, SMALL), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
        return cv2.cvtColor(cv2.convertScaleAbs(grey, alpha=0.65), cv2.COLOR_GRAY2BGR)

    def _comparison(self, tile: int) -> np.ndarray:
        scores, i, crop = self.scores, self.index, self.crop(LARGE)
        predicted, truth = crop.forward(scores.predictions.joints[i]), crop.forward(scores.people.joints[i])
        found = {"prediction": (predicted, scores.pck.correct[i])}
        return draw_comparison(self.large, found, truth, scores.pck.counted[i], scores.people.skeleton, tile)

    @cached_property
    def _penalties(self) -> np.ndarray:
        """(K, h, w) float32; 0 for joints that do not count or have no heatmap."""
        known = self.scores.pck.counted[self.index] & np.isfinite(self.maps).all((1, 2))
        size = self.maps.shape[-1]
        joints = self.crop(STRIDE * size).forward(self.scores.people.joints[self.index])
        targets = encode(torch.from_numpy(joints)[None], torch.from_numpy(known)[None], size=size)[0].numpy()
        return penalty_map(np.where(known[:, None, None], self.maps, 0).clip(0, 1), targets)


def read_pictures(scores: Scores, index: int) -> Pictures:
    """The person's pictures, without heatmaps."""
    person = scores.people[index]
    try:
        return Pictures(scores, index, person.cut(Crop(person.box, LARGE)))
    except ImageError as error:
        # The folder is nobody's business, and the page may go anywhere.
        problem = str(error).replace(person.image_path, Path(person.image_path).name)
        return Pictures(scores, index, np.full((LARGE, LARGE, 3), _GROUND, np.uint8), problem)


def data_uri(picture: np.ndarray) -> str:
    """A picture (H, W, 3) uint8, blue, green, red, as WebP: every browser shows it, and it takes two thirds of a JPEG."""
    encoded = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])[1]
    return "data:image/webp;base64," + base64.b64encode(encoded).decode("ascii")


def _pixel(point: np.ndarray) -> tuple[int, int]:
    return tuple(int(value) for value in np.rint(np.clip(point, -1e4, 1e4)))
