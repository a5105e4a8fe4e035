"""People shown in the report: galleries, and images of single people as data URIs."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from posekit.drawing.maps import backdrop
from posekit.drawing.penalty import overlay_heatmap, penalty_map
from posekit.drawing.pose import draw_comparison
from posekit.errors import ImageError
from posekit.geometry import Crop
from posekit.heatmaps import STRIDE, encode
from posekit.images import cv2
from posekit.lab.report.tables import Table, describe_peaks, number, person, spaced
from posekit.scoring.score import Scores

CLIPPED_AT = 1.0  # reference sizes; so that a single far-off joint does not decide the ranking
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
    joints : (n,) int64, optional
        For each person, the joint whose heatmap is shown; default: the whole pose is shown.
    """

    heading: str
    remark: str
    persons: np.ndarray
    joints: np.ndarray | None = None


def mean_errors(scores: Scores) -> np.ndarray:
    """Return each person's mean error over the joints that the means include, with each joint's error clipped at `CLIPPED_AT`.

    The (N,) errors are in reference sizes; NaN for people without an evaluated joint.
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
    """Return the galleries of the worst, median and best people; too few people for three full galleries are divided evenly."""
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
    """Choose one heatmap with several peaks per person; heatmaps in which only a lower peak is correct come first."""
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
        "correct come first, then heatmaps with a higher second peak. Left: heatmap. Right: penalty that anchor loss adds "
        "to cross entropy. If heatmaps are not available, rings mark the peaks (larger for higher peaks). Cross: true joint."
    )
    return Gallery("Double counting", remark, persons[chosen], joints[chosen])


@dataclass(frozen=True)
class Tile:
    """A small image that shows one joint, for example its heatmap."""

    image: str
    alt: str
    name: str
    note: str
    wrong: bool


@dataclass(frozen=True)
class PersonImages:
    """Images of one person for the report.

    Parameters
    ----------
    scores : Scores
        Scores of all people.
    index : int
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
    def wrong(self) -> np.ndarray:
        """(K,) bool array, True for evaluated joints that are wrong."""
        return self.scores.pck.counted[self.index] & ~self.scores.pck.correct[self.index]

    def heatmaps(self, joints: Iterable[int]) -> list[Tile]:
        """Draw the available heatmaps of the joints, each scaled to the heatmap's maximum, with a cross at the true joint."""
        tiles = []
        for joint in joints:
            if self._has_map[joint]:
                heatmap = self.maps[joint]
                tiles.append(self._tile(joint, "heatmap", overlay_heatmap(self._backdrop, heatmap), number(heatmap.max())))
        return tiles

    def penalties(self, joints: Iterable[int]) -> list[Tile]:
        """Draw the penalty maps that are not 0 everywhere, each scaled to the map's maximum, with a cross at the true joint."""
        tiles = []
        for joint in joints:
            highest = self._penalties[joint].max()
            if highest > 0:
                image = overlay_heatmap(self._backdrop, self._penalties[joint])
                tiles.append(self._tile(joint, "penalty map", image, f"{highest:.2g}"))
        return tiles

    def peaks(self, joints: Iterable[int]) -> list[Tile]:
        """Draw the peaks of heatmaps as rings, larger for higher peaks, with a cross at the true joint."""
        predictions = self.scores.predictions
        tiles = []
        for joint in joints:
            assert predictions.heights is not None and predictions.peaks is not None  # otherwise no joint has several peaks
            image = self._backdrop.copy()
            heights = predictions.heights[self.index, joint]
            known = np.isfinite(heights)
            sizes = np.sqrt(np.clip(heights[known] / heights[known].max(), 0, 1))
            points = self.crop(SMALL).forward(predictions.peaks[self.index, joint][known])
            for point, size in zip(points, sizes, strict=True):
                cv2.circle(image, _pixel(point), round(2 + 8 * size), _PEAK, 2, cv2.LINE_AA)
            tiles.append(self._tile(joint, "peaks", image, ""))
        return tiles

    def _tile(self, joint: int, content: str, image: np.ndarray, note: str) -> Tile:
        if self.scores.pck.counted[self.index, joint]:
            truth = self.crop(SMALL).forward(self.scores.people.joints[self.index, joint])
            cv2.drawMarker(image, _pixel(truth), _TRUTH, cv2.MARKER_CROSS, 9, 1, cv2.LINE_AA)
        name = spaced(self.scores.people.skeleton.joints[joint])
        return Tile(data_uri(image), f"{content} of {name} over the crop", name, note, bool(self.wrong[joint]))

    @property
    def _has_map(self) -> np.ndarray:
        return np.isfinite(self.maps).all((1, 2))

    @cached_property
    def _backdrop(self) -> np.ndarray:
        return backdrop(cv2.resize(self.large, (SMALL, SMALL), interpolation=cv2.INTER_AREA))

    @cached_property
    def _penalties(self) -> np.ndarray:
        """(K, h, w) float32 penalty maps; 0 for joints that are not evaluated or have no heatmap."""
        known = self.scores.pck.counted[self.index] & self._has_map
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


@dataclass(frozen=True)
class Details:
    """Contents of the detail view of one person."""

    images: PersonImages
    facts: str
    thumbnail: str
    comparison: str
    table: Table
    heatmaps: list[Tile]
    peaks: list[Tile]
    penalties: list[Tile]


def person_details(images: PersonImages, error: float) -> Details:
    """Return the detail view of one person; `error` is the person's mean error in reference sizes."""
    scores = images.scores
    i = images.index
    double = np.zeros_like(images.wrong) if scores.double_counting is None else scores.double_counting.double[i]
    heatmaps = images.heatmaps(range(len(scores.people.skeleton)))
    return Details(
        images=images,
        facts=f"mean error {number(error, 3)}, {images.wrong.sum()} of {scores.pck.counted[i].sum()} joints wrong",
        thumbnail=images.thumbnail(),
        comparison=images.comparison(),
        table=person(scores, i),
        heatmaps=heatmaps,
        peaks=[] if heatmaps else images.peaks(np.flatnonzero(double)),
        penalties=images.penalties(np.flatnonzero(images.wrong | double)),
    )


@dataclass(frozen=True)
class GalleryCard:
    """Contents of one person's card in a gallery: tiles of a single joint or, without tiles, the whole pose."""

    details: Details
    position: str
    facts: str
    tiles: list[Tile]


def gallery_cards(gallery: Gallery, details: Mapping[int, Details]) -> list[GalleryCard]:
    """Return one card per person of the gallery."""
    cards = []
    for position, i in enumerate(gallery.persons):
        images = details[i].images
        facts = details[i].facts
        tiles: list[Tile] = []
        if gallery.joints is not None:
            joint = gallery.joints[position]
            facts = f"{spaced(images.scores.people.skeleton.joints[joint])}: {describe_peaks(images.scores, i, joint)}"
            tiles = images.heatmaps([joint]) + images.penalties([joint]) or images.peaks([joint])
        cards.append(GalleryCard(details[i], f"{gallery.heading}, {position + 1} of {len(gallery.persons)}", facts, tiles))
    return cards


def data_uri(image: np.ndarray) -> str:
    """Encode a BGR image, (H, W, 3) uint8, as WebP, which takes two thirds of the size of JPEG."""
    encoded = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])[1]
    return "data:image/webp;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


def _pixel(point: np.ndarray) -> tuple[int, int]:
    x, y = np.rint(np.clip(point, -1e4, 1e4))
    return int(x), int(y)
