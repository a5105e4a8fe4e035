"""Loss and gradient of a single true negative, for plots of the losses."""

from dataclasses import dataclass

import torch
from torch import Tensor

from posekit.losses.heatmap import HeatmapLoss

# Largest logit z: 1 / (1 + exp(-z)) is exactly 1 in float64, and the loss and gradient are finite.
_FAR = 40.0


@dataclass(frozen=True)
class Cost:
    """Loss of a true negative and the derivative of the loss; both are detached, in the shape of the probabilities.

    Parameters
    ----------
    loss : Tensor, float64
        Loss L.
    gradient : Tensor, float64
        dL/dq, the derivative with respect to the probability (not the logit).
    """

    loss: Tensor
    gradient: Tensor


def background_cost(loss: HeatmapLoss, probability: Tensor | float, anchor: Tensor | float) -> Cost:
    """Compute the loss and gradient of a true negative under a training loss.

    Each value comes from a heatmap of two pixels: the joint with probability q*, and a true negative with probability q. The
    gradient is computed by autograd with respect to the logit z, and divided by dq/dz = q (1 - q).

    Parameters
    ----------
    loss : HeatmapLoss
        Loss with a sigmoid head and reduction "none".
    probability : Tensor or float, any shape
        Probability q of the true negative, at least 0 and below 1 (the loss is infinite at 1).
    anchor : Tensor or float, broadcast against `probability`
        Anchor q*, from 0 to 1. Binary cross entropy and focal loss do not depend on the anchor.

    Returns
    -------
    Cost
        In the broadcast shape.

    Raises
    ------
    ValueError
        If the loss has another head or reduction, or a probability or anchor is out of range.
    """
    if loss.head != "sigmoid" or loss.reduction != "none":
        raise ValueError(f"loss: expected a sigmoid head and reduction 'none', got {loss.head!r} and {loss.reduction!r}")
    probability = torch.as_tensor(probability, dtype=torch.float64)
    anchor = torch.as_tensor(anchor, dtype=torch.float64)
    if not ((probability >= 0) & (probability < 1)).all():
        raise ValueError("probability: expected numbers of at least 0 and below 1")
    if not ((anchor >= 0) & (anchor <= 1)).all():
        raise ValueError("anchor: expected numbers from 0 to 1")
    maps = torch.stack(torch.broadcast_tensors(anchor, probability), -1)
    logits = maps.logit().clamp(-_FAR, _FAR).reshape(-1, 1, 1, 2).requires_grad_()
    target = torch.tensor([1.0, 0.0], dtype=torch.float64).expand_as(logits)
    negative = loss(logits, target)[..., 1]
    by_logit = torch.autograd.grad(negative.sum(), logits)[0][..., 1]
    z = logits.detach()[..., 1]
    gradient = by_logit / (z.sigmoid() * (-z).sigmoid())  # dq/dz, without the cancellation in 1 - q
    shape = maps.shape[:-1]
    return Cost(negative.detach().reshape(shape), gradient.reshape(shape))
