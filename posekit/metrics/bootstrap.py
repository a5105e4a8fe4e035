"""Bootstrap over people: 95 % confidence intervals of percentages and of differences between two models.

Each resample draws N of the N people with replacement and computes the metric on them. The confidence interval is bounded by the
2.5th and 97.5th percentiles of the metric over all resamples (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993).
People are resampled rather than joints, because the joints of one person are not independent.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

_BLOCK = 100  # resamples per matrix product, few enough to fit in the CPU cache


@dataclass(frozen=True)
class Difference:
    """Difference between two models on the same people.

    Parameters
    ----------
    difference : float
        First minus second, in percentage points.
    low, high : float
        Bounds of the 95 % confidence interval of the difference.
    """

    difference: float
    low: float
    high: float

    @property
    def decided(self) -> bool:
        """True if the 95 % confidence interval excludes 0."""
        return self.low > 0 or self.high < 0


def interval95(part_N: ArrayLike, whole_N: ArrayLike, *, resamples: int = 1000, seed: int = 0) -> tuple[float, float]:
    """95 % confidence interval (low, high) of ``100 * sum(part) / sum(whole)``; NaN if `whole_N` sums to 0.

    Parameters
    ----------
    part_N, whole_N : (N,) float
        Each person's contribution to the two sums.

    Raises
    ------
    ValueError
        If the two arrays have different shapes.
    """
    sums_R2 = resampled_sums(np.stack([part_N, whole_N], axis=1), resamples=resamples, seed=seed)
    return percentiles95(in_percent(sums_R2[:, 0], sums_R2[:, 1]))


def paired_difference(
    a_part_N: ArrayLike, b_part_N: ArrayLike, whole_N: ArrayLike, *, resamples: int = 1000, seed: int = 0
) -> Difference:
    """Difference between the percentages of two models, both computed on the same resamples of people.

    Some people are hard for both models. Pairing removes this shared variation, which makes the confidence interval narrower.

    Parameters
    ----------
    a_part_N, b_part_N, whole_N : (N,) float
        Each person's contribution to the first model's numerator, the second model's numerator and the shared denominator.

    Returns
    -------
    Difference : first model minus second model; NaN if `whole_N` sums to 0.

    Raises
    ------
    ValueError
        If the three arrays have different shapes.
    """
    a_part_N1 = np.asarray(a_part_N)[:, None]
    b_part_N1 = np.asarray(b_part_N)[:, None]
    return repeated_difference(a_part_N1, b_part_N1, whole_N, resamples=resamples, seed=seed)


def repeated_difference(
    a_part_NS: ArrayLike, b_part_NS: ArrayLike, whole_N: ArrayLike, *, resamples: int = 1000, seed: int = 0
) -> Difference:
    """Difference between two training configurations, each averaged over S repeats with different random seeds.

    Both people and repeats are resampled with replacement, so the confidence interval covers the variation between people and
    between seeds. Column s of both arrays must come from the same seed. With one repeat the result equals `paired_difference`.
    With few repeats the interval is too narrow: with three, the part of the spread caused by the seeds is 18 % too small.

    Parameters
    ----------
    a_part_NS, b_part_NS : (N, S) float
        Each person's contribution to the numerator of each repeat.
    whole_N : (N,) float
        Each person's contribution to the denominator.

    Returns
    -------
    Difference : first configuration minus second configuration; NaN if `whole_N` sums to 0.

    Raises
    ------
    ValueError
        If the shapes do not match.
    """
    gain_NS = np.subtract(a_part_NS, b_part_NS, dtype=np.float64)
    repeats = gain_NS.shape[1]
    sums_RM = resampled_sums(np.column_stack([gain_NS, whole_N]), resamples=resamples, seed=seed)
    drawn_RS = np.random.default_rng(seed).multinomial(repeats, np.full(repeats, 1 / repeats), size=resamples)
    gain_R = (sums_RM[:, :repeats] * (drawn_RS / repeats)).sum(1)
    low, high = percentiles95(in_percent(gain_R, sums_RM[:, repeats]))
    return Difference(float(in_percent(gain_NS.sum() / repeats, np.sum(whole_N))), low, high)


def resampled_sums(columns_NM: ArrayLike, *, resamples: int = 1000, seed: int = 0) -> np.ndarray:
    """Sum the columns (N, M) over each of R resamples of the N people; returns (R, M) float64.

    The resamples depend only on `seed` and N.
    """
    columns = np.asarray(columns_NM, dtype=np.float64)
    times_RN = _draw(len(columns), resamples, seed)
    sums = []
    for start in range(0, resamples, _BLOCK):
        block = times_RN[start : start + _BLOCK].astype(np.float64)  # NumPy multiplies float matrices with BLAS
        sums.append(block @ columns)
    return np.concatenate(sums)


def percentiles95(values_R: np.ndarray) -> tuple[float, float]:
    """Return the 2.5th and 97.5th percentiles, ignoring NaN; (NaN, NaN) if all values are NaN."""
    values = values_R[~np.isnan(values_R)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def in_percent(part: ArrayLike, whole: ArrayLike) -> np.ndarray:
    """Return ``100 * part / whole``, NaN where `whole` is 0."""
    part, whole = np.broadcast_arrays(part, whole)
    return 100 * np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


@lru_cache(maxsize=1)  # a report needs dozens of intervals over the same people
def _draw(n: int, resamples: int, seed: int) -> np.ndarray:
    """(resamples, n) uint8 array: how often each person is drawn (in practice never 256 times, so uint8 suffices)."""
    rng = np.random.default_rng(seed)
    times = np.zeros((resamples, n), dtype=np.uint8)
    if n:
        for row in times:
            row[:] = np.bincount(rng.integers(n, size=n), minlength=n)
    times.setflags(write=False)
    return times
