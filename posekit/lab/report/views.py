"""What the page shows of single persons: cards in the galleries, and the detail view."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from posekit.lab.report.persons import Category
from posekit.lab.report.pictures import Pictures
from posekit.lab.report.tables import Table, number, peaks_verdict, person, spoken
from posekit.metrics import Diagnosis, DoubleCounting
from posekit.scoring.score import Scores


@dataclass(frozen=True)
class Tile:
    """A small picture of one joint."""

    picture: str
    alt: str
    name: str
    note: str
    wrong: bool


@dataclass(frozen=True)
class Details:
    """What the detail view shows of one person."""

    person: int
    photograph: str
    problem: str | None
    facts: str
    thumbnail: str
    comparison: str
    table: Table
    heatmaps: list[Tile]
    peaks: list[Tile]
    penalties: list[Tile]


@dataclass(frozen=True)
class PersonCard:
    """What stands in a gallery for one person: the whole pose, or tiles of one joint."""

    details: Details
    place: str
    facts: str
    tiles: list[Tile]


@dataclass(frozen=True)
class Viewer:
    """Makes details and cards.

    Parameters
    ----------
    scores : Scores
    errors : (N,) float64
        Each person's mean error, in reference sizes.
    diagnosis : Diagnosis
    double : DoubleCounting, optional
    """

    scores: Scores
    errors: np.ndarray
    diagnosis: Diagnosis
    double: DoubleCounting | None

    def details(self, pictures: Pictures) -> Details:
        """Everything about one person."""
        i = pictures.index
        return Details(
            person=i,
            photograph=pictures.name,
            problem=pictures.problem,
            facts=self._facts(i),
            thumbnail=pictures.thumbnail(),
            comparison=pictures.comparison(),
            table=person(self.scores, i, self.diagnosis, self.double),
            heatmaps=self._heatmaps(pictures, range(len(self.scores.people.skeleton))),
            peaks=[] if pictures.maps is not None else self._peaks(pictures, self._double_joints(i)),
            penalties=self._penalties(pictures, np.union1d(np.flatnonzero(self._wrong(i)), self._double_joints(i))),
        )

    def cards(self, category: Category, pictures: dict[int, Pictures], details: dict[int, Details]) -> list[PersonCard]:
        """A card for each person of the category."""
        places = [f"{category.heading}, {place} of {len(category.persons)}" for place in range(1, len(category.persons) + 1)]
        if category.joints is None:
            return [PersonCard(details[i], place, details[i].facts, []) for i, place in zip(category.persons, places, strict=True)]
        rows = zip(category.persons, category.joints, places, strict=True)
        return [
            PersonCard(details[i], place, self._map_facts(i, joint), self._map_tiles(pictures[i], joint))
            for i, joint, place in rows
        ]

    def _facts(self, i: int) -> str:
        counted, wrong = self.scores.pck.counted[i].sum(), self._wrong(i).sum()
        return f"mean error {number(self.errors[i], 3)}, {wrong} of {counted} joints wrong"

    def _wrong(self, i: int) -> np.ndarray:
        return self.scores.pck.counted[i] & ~self.scores.pck.correct[i]

    def _map_facts(self, i: int, joint: int) -> str:
        return f"{spoken(self.scores.people.skeleton.joints[joint])}: {peaks_verdict(self.double, i, joint)}"

    def _double_joints(self, i: int) -> np.ndarray:
        return np.zeros(0, np.int64) if self.double is None else np.flatnonzero(self.double.double[i])

    def _map_tiles(self, pictures: Pictures, joint: int) -> list[Tile]:
        heatmaps = self._heatmaps(pictures, [joint])
        return heatmaps + self._penalties(pictures, [joint]) if heatmaps else self._peaks(pictures, [joint])

    def _heatmaps(self, pictures: Pictures, joints: Iterable[int]) -> list[Tile]:
        told = {joint: number(pictures.maps[joint].max()) for joint in joints if pictures.has_map(joint)}
        return [self._tile(pictures, joint, "heatmap", pictures.heatmap(joint), top) for joint, top in told.items()]

    def _penalties(self, pictures: Pictures, joints: Iterable[int]) -> list[Tile]:
        there = {joint: pictures.highest_penalty(joint) for joint in joints if pictures.has_map(joint)}
        told = {joint: f"{top:.2g}" for joint, top in there.items() if top > 0}
        return [self._tile(pictures, joint, "penalty map", pictures.penalty(joint), top) for joint, top in told.items()]

    def _peaks(self, pictures: Pictures, joints: Iterable[int]) -> list[Tile]:
        return [self._tile(pictures, joint, "peaks", pictures.peaks(joint), "") for joint in joints]

    def _tile(self, pictures: Pictures, joint: int, kind: str, picture: str, note: str) -> Tile:
        name = spoken(self.scores.people.skeleton.joints[joint])
        return Tile(picture, f"{kind} of {name} over the crop", name, note, bool(self._wrong(pictures.index)[joint]))
