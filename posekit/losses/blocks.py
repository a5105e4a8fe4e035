"""Going through maps a few at a time, so that what is computed of them stays in the processor's cache."""

from collections.abc import Iterable

import torch
from torch import Tensor

# Pixels for each thread: 512 KiB of float32. Fresh memory costs more time than most of what a loss computes.
_BLOCK = 1 << 17


def blocks(*maps_BKHW: Tensor) -> Iterable[tuple[Tensor, ...]]:
    """Go through several batches of maps at once, in blocks of people and joints.

    Parameters
    ----------
    *maps_BKHW : (B, K, H, W)

    Returns
    -------
    iterable of tuples of (N, H, W)
        Contiguous batches as views. All maps in one block where blocks gain nothing: on a GPU, and in a compiled graph.
    """
    rows = [maps.flatten(0, 1) for maps in maps_BKHW]
    if not rows[0].is_cpu or torch.compiler.is_compiling():
        return [tuple(rows)]
    few = max(1, _BLOCK * torch.get_num_threads() // max(1, rows[0].shape[1:].numel()))
    return zip(*(maps.split(few) for maps in rows), strict=True)
