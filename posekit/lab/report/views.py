"""Gallery cards and detail views of single people."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from posekit.lab.report.images import Gallery, PersonImages
from posekit.lab.report.tables import Table, describe_peaks, number, person, spaced
from posekit.scoring.score import Scores


@dataclass(frozen=True)
class Tile:
    """A small image that shows one joint, for example its heatmap."""

    image: str
    alt: str
    name: str
    note: str
    wrong: bool


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


@dataclass(frozen=True)
class GalleryCard:
    """Contents of one person's card in a gallery: tiles of a single joint or, without tiles, the whole pose."""

    details: Details
    position: str
    facts: str
    tiles: list[Tile]


@dataclass(frozen=True)
class Viewer:
    """Builder of the detail views and gallery cards; `errors` holds the mean error of each person, (N,), in reference sizes."""

    scores: Scores
    errors: np.ndarray

    def details(self, images: PersonImages) -> Details:
        """Return the detail view of one person."""
        i = images.index
        wrong = self._wrong(i)
        peaks = self.scores.double_counting
        double = np.zeros_like(wrong) if peaks is None else peaks.double[i]
        return Details(
            images=images,
            facts=f"mean error {number(self.errors[i], 3)}, {wrong.sum()} of {self.scores.pck.counted[i].sum()} joints wrong",
            thumbnail=images.thumbnail(),
            comparison=images.comparison(),
            table=person(self.scores, i),
            heatmaps=self._heatmaps(images, range(len(self.scores.people.skeleton))),
            peaks=[] if images.has_maps else self._peaks(images, np.flatnonzero(double)),
            penalties=self._penalties(images, np.flatnonzero(wrong | double)),
        )

    def cards(self, gallery: Gallery, images: Mapping[int, PersonImages], details: Mapping[int, Details]) -> list[GalleryCard]:
        """Return one card per person of the gallery."""
        cards = []
        for position, i in enumerate(gallery.persons):
            facts = details[i].facts
            tiles: list[Tile] = []
            if gallery.joints is not None:
                joint = gallery.joints[position]
                facts = f"{spaced(self.scores.people.skeleton.joints[joint])}: {describe_peaks(self.scores, i, joint)}"
                tiles = self._heatmaps(images[i], [joint]) + self._penalties(images[i], [joint])
                tiles = tiles or self._peaks(images[i], [joint])
            text = f"{gallery.heading}, {position + 1} of {len(gallery.persons)}"
            cards.append(GalleryCard(details[i], text, facts, tiles))
        return cards

    def _wrong(self, i: int) -> np.ndarray:
        return self.scores.pck.counted[i] & ~self.scores.pck.correct[i]

    def _heatmaps(self, images: PersonImages, joints: Iterable[int]) -> list[Tile]:
        tiles = []
        for joint in joints:
            if images.has_map(joint):
                highest = number(images.maps[joint].max())
                tiles.append(self._tile(images, joint, "heatmap", images.heatmap(joint), highest))
        return tiles

    def _penalties(self, images: PersonImages, joints: Iterable[int]) -> list[Tile]:
        tiles = []
        for joint in joints:
            if images.has_map(joint) and images.highest_penalty(joint) > 0:
                highest = f"{images.highest_penalty(joint):.2g}"
                tiles.append(self._tile(images, joint, "penalty map", images.penalty(joint), highest))
        return tiles

    def _peaks(self, images: PersonImages, joints: Iterable[int]) -> list[Tile]:
        return [self._tile(images, joint, "peaks", images.peaks(joint), "") for joint in joints]

    def _tile(self, images: PersonImages, joint: int, content: str, image: str, note: str) -> Tile:
        name = spaced(self.scores.people.skeleton.joints[joint])
        wrong = bool(self._wrong(images.index)[joint])
        return Tile(image, f"{content} of {name} over the crop", name, note, wrong)
