"""A model's card: what weights were trained on and may be used for, how good they are, and where they fail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posekit.drawing.pose import prediction_sheet
from posekit.geometry import Crop
from posekit.models import ModelInfo
from posekit.scoring.directions import DIRECTIONS, EVERYBODY, by_direction, limb_joints, torso_angles
from posekit.scoring.markdown import markdown_table
from posekit.scoring.score import Scores

# Of each kind of failure, how many persons the picture shows, and the side of its tiles in pixels.
_EACH, _TILE = 4, 200
_INVERTED = 135.0  # degrees from straight up
_BACKGROUND = 70  # grey, on which both the skeletons and the marks can be seen


@dataclass(frozen=True)
class ModelCard:
    """Everything that the card of some weights tells.

    Parameters
    ----------
    name : str
    info : ModelInfo
    scores : mapping of str to Scores
        Of the same people, by how they were looked at; the first is the plain one.
    facts : mapping of str to str
        Further lines of the table of facts.
    terms : str
        What the weights may be used for.
    settings : str
        The training configuration, YAML; empty: not known.
    """

    name: str
    info: ModelInfo
    scores: Mapping[str, Scores]
    facts: Mapping[str, str]
    terms: str
    settings: str

    @property
    def plain(self) -> Scores:
        """The scores of one look at each person."""
        return next(iter(self.scores.values()))

    def text(self, picture: str) -> str:
        """The card, Markdown.

        Parameters
        ----------
        picture : str
            File name of what `failures_sheet` shows; empty where there is none.
        """
        parts = [
            f"# {self.name}",
            markdown_table(["", ""], list(self._facts().items())),
            f"**Terms of use.** {self.terms}",
            "## Scores",
            f"{self.plain.metric} in percent, {self._people()}; 95 % intervals of a bootstrap over persons.",
            self._groups(),
            f"The {len(limb_joints(self.plain))} limb joints alone, by the direction of the true torso:",
            self._directions(),
            "## Known failures",
            self._failures(),
        ]
        if picture:
            parts += [
                f"![failures]({picture})",
                "Drawn at random among those half or more of whose joints are wrong, without their photographs: the prediction, "
                "wrong joints ringed, and the truth.",
            ]
        if self.settings:
            parts += ["## Made by", f"`posekit train` with this configuration:\n\n```yaml\n{self.settings.strip()}\n```"]
        return "\n\n".join(parts) + "\n"

    def _facts(self) -> dict[str, str]:
        info = self.info
        learned = {name: info.notes[name] for name in ("trained_on", "loss", "gamma", "epochs") if name in info.notes}
        return {
            "joints": f"{len(info.skeleton)} ({info.skeleton.name}): " + ", ".join(info.skeleton.joints),
            "network": _network(info),
            "input": f"crops of {info.input_size} x {info.input_size} pixels around one person",
            **{name.replace("_", " "): str(value) for name, value in learned.items()},
            **self.facts,
        }

    def _people(self) -> str:
        people, scores = self.plain.people, self.plain
        left_out = f", {scores.pck.n_left_out:,} more left out, without {scores.reference}" if scores.pck.n_left_out else ""
        return f"{scores.n_persons:,} persons of {people.name} {people.split}{left_out}; boxes: {people.box_source}"

    def _groups(self) -> str:
        rows = [
            [
                name,
                *(_two(value) for value in scores.groups.values()),
                f"**{_two(scores.pooled_mean)}** {_range(scores.interval95)}",
            ]
            for name, scores in self.scores.items()
        ]
        return markdown_table(["", *self.plain.groups, "mean, pooled"], rows)

    def _directions(self) -> str:
        found = {name: by_direction(scores) for name, scores in self.scores.items()}
        persons = by_direction(self.plain)
        names = [name for name in (*DIRECTIONS, EVERYBODY) if persons[name].persons]
        rows = [
            [name, *(f"{_two(of[each].percent)} {_range(of[each].interval95)}" for each in names)] for name, of in found.items()
        ]
        return markdown_table(["", *(f"{name} ({persons[name].persons:,})" for name in names)], rows)

    def _failures(self) -> str:
        found, scores = self.plain.diagnosis, self.plain
        cost = found.cost(scores.mean_joints)
        lines = [
            f"- inversions (a joint on the person's opposite joint) cost {cost['inversion']:.1f} points",
            f"- misses (elsewhere, such as on another person or the background) cost {cost['miss']:.1f} points",
            f"- jitter (near the joint, but not near enough) costs {cost['jitter']:.1f} points",
            f"- {found.n_mirrored:,} of {scores.n_persons:,} persons would be better with left and right exchanged",
        ]
        if scores.double_counting is not None:
            lines.append(f"- {scores.double_counting.total('double', scores.mean_joints):.0f} % of the heatmaps have several peaks")
        return "\n".join(lines)

    def failures_sheet(self) -> np.ndarray | None:
        """(height, width, 3) uint8: persons who fail in different ways, drawn at random, without their photographs.

        None if nobody has half or more joints wrong.
        """
        failed = self._failed()
        chosen = [person for persons in failed.values() for person in persons]
        if not chosen:
            return None
        people, scores = self.plain.people, self.plain
        crops = [Crop(people[i].box, _TILE) for i in chosen]

        def placed(joints):
            return np.array([crop.forward(joints[i]) for crop, i in zip(crops, chosen, strict=True)])

        return prediction_sheet(
            [np.full((_TILE, _TILE, 3), _BACKGROUND, np.uint8)] * len(chosen),
            {"prediction": (placed(scores.predictions.joints), scores.pck.correct[chosen])},
            placed(people.joints),
            people.labelled[chosen],
            people.skeleton,
            counted=scores.pck.counted[chosen],
            titles=[f"{Path(people[i].image_path).name}, {kind}" for kind, persons in failed.items() for i in persons],
            tile=_TILE,
            columns=_EACH // 2,
        )

    def _failed(self) -> dict[str, np.ndarray]:
        """Persons with half or more of their joints wrong, by what is odd about them."""
        scores = self.plain
        counted = scores.pck.counted.sum(1)
        failed = (counted > 0) & (2 * (scores.pck.correct & scores.pck.counted).sum(1) <= counted)
        exchanged = failed & scores.diagnosis.mirrored_N
        inverted = failed & ~exchanged & (torso_angles(scores.people) > _INVERTED)
        rng = np.random.default_rng(0)
        kinds = {"sides exchanged": exchanged, "upside down": inverted, "other": failed & ~exchanged & ~inverted}
        return {kind: rng.permutation(np.flatnonzero(rows))[:_EACH] for kind, rows in kinds.items()}


def _network(info: ModelInfo) -> str:
    encoder = f"; the first one's way down is {info.encoder}, begun with ImageNet's weights" if info.encoder else ""
    return f"stacked hourglass, {info.stacks} stack{'s' * (info.stacks > 1)} of {info.features} features, {info.head} head{encoder}"


def _two(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "-"


def _range(interval: Sequence[float]) -> str:
    return f"({_two(interval[0])} to {_two(interval[1])})"
