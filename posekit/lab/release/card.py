"""Model cards of released weights: training data, terms of use, scores and known failures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from posekit.drawing.pose import prediction_sheet
from posekit.geometry import Crop
from posekit.models import ModelInfo
from posekit.scoring.directions import DIRECTIONS, EVERYBODY, by_direction, limb_joints, torso_angles
from posekit.scoring.markdown import markdown_table
from posekit.scoring.score import Scores

_EXAMPLES = 4  # people shown for each kind of failure
_TILE = 200  # side of an example in pixels
_INVERTED_DEG = 135.0  # angle between torso and vertical above which a person is upside down
_BACKGROUND = 70  # grey level on which both the skeletons and the marks are visible


@dataclass(frozen=True)
class ModelCard:
    """Model card of a pose model.

    Parameters
    ----------
    name : str
    info : ModelInfo
    scores : mapping of str to Scores
        Name of the test-time augmentation -> scores on the same people; the first entry is without augmentation.
    facts : mapping of str to str
        Additional rows of the card's first table.
    terms : str
        Terms of use.
    settings : str
        Training configuration as YAML; empty if unknown.
    """

    name: str
    info: ModelInfo
    scores: Mapping[str, Scores]
    facts: Mapping[str, str]
    terms: str
    settings: str

    @property
    def plain(self) -> Scores:
        """The scores without test-time augmentation."""
        return next(iter(self.scores.values()))

    def text(self, image: str) -> str:
        """Return the text of the card in Markdown.

        Parameters
        ----------
        image : str
            File name of the image from `failures_sheet`; empty if there is no such image.
        """
        parts = [
            f"# {self.name}",
            markdown_table(["", ""], list(self._facts().items())),
            f"**Terms of use.** {self.terms}",
            "## Scores",
            f"{self.plain.metric} in percent, {self._people()}; 95 % intervals of a bootstrap over people.",
            self._group_table(),
            f"The {len(limb_joints(self.plain))} limb joints alone, by the direction of the true torso:",
            self._direction_table(),
            "## Known failures",
            self._failure_list(),
        ]
        if image:
            parts += [
                f"![failures]({image})",
                "People with at least half of their joints wrong, chosen at random and drawn without their images: the prediction, "
                "with wrong joints ringed, and the true pose.",
            ]
        if self.settings:
            parts += ["## Training", f"`posekit train` with this configuration:\n\n```yaml\n{self.settings.strip()}\n```"]
        return "\n\n".join(parts) + "\n"

    def _facts(self) -> dict[str, str]:
        info = self.info
        facts = {
            "joints": f"{len(info.skeleton)} ({info.skeleton.name}): " + ", ".join(info.skeleton.joints),
            "network": _network(info),
            "input": f"crops of {info.input_size} x {info.input_size} pixels around one person",
        }
        return {**facts, **training_facts(info.notes), **self.facts}

    def _people(self) -> str:
        scores = self.plain
        people = scores.people
        left_out = f", {scores.pck.n_left_out:,} more left out, without {scores.reference}" if scores.pck.n_left_out else ""
        return f"{scores.n_persons:,} people of {people.name} {people.split}{left_out}; boxes: {people.box_source}"

    def _group_table(self) -> str:
        rows = []
        for name, scores in self.scores.items():
            mean = f"**{_two_digits(scores.pooled_mean)}** {_interval(scores.interval95)}"
            rows.append([name, *map(_two_digits, scores.groups.values()), mean])
        return markdown_table(["", *self.plain.groups, "mean, pooled"], rows)

    def _direction_table(self) -> str:
        plain = by_direction(self.plain)
        columns = [column for column in (*DIRECTIONS, EVERYBODY) if plain[column].persons]
        rows = []
        for name, scores in self.scores.items():
            results = by_direction(scores)
            cells = [f"{_two_digits(results[column].percent)} {_interval(results[column].interval95)}" for column in columns]
            rows.append([name, *cells])
        return markdown_table(["", *(f"{column} ({plain[column].persons:,})" for column in columns)], rows)

    def _failure_list(self) -> str:
        scores = self.plain
        cost = scores.diagnosis.cost(scores.mean_joints)
        lines = [
            f"- inversions (a joint on the person's opposite joint) cost {cost['inversion']:.1f} points",
            f"- misses (elsewhere, such as on another person or the background) cost {cost['miss']:.1f} points",
            f"- jitter (near the joint, but not near enough) costs {cost['jitter']:.1f} points",
            f"- {scores.diagnosis.n_mirrored:,} of {scores.n_persons:,} people would score higher with left and right exchanged",
        ]
        if scores.double_counting is not None:
            lines.append(f"- {scores.double_counting.total('double', scores.mean_joints):.0f} % of the heatmaps have several peaks")
        return "\n".join(lines)

    def failures_sheet(self) -> np.ndarray | None:
        """Draw randomly chosen people with failed predictions, a few for each kind of failure, without the images of the people.

        Returns
        -------
        (height, width, 3) uint8 : None if no person has at least half of their joints wrong.
        """
        scores = self.plain
        people = scores.people
        chosen = []
        crops = []
        titles = []
        for failure, persons in self._failures().items():
            for i in persons:
                chosen.append(i)
                crops.append(Crop(people[i].box, _TILE))
                titles.append(f"{Path(people[i].image_path).name}, {failure}")
        if not chosen:
            return None

        def to_crops(joints: np.ndarray) -> np.ndarray:
            return np.array([crop.forward(joints[i]) for crop, i in zip(crops, chosen, strict=True)])

        return prediction_sheet(
            [np.full((_TILE, _TILE, 3), _BACKGROUND, np.uint8)] * len(chosen),
            {"prediction": (to_crops(scores.predictions.joints), scores.pck.correct[chosen])},
            to_crops(people.joints),
            people.labelled[chosen],
            people.skeleton,
            counted=scores.pck.counted[chosen],
            titles=titles,
            tile=_TILE,
            columns=_EXAMPLES // 2,
        )

    def _failures(self) -> dict[str, list[int]]:
        """Choose people with at least half of their joints wrong; returns kind of failure -> indices of people."""
        scores = self.plain
        n_counted = scores.pck.counted.sum(1)
        n_correct = (scores.pck.correct & scores.pck.counted).sum(1)
        failed = (n_counted > 0) & (2 * n_correct <= n_counted)
        exchanged = failed & scores.diagnosis.mirrored_N
        inverted = failed & ~exchanged & (torso_angles(scores.people) > _INVERTED_DEG)
        failures = {"sides exchanged": exchanged, "upside down": inverted, "other": failed & ~exchanged & ~inverted}
        rng = np.random.default_rng(0)
        return {failure: rng.permutation(np.flatnonzero(rows))[:_EXAMPLES].tolist() for failure, rows in failures.items()}


def training_facts(notes: Mapping[str, object]) -> dict[str, str]:
    """Return rows of the card's first table, from the notes that training stores in a weights file."""
    facts = {}
    for name in ("trained_on", "loss", "gamma", "epochs"):
        if name in notes:
            facts[name.replace("_", " ")] = str(notes[name])
    return facts


def size_facts(model: nn.Module, path: Path) -> dict[str, str]:
    """Return rows of the card's first table: number of parameters and file size."""
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    return {"parameters": f"{n_parameters / 1e6:.2f} M", "file": f"{path.stat().st_size / 1e6:.1f} MB, half precision"}


def _network(info: ModelInfo) -> str:
    stacks = "1 stack" if info.stacks == 1 else f"{info.stacks} stacks"
    encoder = f"; the encoder of the first is {info.encoder}, pretrained on ImageNet" if info.encoder else ""
    return f"stacked hourglass, {stacks} of {info.features} features, {info.head} head{encoder}"


def _two_digits(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "-"


def _interval(interval: Sequence[float]) -> str:
    low, high = interval
    return f"({_two_digits(low)} to {_two_digits(high)})"
