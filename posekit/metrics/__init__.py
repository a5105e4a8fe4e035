"""Metrics, computed from NumPy arrays without side effects."""

from posekit.metrics.bootstrap import Difference, interval95, paired_difference, repeated_difference
from posekit.metrics.boxes import box_average_precision, square_iou
from posekit.metrics.calibration import Reliability, reliability_bins
from posekit.metrics.diagnosis import KINDS, Diagnosis, diagnose
from posekit.metrics.double_counting import DoubleCounting, double_counting
from posekit.metrics.oks import average_precision, oks, tight_area
from posekit.metrics.pck import PCK, compare, compare_repeats, pck, pckh, torso_sizes

__all__ = [
    "KINDS",
    "PCK",
    "Diagnosis",
    "Difference",
    "DoubleCounting",
    "Reliability",
    "average_precision",
    "box_average_precision",
    "compare",
    "compare_repeats",
    "diagnose",
    "double_counting",
    "interval95",
    "oks",
    "paired_difference",
    "pck",
    "pckh",
    "reliability_bins",
    "repeated_difference",
    "square_iou",
    "tight_area",
    "torso_sizes",
]
