"""The measures of a region's penalty, with their intervals, for tables and JSON files."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from posekit.metrics.bootstrap import in_percent, percentiles95, resampled_sums

# The tables' column of each measure, and the unit it is printed in.
_COLUMNS = {
    "mean_penalty": ("1e-6 per pixel", 1e6),
    "penalty_share": ("% of penalty", 1),
    "area_share": ("% of pixels", 1),
    "concentration": ("times as dense", 1),
    "higher": ("% of maps higher", 1),
}
MEASURES = tuple(_COLUMNS)
# It depends on the people alone.
_WITHOUT_INTERVAL = "area_share"
# Photographs that have the region: drawn from fewer, an interval tells too little, and looks narrow.
_FEWEST = 10
# Column of the sums.
_MAPS = 5


class Estimate(NamedTuple):
    """A number with the ends of its 95 % interval; NaN where nothing counted, the ends also where little did."""

    value: float
    low: float
    high: float


def estimates(sums_P6: np.ndarray) -> dict[str, Estimate]:
    """Each of `MEASURES`, with the interval of a bootstrap over photographs, if ten of them or more have the region.

    Parameters
    ----------
    sums_P6 : (P, 6) float
        What each photograph adds: penalty and pixels of the region; penalty and pixels of the whole maps; maps that score
        above the anchor within the region; maps. Only maps that have the region add to any of them.
    """
    values, drawn = _measures(sums_P6.sum(0)), _measures(resampled_sums(sums_P6))
    return {name: _estimate(values[name], drawn[name], sums_P6) for name in MEASURES}


def differences(a_P6: np.ndarray, b_P6: np.ndarray) -> dict[str, Estimate]:
    """First minus second of each of `MEASURES`; each drawn set of photographs measures both (sums as for `estimates`)."""
    (a, a_drawn), (b, b_drawn) = ((_measures(sums.sum(0)), _measures(resampled_sums(sums))) for sums in (a_P6, b_P6))
    return {name: _estimate(a[name] - b[name], a_drawn[name] - b_drawn[name], np.minimum(a_P6, b_P6)) for name in MEASURES}


def _estimate(value: float, drawn_R: np.ndarray, sums_P6: np.ndarray) -> Estimate:
    enough = np.count_nonzero(sums_P6[:, _MAPS]) >= _FEWEST
    return Estimate(float(value), *(percentiles95(drawn_R) if enough else (math.nan, math.nan)))


def _measures(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Each measure of the sums (..., 6)."""
    penalty, area, all_penalty, all_area, higher, maps = np.moveaxis(sums, -1, 0)
    penalty_share, area_share = in_percent(penalty, all_penalty), in_percent(area, all_area)
    return {
        "mean_penalty": in_percent(penalty, area) / 100,
        "penalty_share": penalty_share,
        "area_share": area_share,
        "concentration": in_percent(penalty_share, area_share) / 100,
        "higher": in_percent(higher, maps),
    }


def measure_lines(
    blocks: Mapping[str, Mapping[str, Mapping[str, Estimate]]],
    counts: Mapping[str, Mapping[str, int]],
    *,
    measures: Sequence[str] = MEASURES,
    sign: str = "",
) -> list[str]:
    """Text for the screen, in columns.

    Parameters
    ----------
    blocks : mapping of str to mapping of str to mapping of str to Estimate
        Of each group of joints, of each region, the measures.
    counts : mapping of str to mapping of str to int
        How many maps there were. Only the first group shows regions without any.
    measures : sequence of str
        Those to show.
    sign : str
        "+" for numbers that always show theirs.
    """
    rows = [["joints", "region", "maps", *(_COLUMNS[name][0] for name in measures)]]
    for i, (group, regions) in enumerate(blocks.items()):
        for region, found in regions.items():
            count = counts[group][region]
            if count or i == 0:
                rows.append([group, region, f"{count:,}", *(_cell(name, found[name], sign) for name in measures)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = ("<", "<", *">" * (1 + len(measures)))
    formats = [f"{side}{width}" for side, width in zip(aligned, widths, strict=True)]
    return ["  ".join(map(format, row, formats)) for row in rows]


def _cell(name: str, found: Estimate, sign: str) -> str:
    if math.isnan(found.value):
        return "-"
    value, low, high = (f"{_COLUMNS[name][1] * number:{sign},.1f}" for number in found)
    return value if name == _WITHOUT_INTERVAL or math.isnan(found.low) else f"{value} ({low} to {high})"


def to_json(found: Estimate | Mapping):
    """For JSON, however deep the estimates lie; None for NaN."""
    if not isinstance(found, Estimate):
        return {name: to_json(item) for name, item in found.items()}
    value, *ends = (number if math.isfinite(number) else None for number in found)
    return {"value": value, "interval95": ends}
