"""Bootstrap over persons: 95 % intervals of ratios in percent, and of the difference between two models.

Persons are drawn with replacement, as many as there are, and each drawn set is scored anew; the
interval runs between the 2.5th and 97.5th percentiles of those scores (Efron & Tibshirani, "An
Introduction to the Bootstrap", 1993). One person's joints are never parted: they are not independent.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

_BLOCK = 100  # resamples at a time, so that they stay in the processor's cache


@dataclass(frozen=True)
class Difference:
    """How much better one model is than another, on the same persons.

    Parameters
    ----------
    difference : float
        First minus second, in percentage points.
    low, high : float
        95 % interval of the difference.
    """

    difference: float
    low: float
    high: float

    @property
    def decided(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def interval95(part_N: ArrayLike, whole_N: ArrayLike, *, resamples: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Interval of ``100 * sum(part) / sum(whole)``.

    Parameters
    ----------
    part_N, whole_N : (N,) float
        What each person adds to the two sums.
    resamples : int
    seed : int

    Returns
    -------
    (low, high) : percent; NaN where nothing counted.

    Raises
    ------
    ValueError
        If the two have different shapes.
    """
    part, whole = resampled_sums(np.stack([part_N, whole_N], axis=1), resamples=resamples, seed=seed).T
    return percentiles95(in_percent(part, whole))


def paired_difference(
    a_part_N: ArrayLike, b_part_N: ArrayLike, whole_N: ArrayLike, *, resamples: int = 1000, seed: int = 0
) -> Difference:
    """Difference between two models' ratios; each drawn set of persons scores both.

    What makes a person hard is so taken out: the interval is narrower than two separate ones suggest.

    Parameters
    ----------
    a_part_N, b_part_N, whole_N : (N,) float
        What each person adds to the first model's sum, the second's, and the whole of both.
    resamples : int
    seed : int

    Returns
    -------
    Difference : first minus second; NaN where nothing counted.

    Raises
    ------
    ValueError
        If the three have different shapes.
    """
    parts = (np.asarray(part)[:, None] for part in (a_part_N, b_part_N))
    return repeated_difference(*parts, whole_N, resamples=resamples, seed=seed)


def repeated_difference(
    a_part_NS: ArrayLike, b_part_NS: ArrayLike, whole_N: ArrayLike, *, resamples: int = 1000, seed: int = 0
) -> Difference:
    """Difference between two ways of training, each repeated S times, such as with S seeds: of the means over the repeats.

    Both persons and repeats are drawn with replacement, so that the interval holds for other persons and other seeds. Column s
    of both belongs together: the same seed. With one repeat this is `paired_difference`. Of few repeats the drawn sets are few
    and alike, which makes the interval too narrow: of three, the share of the spread that comes from the seeds is 18 % too small.

    Parameters
    ----------
    a_part_NS, b_part_NS : (N, S) float
        What each person adds to each repeat's sum.
    whole_N : (N,) float
        What each person adds to the whole.
    resamples : int
    seed : int

    Returns
    -------
    Difference : first minus second; NaN where nothing counted.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    gain_NS = np.subtract(a_part_NS, b_part_NS, dtype=np.float64)
    *channel_gains, whole = resampled_sums(np.column_stack([gain_NS, whole_N]), resamples=resamples, seed=seed).T
    repeats = gain_NS.shape[1]
    share_RS = np.random.default_rng(seed).multinomial(repeats, np.full(repeats, 1 / repeats), size=resamples) / repeats
    low, high = percentiles95(in_percent((np.stack(channel_gains, axis=1) * share_RS).sum(1), whole))
    return Difference(float(in_percent(gain_NS.sum() / repeats, np.sum(whole_N))), low, high)


def resampled_sums(columns_NM: ArrayLike, *, resamples: int = 1000, seed: int = 0) -> np.ndarray:
    """Sums of the columns over each drawn set of persons. One seed and N give the same sets, whatever the columns.

    Parameters
    ----------
    columns_NM : (N, M) float
        What each person adds to the M sums.
    resamples : int
        R.
    seed : int

    Returns
    -------
    (R, M) float64
    """
    columns = np.asarray(columns_NM, dtype=np.float64)
    drawn = _drawn(len(columns), resamples, seed)
    blocks = (drawn[start : start + _BLOCK].astype(np.float64) for start in range(0, resamples, _BLOCK))
    return np.concatenate([times @ columns for times in blocks])  # floats go through BLAS


def percentiles95(values_R: np.ndarray) -> tuple[float, float]:
    """2.5th and 97.5th percentiles of the values that are not NaN; NaN where all are."""
    values = values_R[~np.isnan(values_R)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def in_percent(part: ArrayLike, whole: ArrayLike) -> np.ndarray:
    """``100 * part / whole``, NaN where `whole` is 0."""
    part, whole = np.broadcast_arrays(part, whole)
    return 100 * np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


@lru_cache(maxsize=1)  # a report asks for dozens of intervals over the same persons
def _drawn(n: int, resamples: int, seed: int) -> np.ndarray:
    """(resamples, n) uint8: how often each person is drawn; nobody is ever drawn 256 times."""
    rng, times = np.random.default_rng(seed), np.zeros((resamples, n), dtype=np.uint8)
    for row in times if n else ():
        row[:] = np.bincount(rng.integers(n, size=n), minlength=n)
    times.setflags(write=False)
    return times
