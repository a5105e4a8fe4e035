"""Running sums: float64 tensors (2,) of a sum and its divisor, to be added over batches and processes."""

import torch
from torch import Tensor


def mean_sums(mean: Tensor, count: Tensor) -> Tensor:
    """Convert a mean over `count` items to running sums."""
    return torch.stack([mean.detach().double() * count, count.double()])


def share_sums(part: Tensor, whole: Tensor) -> Tensor:
    """Return the running sums of the percentage of `part` in `whole`; both are tensors of counts, or boolean masks."""
    return torch.stack([100 * part.sum(), whole.sum()]).double()


def divide(sums: Tensor) -> float:
    """Divide the sum by the divisor; returns 0 if the divisor is 0."""
    total, divisor = sums.tolist()
    return total / divisor if divisor else 0.0
