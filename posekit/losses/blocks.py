"""Blocks of maps that fit into the processor's cache."""

from collections.abc import Iterable

import torch
from torch import Tensor

# Pixels per thread: 512 KiB of float32. Writing to fresh memory takes more time than most of a loss's arithmetic.
_BLOCK = 1 << 17


def blocks(*maps_BKHW: Tensor) -> Iterable[tuple[Tensor, ...]]:
    """Iterate over several batches of maps at once, in blocks of people and joints.

    Parameters
    ----------
    *maps_BKHW : (B, K, H, W)

    Returns
    -------
    iterable of tuples of (N, H, W)
        Views of contiguous batches. All maps form one block on a GPU and in a compiled graph, where blocks gain nothing.
    """
    flat = [maps.flatten(0, 1) for maps in maps_BKHW]
    if not flat[0].is_cpu or torch.compiler.is_compiling():
        return [tuple(flat)]
    pixels = max(1, flat[0].shape[1:].numel())
    count = max(1, _BLOCK * torch.get_num_threads() // pixels)
    return zip(*(maps.split(count) for maps in flat), strict=True)
