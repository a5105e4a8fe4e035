"""Tallies that a task hands to the engine: a sum and its divisor, which add up over batches and processes."""

import torch
from torch import Tensor


def mean_sums(mean: Tensor, counted: Tensor) -> Tensor:
    """(2,) tally of a mean over so many."""
    return torch.stack([mean.detach().double() * counted, counted.double()])


def share_sums(part: Tensor, whole: Tensor) -> Tensor:
    """(2,) tally of a share in percent, of counts or of masks."""
    return torch.stack([100 * part.sum(), whole.sum()]).double()
