"""Running sums: a sum and its divisor, float64 (2,), which add up over batches and processes."""

import torch
from torch import Tensor


def mean_sums(mean: Tensor, count: Tensor) -> Tensor:
    """Return the running sums of a mean over `count` items."""
    return torch.stack([mean.detach().double() * count, count.double()])


def share_sums(part: Tensor, whole: Tensor) -> Tensor:
    """Return the running sums of a share in percent; both tensors hold counts, or are masks."""
    return torch.stack([100 * part.sum(), whole.sum()]).double()


def divide(sums: Tensor) -> float:
    """Divide the sum by its divisor; 0 where that is 0."""
    total, divisor = sums.tolist()
    return total / divisor if divisor else 0.0
