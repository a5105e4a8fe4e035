"""Measures of the penalty in a region, with 95 % confidence intervals, and shares of the gradient; as tables and for JSON."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from posekit.losses.explain import AnchorMaps
from posekit.metrics.bootstrap import in_percent, percentiles95, resampled_sums

# Measure -> (column title, factor from the measure to the printed unit).
_COLUMNS = {
    "mean_penalty": ("1e-6 per pixel", 1e6),
    "penalty_share": ("% of penalty", 1),
    "area_share": ("% of pixels", 1),
    "concentration": ("times as dense", 1),
    "higher": ("% of heatmaps higher", 1),
}
MEASURES = tuple(_COLUMNS)
_WITHOUT_INTERVAL = "area_share"  # this measure depends only on the people, not on the model
_MIN_IMAGES = 10  # minimum number of images with the region; an interval from fewer images would be too narrow
_MAPS = 5  # column of `sums_P6` with the number of heatmaps

LOSSES = ("BCE", "anchor loss")
KINDS = ("target above 0", "true negatives above the anchor", "other true negatives")


class Estimate(NamedTuple):
    """A value with the ends of the 95 % confidence interval. Without data, all are NaN; with too few images, only the ends."""

    value: float
    low: float
    high: float


Measures = Mapping[str, Estimate]
Regions = Mapping[str, Measures]
Groups = Mapping[str, Regions]
"""Joint group -> region -> measures."""


def estimates(sums_P6: np.ndarray) -> dict[str, Estimate]:
    """Return all `MEASURES` with confidence intervals from a bootstrap over images (NaN if fewer than ten images have the region).

    Parameters
    ----------
    sums_P6 : (P, 6) float
        For each image, sums over the heatmaps that have the region: penalty in the region, pixels of the region, penalty in all
        regions, pixels of all regions, number of heatmaps with a probability above the anchor in the region, number of heatmaps.
    """
    values = _measures(sums_P6.sum(0))
    resampled = _measures(resampled_sums(sums_P6))
    return {name: _estimate(values[name], resampled[name], sums_P6) for name in MEASURES}


def differences(a_P6: np.ndarray, b_P6: np.ndarray) -> dict[str, Estimate]:
    """Return the difference a - b of all `MEASURES` with paired bootstrap intervals; for the sums see `estimates`."""
    a, b = _measures(a_P6.sum(0)), _measures(b_P6.sum(0))
    a_R, b_R = _measures(resampled_sums(a_P6)), _measures(resampled_sums(b_P6))
    return {name: _estimate(a[name] - b[name], a_R[name] - b_R[name], np.minimum(a_P6, b_P6)) for name in MEASURES}


def _measures(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Compute all `MEASURES` from sums of shape (..., 6)."""
    penalty, area, all_penalty, all_area, higher, maps = np.moveaxis(sums, -1, 0)
    penalty_share = in_percent(penalty, all_penalty)
    area_share = in_percent(area, all_area)
    return {
        "mean_penalty": in_percent(penalty, area) / 100,
        "penalty_share": penalty_share,
        "area_share": area_share,
        "concentration": in_percent(penalty_share, area_share) / 100,
        "higher": in_percent(higher, maps),
    }


def _estimate(value: np.ndarray, resampled_R: np.ndarray, sums_P6: np.ndarray) -> Estimate:
    if np.count_nonzero(sums_P6[:, _MAPS]) < _MIN_IMAGES:
        return Estimate(float(value), math.nan, math.nan)
    return Estimate(float(value), *percentiles95(resampled_R))


def measure_lines(
    groups: Groups, counts: Mapping[str, Mapping[str, int]], *, measures: Sequence[str] = MEASURES, sign: str = ""
) -> list[str]:
    """Format measures as aligned columns of text.

    Parameters
    ----------
    groups : Groups
    counts : mapping of str to mapping of str to int
        Joint group -> region -> number of heatmaps. A region without heatmaps is shown in the first group only.
    measures : sequence of str
        Names of the measures to show as columns.
    sign : str
        "+" to print the sign of positive numbers as well.
    """
    rows = [["joints", "region", "heatmaps", *(_COLUMNS[name][0] for name in measures)]]
    for i, (group, regions) in enumerate(groups.items()):
        for region, values in regions.items():
            count = counts[group][region]
            if count or i == 0:
                rows.append([group, region, f"{count:,}", *(_cell(name, values[name], sign) for name in measures)])
    return _align(rows, left=2)


def _align(rows: Sequence[Sequence[str]], *, left: int) -> list[str]:
    """Format rows of cells as lines; the first `left` columns are aligned to the left, all other columns to the right."""
    formats = []
    for i, column in enumerate(zip(*rows, strict=True)):
        side = "<" if i < left else ">"
        formats.append(f"{side}{max(map(len, column))}")
    return ["  ".join(map(format, row, formats)) for row in rows]


def _cell(name: str, estimate: Estimate, sign: str) -> str:
    if math.isnan(estimate.value):
        return "-"
    factor = _COLUMNS[name][1]
    value, low, high = (f"{factor * number:{sign},.1f}" for number in estimate)
    if name == _WITHOUT_INTERVAL or math.isnan(estimate.low):
        return value
    return f"{value} ({low} to {high})"


def to_json(estimates: Estimate | Mapping) -> dict:
    """Convert an estimate, or a nested mapping of estimates, for JSON; NaN becomes None."""
    if not isinstance(estimates, Estimate):
        return {name: to_json(item) for name, item in estimates.items()}
    value, *ends = (number if math.isfinite(number) else None for number in estimates)
    return {"value": value, "interval95": ends}


def summed_gradients(maps: AnchorMaps) -> np.ndarray:
    """Sum the absolute gradients of both losses with respect to the logits, over all heatmaps that have an anchor.

    Returns
    -------
    (B, 2, 3) float64 : sums by person, loss (`LOSSES`) and kind of pixel (`KINDS`).
    """
    counted = ~maps.anchor.isnan()
    above = maps.probability > maps.anchor
    kinds = torch.stack([~maps.mask & counted, maps.mask & above, maps.mask & ~above & counted])
    gradients = torch.stack([maps.probability - maps.target, maps.gradient]).abs().double()
    return torch.einsum("lbkhw,tbkhw->blt", gradients, kinds.double()).cpu().numpy()


def gradient_shares(sums_N23: np.ndarray) -> dict[str, dict[str, float]]:
    """Return loss -> kind of pixel -> percentage of the absolute gradient; NaN if the gradient is 0."""
    sums_23 = sums_N23.sum(0)
    shares_23 = in_percent(sums_23, sums_23.sum(-1, keepdims=True))
    return {loss: dict(zip(KINDS, row.tolist(), strict=True)) for loss, row in zip(LOSSES, shares_23, strict=True)}


def gradient_lines(shares: dict[str, dict[str, float]]) -> list[str]:
    """Format the shares as text, one line per loss."""
    rows = [["% of the gradient", *KINDS]]
    for loss, share_by_kind in shares.items():
        rows.append([loss, *("-" if math.isnan(share) else f"{share:.1f}" for share in share_by_kind.values())])
    return _align(rows, left=1)
