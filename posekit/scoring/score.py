"""Scores of predictions on annotated people: the table, and ``metrics.json`` that names every choice made."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from posekit.errors import DataError, PredictionsError
from posekit.metrics import PCK, Diagnosis, DoubleCounting, diagnose, double_counting, paired_difference, pck, pckh, torso_sizes
from posekit.people import People
from posekit.scoring.io.predictions import Predictions
from posekit.scoring.metrics_file import metrics_contents
from posekit.skeletons import joint_mapping

# MPII's published means leave these two out.
_NOT_IN_MEANS = ("pelvis", "thorax")
_TABLE_WIDTH = 100
# Fewer do not tell whether the predictions are theirs.
_ENOUGH_PERSONS = 30
_TORSO = ("left_shoulder", "right_hip")
HEAD_SIZE = "head size (0.6 * diagonal of the head box)"
TORSO_SIZE = "torso size (true left shoulder to right hip)"


@dataclass(frozen=True)
class Scores:
    """What `score` found.

    Parameters
    ----------
    people : People
        The ground truth, N persons of K joints.
    predictions : Predictions
        Of these people, in their order and their skeleton; NaN for joints that are lacking.
    metric : str
        "PCKh@0.5", "PCK@0.2", or with another threshold.
    reference : str
        What the distances are divided by.
    reference_sizes : (N,) float64
        That size of each person, image pixels; NaN where there is none.
    pck : PCK
        The outcome, in the order of `people` and its skeleton.
    lacking : tuple of str
        Joints that the predictions' skeleton lacks; they do not count.
    """

    people: People
    predictions: Predictions
    metric: str
    reference: str
    reference_sizes: np.ndarray
    pck: PCK
    lacking: tuple[str, ...] = ()

    @cached_property
    def mean_joints(self) -> tuple[int, ...]:
        """Indices of the joints that the means run over."""
        joints = self.people.skeleton.joints
        return tuple(i for i, joint in enumerate(joints) if joint not in (*_NOT_IN_MEANS, *self.lacking))

    @cached_property
    def groups(self) -> dict[str, float]:
        """Percent of each of the skeleton's groups; NaN where nothing counted."""
        return self.pck.group_values(self.people.skeleton.group_indices)

    @cached_property
    def joints(self) -> dict[str, float]:
        """Percent of each joint; NaN where nothing counted."""
        return dict(zip(self.people.skeleton.joints, self.pck.percent.tolist(), strict=True))

    @cached_property
    def pooled_mean(self) -> float:
        """Percent of all counted joints together."""
        return self.pck.pooled_mean(self.mean_joints)

    @cached_property
    def joint_mean(self) -> float:
        """Plain mean of the joints' percentages."""
        return self.pck.joint_mean(self.mean_joints)

    @cached_property
    def auc(self) -> float:
        """Mean of the pooled mean over the metric's thresholds, in percent."""
        return self.pck.auc(self.mean_joints)

    @cached_property
    def interval95(self) -> tuple[float, float]:
        """Bootstrap 95 % interval of the pooled mean, in percent."""
        return self.pck.interval95(self.mean_joints)

    @cached_property
    def joint_mean_interval95(self) -> tuple[float, float]:
        """Bootstrap 95 % interval of the plain mean, in percent."""
        return self.pck.joint_mean_interval95(self.mean_joints)

    @cached_property
    def auc_interval95(self) -> tuple[float, float]:
        """Bootstrap 95 % interval of the AUC, in percent."""
        return self.pck.auc_interval95(self.mean_joints)

    @property
    def n_joints(self) -> int:
        """Counted joints that the means run over."""
        return int(self.pck.counts[list(self.mean_joints)].sum())

    @property
    def n_persons(self) -> int:
        """Persons scored: those with a reference size."""
        return len(self.people) - self.pck.n_left_out

    @cached_property
    def labelled(self) -> np.ndarray:
        """(N, K) bool: joints that are labelled, and not lacking in the predictions."""
        return self.people.labelled & ~np.isin(self.people.skeleton.joints, self.lacking)

    @cached_property
    def n_not_predicted(self) -> int:
        """Counted joints of the means whose prediction is not finite; they are wrong."""
        return int(np.isinf(self.pck.errors[:, list(self.mean_joints)]).sum())

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """Kind of every counted joint's error, at the metric's threshold."""
        return diagnose(self.predictions.joints, self.people.joints, self.pck.counted, **self._terms)

    @cached_property
    def double_counting(self) -> DoubleCounting | None:
        """Maps with several peaks, at the metric's threshold; None if the predictions hold no peaks."""
        found = self.predictions
        if found.peaks is None:
            return None
        return double_counting(found.peaks, found.heights, self.people.joints, self.pck.counted, **self._terms)

    @property
    def _terms(self) -> dict:
        order = self.people.skeleton.flip_order
        return {"reference_size_N": self.reference_sizes, "threshold": self.pck.threshold, "flip_order_K": order}

    @cached_property
    def warning(self) -> str | None:
        """What makes one doubt that these are the people who were predicted.

        Predictions should fit their own person better than the next one; the paired bootstrap says whether they do.
        """
        if self.n_persons < _ENOUGH_PERSONS:
            return None
        people, joints = self.people, list(self.mean_joints)
        own = self.pck.correct[:, joints] & self.pck.counted[:, joints]
        next_one = np.roll(self.predictions.joints, 1, axis=0)
        sizes = {"reference_size_N": self.reference_sizes, "threshold": self.pck.threshold}
        others = pck(next_one, people.joints, self.labelled, **sizes).correct[:, joints]
        if paired_difference(own.sum(1), others.sum(1), self.pck.counted[:, joints].sum(1)).low > 0:
            return None
        return (
            "LOOK: the predictions fit each person no better than the one before do; are they in the annotation's order of "
            "persons, of this split, in pixels of its photographs?"
        )

    def table(self) -> str:
        """Text for the screen: a column for each group, and below it the totals and whatever was left out."""
        counts = self.pck.counts[list(self.mean_joints)]
        totals = {
            f"mean, pooled over {counts.sum():,} joints": (self.pooled_mean, self.interval95),
            f"mean, plain over {(counts > 0).sum()} kinds of joint": (self.joint_mean, self.joint_mean_interval95),
            f"AUC, thresholds {_range(self.pck.auc_thresholds)}": (self.auc, self.auc_interval95),
        }
        label = max(map(len, totals))
        lines = [
            f"{self.metric} in percent, {self.people.name} {self.people.split}, {self.n_persons:,} persons",
            "",
            *_in_columns({**self.groups, "Mean": self.pooled_mean}),
            *(
                f"{name:<{label}}   {_two(value):>6}   95 % interval {_two(low)} to {_two(high)}"
                for name, (value, (low, high)) in totals.items()
            ),
            *self.remarks(),
        ]
        return "\n".join(lines)

    def remarks(self) -> list[str]:
        """Whatever was left out, was not predicted, or makes one doubt."""
        apart = [joint for joint in self.people.skeleton.joints if joint in _NOT_IN_MEANS]
        facts = {
            f"not in the means: {', '.join(apart)}": apart,
            f"not predicted, so not counted: {', '.join(self.lacking)}": self.lacking,
            **{f"left out by the loader, {reason}: {n:,} persons": n for reason, n in self.people.left_out.items()},
            f"left out, without {self.reference}: {self.pck.n_left_out:,} of {len(self.people):,} persons": self.pck.n_left_out,
            f"predicted as NaN, so wrong: {self.n_not_predicted:,} of {self.n_joints:,} joints": self.n_not_predicted,
            self.warning: self.warning,
        }
        return [fact for fact, present in facts.items() if present]

    def to_dict(self, *, weights: str | None = None, choices: Mapping | None = None, sections: Mapping | None = None) -> dict:
        """The contents of ``metrics.json``; numbers in percent, None where nothing counted.

        Parameters
        ----------
        weights : str, optional
            The weights file that predicted.
        choices : mapping, optional
            Choices made outside this module (decoding, coordinate base, …), for "protocol".
        sections : mapping, optional
            Further entries (a comparison, AP, …).
        """
        results = {
            "metric": self.metric,
            "protocol": {**self._protocol(), **(choices or {})},
            "dataset": self.people.name,
            "split": self.people.split,
            "n_persons": self.n_persons,
            "n_left_out": self.pck.n_left_out,
            "n_joints": self.n_joints,
            "n_joints_not_predicted": self.n_not_predicted,
            "warning": self.warning,
            "groups": self.groups,
            "joints": self.joints,
            "pooled_mean": self.pooled_mean,
            "joint_mean": self.joint_mean,
            "auc": self.auc,
            "interval95": self.interval95,
            "joint_mean_interval95": self.joint_mean_interval95,
            "auc_interval95": self.auc_interval95,
            **(sections or {}),
        }
        return metrics_contents(results, weights)

    def _protocol(self) -> dict:
        joints = self.people.skeleton.joints
        return {
            "threshold": self.pck.threshold,
            "correct": "distance <= threshold * reference size",
            "reference_size": self.reference,
            "persons_without_reference_size": "left out",
            "counted_joints": "labelled in the ground truth",
            "joints_in_means": [joints[i] for i in self.mean_joints],
            "joints_lacking_in_predictions": list(self.lacking),
            "prediction_not_finite": "wrong",
            "groups": "plain mean of the group's joints",
            "pooled_mean": "correct among all counted joints of joints_in_means",
            "joint_mean": "plain mean of the percentages of joints_in_means",
            "auc": f"mean of pooled_mean over thresholds {_range(self.pck.auc_thresholds)}",
            "interval95": "of pooled_mean, the others as named; bootstrap over persons, 1000 resamples, seed 0",
            "coordinates": "0-based pixel centres of the original image, not rounded",
            "box_source": self.people.box_source,
            "left_out_by_loader": dict(self.people.left_out),
        }


def score(people: People, predictions: Predictions, *, normalise: str = "auto", threshold: float | None = None) -> Scores:
    """Score predictions: PCKh@0.5 where people have head sizes, else PCK@0.2 of the torso, or as asked for.

    Predictions are matched to persons by `Predictions.index` and to joints by name. Joints that the
    predictions' skeleton lacks do not count, and the scores name them.

    Parameters
    ----------
    people : People
        The ground truth.
    predictions : Predictions
        Of exactly these people.
    normalise : {"auto", "head", "torso"}
        What distances are divided by.
    threshold : float, optional
        Largest distance of a correct joint, in that size: 0.5 heads or 0.2 torsos without it.

    Returns
    -------
    Scores

    Raises
    ------
    PredictionsError
        If the predictions are for other people or another number of them, or lack more than half of the joints.
    DataError
        If people lack head sizes or the torso's joints, whichever is needed.
    """
    lacking = _lacking(people, predictions)
    predictions = _aligned(people, predictions)
    counted = people.labelled & ~np.isin(people.skeleton.joints, lacking)
    points = predictions.joints, people.joints, counted
    has_heads = bool(np.isfinite(people.head_sizes).any())
    if normalise == "head" or (normalise == "auto" and has_heads):
        _require_heads(people, has_heads)
        threshold, sizes = threshold or 0.5, people.head_sizes
        outcome = pckh(*points, head_size_N=sizes, threshold=threshold)
        return Scores(people, predictions, f"PCKh@{threshold:g}", HEAD_SIZE, sizes, outcome, lacking)
    _require_torso(people)
    threshold, sizes = threshold or 0.2, torso_sizes(people.joints, people.labelled, people.skeleton)
    outcome = pck(*points, reference_size_N=sizes, threshold=threshold)
    return Scores(people, predictions, f"PCK@{threshold:g}", TORSO_SIZE, sizes, outcome, lacking)


def _lacking(people: People, predictions: Predictions) -> tuple[str, ...]:
    joints = people.skeleton.joints
    found = joint_mapping(predictions.skeleton, people.skeleton) >= 0
    lacking = tuple(joint for joint, has in zip(joints, found, strict=True) if not has)
    if 2 * len(lacking) > len(joints):
        raise PredictionsError(
            f"the predictions have skeleton {predictions.skeleton.name} and lack {len(lacking)} of the {len(joints)} joints of "
            f"{people.name} ({people.skeleton.name}): {', '.join(lacking)}. Score them on data with their own joints"
        )
    return lacking


def _aligned(people: People, predictions: Predictions) -> Predictions:
    """The predictions in the order of the people and the joints of their skeleton; NaN where one is lacking."""
    whose, index = f"{people.name} {people.split}", predictions.index
    source = {"data set": (predictions.dataset, people.name), "split": (predictions.split, people.split)}
    for what, (theirs, ours) in source.items():
        if theirs not in ("", ours):
            raise PredictionsError(f"the predictions were made for {what} {theirs!r}, not for {ours!r}; name theirs")
    outside = index[(index < 0) | (index >= len(people))]
    if len(outside):
        raise PredictionsError(
            f"the predictions' index {outside[0]} is out of range: {whose} has {len(people)} persons ({len(outside)} indices are). "
            "Score them on the split they were made for"
        )
    times = np.bincount(index, minlength=len(people))
    if (times != 1).any():
        raise PredictionsError(
            f"{len(index)} predictions for the {len(people)} persons of {whose}: {(times == 0).sum()} persons have none, "
            f"{(times > 1).sum()} have several. Score them on the split they were made for (--limit N: on its first N persons)"
        )
    return predictions.select(np.argsort(index)).mapped_to(people.skeleton)


def _require_heads(people: People, has_heads: bool) -> None:
    if not has_heads:
        raise DataError(
            f"{people.name} {people.split}: nobody has a head size, so PCKh cannot be told. Normalise by the torso, or for MPII "
            "put detections_our_format.mat, valid.h5 or the original .mat beside the annotation"
        )


def _require_torso(people: People) -> None:
    lacking = [joint for joint in _TORSO if joint not in people.skeleton.joints]
    if lacking:
        raise DataError(
            f"{people.name} {people.split}: no head sizes for PCKh, and skeleton {people.skeleton.name} lacks {', '.join(lacking)} "
            "for PCK's torso: these people cannot be scored"
        )


def _two(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"


def _in_columns(values: Mapping[str, float]) -> list[str]:
    """Names above numbers, in as many blocks as the screen's width needs."""
    width = max(7, *map(len, values))
    columns = [(f"{name:>{width}}", f"{_two(value):>{width}}") for name, value in values.items()]
    across = max(1, (_TABLE_WIDTH + 2) // (width + 2))
    blocks = (columns[start : start + across] for start in range(0, len(columns), across))
    return [line for block in blocks for line in (*map("  ".join, zip(*block, strict=True)), "")]


def _range(thresholds: np.ndarray) -> str:
    return f"{thresholds[0]:.2f} to {thresholds[-1]:.2f} in steps of {thresholds[1] - thresholds[0]:.2f}"
