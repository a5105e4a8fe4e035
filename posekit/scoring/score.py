"""Score predictions on annotated people with PCK and COCO's AP: tables for the terminal, and contents of ``metrics.json``."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from posekit.errors import DataError, PredictionsError
from posekit.metrics import (
    PCK,
    Diagnosis,
    DoubleCounting,
    average_precision,
    diagnose,
    double_counting,
    paired_difference,
    pck,
    pckh,
    tight_area,
    torso_sizes,
)
from posekit.metrics.pck import TORSO
from posekit.people import People
from posekit.scoring.io.predictions import Predictions
from posekit.scoring.metrics_file import metrics_contents
from posekit.skeletons import joint_mapping

# MPII's published means leave these two joints out.
_NOT_IN_MEANS = ("pelvis", "thorax")
_TABLE_WIDTH = 100
HEAD_SIZE = "head size (0.6 * diagonal of the head box)"
TORSO_SIZE = "torso size (true left shoulder to right hip)"


@dataclass(frozen=True)
class Scores:
    """Result of `score`.

    Parameters
    ----------
    people : People
        Ground truth: N people with K joints.
    predictions : Predictions
        Predictions for these people, in the same order and skeleton; NaN for the joints in `lacking`.
    metric : str
        Name of the metric and its threshold, e.g. "PCKh@0.5" or "PCK@0.2".
    reference : str
        Name of the reference size by which distances are divided.
    reference_sizes : (N,) float64
        Each person's reference size, image pixels; NaN where it is unknown.
    pck : PCK
        PCK results per person and joint, in the order of `people` and of the skeleton's joints.
    lacking : tuple of str
        Joints that the predictions' skeleton lacks; these joints are not evaluated.
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
        """Indices of the joints that the means average: all but pelvis, thorax and the joints in `lacking`."""
        joints = self.people.skeleton.joints
        return tuple(i for i, joint in enumerate(joints) if joint not in (*_NOT_IN_MEANS, *self.lacking))

    @cached_property
    def groups(self) -> dict[str, float]:
        """Score of each joint group in percent; NaN if none of the group's joints is evaluated."""
        return {name: self.pck.joint_mean(joints) for name, joints in self.people.skeleton.group_indices.items()}

    @cached_property
    def joints(self) -> dict[str, float]:
        """Score of each joint in percent; NaN for joints that are never evaluated."""
        return dict(zip(self.people.skeleton.joints, self.pck.percent.tolist(), strict=True))

    @cached_property
    def pooled_mean(self) -> float:
        """Percentage of correct joints among all evaluated joints of `mean_joints`."""
        return self.pck.pooled_mean(self.mean_joints)

    @cached_property
    def joint_mean(self) -> float:
        """Unweighted mean of the percentages of `mean_joints`."""
        return self.pck.joint_mean(self.mean_joints)

    @cached_property
    def auc(self) -> float:
        """Area under the PCK curve: `pooled_mean`, averaged over thresholds up to 0.5 (PCKh) or 0.2 (PCK), in percent."""
        return self.pck.auc(self.mean_joints)

    @cached_property
    def interval95(self) -> tuple[float, float]:
        """Bootstrap 95 % confidence interval of `pooled_mean`, in percent."""
        return self.pck.interval95(self.mean_joints)

    @cached_property
    def joint_mean_interval95(self) -> tuple[float, float]:
        """Bootstrap 95 % confidence interval of `joint_mean`, in percent."""
        return self.pck.joint_mean_interval95(self.mean_joints)

    @cached_property
    def auc_interval95(self) -> tuple[float, float]:
        """Bootstrap 95 % confidence interval of `auc`, in percent."""
        return self.pck.auc_interval95(self.mean_joints)

    @property
    def n_joints(self) -> int:
        """Number of evaluated joints in the means, summed over all people."""
        return int(self.pck.counts[list(self.mean_joints)].sum())

    @property
    def n_persons(self) -> int:
        """Number of people who are scored because their reference size is known."""
        return len(self.people) - self.pck.n_left_out

    @cached_property
    def labelled(self) -> np.ndarray:
        """(N, K) bool array, True where the joint is labelled and exists in the predictions' skeleton."""
        return self.people.labelled & ~np.isin(self.people.skeleton.joints, self.lacking)

    @cached_property
    def n_not_predicted(self) -> int:
        """Number of evaluated joints in the means whose prediction is not finite, and therefore wrong."""
        return int(np.isinf(self.pck.errors[:, list(self.mean_joints)]).sum())

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """Kind of error of every evaluated joint, at the metric's threshold."""
        return diagnose(
            self.predictions.joints,
            self.people.joints,
            self.pck.counted,
            reference_size_N=self.reference_sizes,
            threshold=self.pck.threshold,
            flip_order_K=self.people.skeleton.flip_order,
        )

    @cached_property
    def double_counting(self) -> DoubleCounting | None:
        """Heatmaps with several peaks, at the metric's threshold; None if the predictions contain no peaks."""
        predictions = self.predictions
        if predictions.peaks is None or predictions.heights is None:
            return None
        return double_counting(
            predictions.peaks,
            predictions.heights,
            self.people.joints,
            self.pck.counted,
            reference_size_N=self.reference_sizes,
            threshold=self.pck.threshold,
            flip_order_K=self.people.skeleton.flip_order,
        )

    @cached_property
    def warning(self) -> str | None:
        """Warning if the predictions seem to be for other people or in another order; otherwise None.

        Predictions should fit their own person better than the next person in the list; a paired bootstrap tests this.
        """
        if self.n_persons < 30:  # with fewer people, chance alone can cause the warning
            return None
        joints = list(self.mean_joints)
        counted = self.pck.counted[:, joints]
        correct = self.pck.correct[:, joints] & counted
        shifted = pck(
            np.roll(self.predictions.joints, 1, axis=0),
            self.people.joints,
            self.labelled,
            reference_size_N=self.reference_sizes,
            threshold=self.pck.threshold,
        )
        if paired_difference(correct.sum(1), shifted.correct[:, joints].sum(1), counted.sum(1)).low > 0:
            return None
        return (
            "WARNING: the predictions fit their own person no better than the next person in the list; check that the "
            "predictions are for this split, in the annotation's order, and in pixels of the original images"
        )

    def table(self) -> str:
        """Return the table for the terminal: one column per joint group, followed by the totals and `remarks`."""
        counts = self.pck.counts[list(self.mean_joints)]
        totals = {
            f"mean, pooled over {counts.sum():,} joints": (self.pooled_mean, self.interval95),
            f"mean, plain over {(counts > 0).sum()} kinds of joint": (self.joint_mean, self.joint_mean_interval95),
            f"AUC, thresholds {_threshold_range(self.pck)}": (self.auc, self.auc_interval95),
        }
        lines = [f"{self.metric} in percent, {self.people.name} {self.people.split}, {self.n_persons:,} people", ""]
        lines += _column_lines({**self.groups, "Mean": self.pooled_mean})
        width = max(map(len, totals))
        for name, (value, (low, high)) in totals.items():
            lines.append(f"{name:<{width}}   {_format(value):>6}   95 % interval {_format(low)} to {_format(high)}")
        return "\n".join(lines + self.remarks())

    def remarks(self) -> list[str]:
        """Return lines about joints and people that were left out or not predicted, and the warning if there is one."""
        lines = []
        not_in_means = [joint for joint in self.people.skeleton.joints if joint in _NOT_IN_MEANS]
        if not_in_means:
            lines.append(f"not in the means: {', '.join(not_in_means)}")
        if self.lacking:
            lines.append(f"not in the predictions' skeleton, so not evaluated: {', '.join(self.lacking)}")
        for reason, count in self.people.left_out.items():
            if count:
                lines.append(f"left out when loading the data set ({reason}): {count:,} people")
        if self.pck.n_left_out:
            lines.append(f"left out because of a missing {self.reference}: {self.pck.n_left_out:,} of {len(self.people):,} people")
        if self.n_not_predicted:
            lines.append(f"predicted as NaN, so counted as wrong: {self.n_not_predicted:,} of {self.n_joints:,} joints")
        if self.warning:
            lines.append(self.warning)
        return lines

    def to_dict(self, *, weights: str | None = None, choices: Mapping | None = None, sections: Mapping | None = None) -> dict:
        """Return the contents of ``metrics.json``; scores in percent, None where no joint is evaluated.

        Parameters
        ----------
        weights : str, optional
            Path of the weights file that made the predictions.
        choices : mapping, optional
            Additional entries of "protocol", e.g. the decoding method.
        sections : mapping, optional
            Additional top-level entries, e.g. a comparison or AP.
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
            "auc": f"mean of pooled_mean over thresholds {_threshold_range(self.pck)}",
            "interval95": "of pooled_mean, the others as named; bootstrap over persons, 1000 resamples, seed 0",
            "coordinates": "0-based pixel centres of the original image, not rounded",
            "box_source": self.people.box_source,
            "left_out_by_loader": dict(self.people.left_out),
        }


def score(people: People, predictions: Predictions, *, normalise: str = "auto", threshold: float | None = None) -> Scores:
    """Score predictions, by default with PCKh@0.5 if the people have head sizes, otherwise with PCK@0.2 (torso sizes).

    Predictions are matched to people by `Predictions.index` and to joints by name. Joints that the predictions' skeleton lacks are
    not evaluated (`Scores.lacking`).

    Parameters
    ----------
    people : People
    predictions : Predictions
        One prediction for each of these people.
    normalise : {"auto", "head", "torso"}
        Reference size: head size or torso size; "auto" uses head sizes if there are any.
    threshold : float, optional
        Largest error of a correct joint, in reference sizes; default: 0.5 head sizes or 0.2 torso sizes.

    Raises
    ------
    PredictionsError
        If there is not exactly one prediction for each person, the predictions are for another data set or split, or their
        skeleton lacks more than half of the joints.
    DataError
        If PCKh is requested and no head size is known, or PCK's torso joints are missing from the skeleton.
    """
    lacking = _lacking_joints(people, predictions)
    predictions = _aligned(people, predictions)
    counted = people.labelled & ~np.isin(people.skeleton.joints, lacking)
    has_heads = bool(np.isfinite(people.head_sizes).any())
    if normalise == "head" or (normalise == "auto" and has_heads):
        if not has_heads:
            raise DataError(
                f"{people.name} {people.split}: no head sizes, so PCKh cannot be computed; normalise by the torso, or (MPII only) "
                "put detections_our_format.mat, valid.h5 or the original .mat file into the folder of the annotation"
            )
        sizes = people.head_sizes
        result = pckh(predictions.joints, people.joints, counted, head_size_N=sizes, threshold=threshold or 0.5)
        return Scores(people, predictions, f"PCKh@{result.threshold:g}", HEAD_SIZE, sizes, result, lacking)
    _require_torso(people)
    sizes = torso_sizes(people.joints, people.labelled, people.skeleton)
    result = pck(predictions.joints, people.joints, counted, reference_size_N=sizes, threshold=threshold or 0.2)
    return Scores(people, predictions, f"PCK@{result.threshold:g}", TORSO_SIZE, sizes, result, lacking)


def _lacking_joints(people: People, predictions: Predictions) -> tuple[str, ...]:
    joints = people.skeleton.joints
    source = joint_mapping(predictions.skeleton, people.skeleton)
    lacking = tuple(joint for joint, column in zip(joints, source, strict=True) if column < 0)
    if 2 * len(lacking) > len(joints):
        raise PredictionsError(
            f"the predictions' skeleton {predictions.skeleton.name} lacks {len(lacking)} of the {len(joints)} joints of "
            f"{people.name} ({people.skeleton.name}): {', '.join(lacking)}; score the predictions on a data set with these joints"
        )
    return lacking


def _aligned(people: People, predictions: Predictions) -> Predictions:
    """Reorder the predictions and map them to the people's skeleton; NaN for joints that the predictions lack."""
    sources = (("data set", predictions.dataset, people.name), ("split", predictions.split, people.split))
    for source, predicted, scored in sources:
        if predicted not in ("", scored):
            raise PredictionsError(f"the predictions are for {source} {predicted!r}, not {scored!r}; score on {predicted!r}")
    split = f"{people.name} {people.split}"
    index = predictions.index
    outside = index[(index < 0) | (index >= len(people))]
    if len(outside):
        raise PredictionsError(
            f"{len(outside)} person indices in the predictions are out of range, e.g. {outside[0]}: {split} has {len(people)} "
            "people; score the predictions on the split for which they were made"
        )
    times = np.bincount(index, minlength=len(people))
    if (times != 1).any():
        raise PredictionsError(
            f"{len(index)} predictions for the {len(people)} people of {split}: {(times == 0).sum()} people have no prediction, "
            f"{(times > 1).sum()} have several; score the predictions on the split for which they were made; if only the "
            "first N people were predicted, add --limit N"
        )
    return predictions.select(np.argsort(index)).mapped_to(people.skeleton)


def _require_torso(people: People) -> None:
    lacking = [joint for joint in TORSO if joint not in people.skeleton.joints]
    if lacking:
        raise DataError(
            f"{people.name} {people.split}: no head sizes for PCKh, and skeleton {people.skeleton.name} lacks "
            f"{', '.join(lacking)}, the ends of PCK's torso; these people cannot be scored"
        )


def _format(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"


def _column_lines(values: Mapping[str, float]) -> list[str]:
    """Return lines of names with numbers below, split into blocks that fit the table's width."""
    width = max(7, *map(len, values))
    columns_per_block = max(1, (_TABLE_WIDTH + 2) // (width + 2))
    names = list(values)
    lines = []
    for start in range(0, len(names), columns_per_block):
        block = names[start : start + columns_per_block]
        lines.append("  ".join(f"{name:>{width}}" for name in block))
        lines.append("  ".join(f"{_format(values[name]):>{width}}" for name in block))
        lines.append("")
    return lines


def _threshold_range(result: PCK) -> str:
    thresholds = result.auc_thresholds
    return f"{thresholds[0]:.2f} to {thresholds[-1]:.2f} in steps of {thresholds[1] - thresholds[0]:.2f}"


def require_sigmas(people: People) -> None:
    """Raise `DataError` if the people's skeleton has no OKS sigmas."""
    if people.skeleton.sigmas is None:
        raise DataError(f"skeleton {people.skeleton.name} has no OKS sigmas, which AP needs; score without AP")


def keypoint_ap(scores: Scores) -> dict:
    """Average precision based on object keypoint similarity, with one prediction for each person.

    All people are evaluated, including those without a reference size.

    Returns
    -------
    dict : "AP", "AP50", … in percent; "area", "sigmas" and "scores" describe the inputs; "persons" is the number of people.

    Raises
    ------
    DataError
        If the skeleton has no OKS sigmas.
    """
    people = scores.people
    predictions = scores.predictions
    require_sigmas(people)
    has_area = np.isfinite(people.areas)
    results = average_precision(
        predictions.joints,
        predictions.person_scores,
        people.joints,
        scores.labelled,
        people.visible,
        area_N=np.where(has_area, people.areas, tight_area(people.joints, people.labelled)),
        image_N=people.image_paths,
        sigmas_K=np.array(people.skeleton.sigmas),
    )
    tight = "the annotation's; where missing, the area of the tight box of the labelled joints"
    return {
        **results,
        "area": "the annotation's" if has_area.all() else tight,
        "sigmas": "COCO's; joints that COCO lacks borrow the nearest one's (pelvis: hip; thorax, neck, head top: shoulder)",
        "scores": "mean of the joints' scores" if np.isfinite(predictions.scores).any() else "none, so all predictions rank alike",
        "persons": len(people),
    }
