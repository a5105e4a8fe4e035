"""The parts of anchor loss agree with the loss of training."""

import math

import numpy as np
import pytest
import torch

from posekit.heatmaps import encode
from posekit.losses import HeatmapAnchorLoss, HeatmapBCE
from posekit.losses.anchor import hard_pixels
from posekit.losses.explain import anchor_maps

B, K, H, W = 2, 3, 5, 7


def example(seed=0):
    """Probabilities in float64, and targets with soft values; the last joint of the last person has no target."""
    generator = torch.Generator().manual_seed(seed)
    probability = 0.01 + 0.98 * torch.rand((B, K, H, W), generator=generator, dtype=torch.float64)
    target = torch.zeros_like(probability)
    target[:, :, 2, 3] = 1.0
    target[:, :, 2, 4] = 0.6
    target[:, :, 3, 3] = 0.3
    target[-1, -1] = 0
    return probability, target


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_loss_is_the_anchor_loss_of_training_and_the_penalty_its_excess_over_bce(gamma):
    probability, target = example()
    maps = anchor_maps(probability, target, gamma)
    logits = probability.logit()
    torch.testing.assert_close(maps.loss, HeatmapAnchorLoss(gamma, reduction="none")(logits, target), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(maps.cross_entropy, HeatmapBCE(reduction="none")(logits, target), rtol=1e-12, atol=1e-12)
    excess = maps.loss - maps.cross_entropy
    assert (maps.penalty[excess <= 0] == 0).all() and (maps.penalty >= 0).all()
    torch.testing.assert_close(maps.penalty[excess > 0], excess[excess > 0], rtol=1e-9, atol=0)
    assert (gamma == 0) == (not maps.penalty.any())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.5])
def test_the_gradient_is_that_of_training(gamma):
    probability, target = example()
    logits = probability.logit().requires_grad_()
    HeatmapAnchorLoss(gamma, reduction="sum")(logits, target).backward()
    torch.testing.assert_close(anchor_maps(probability, target, gamma).gradient, logits.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_the_gradient_is_finite_at_probabilities_0_and_1(gamma):
    target = torch.zeros(1, 1, 3, 3)
    target[..., 1, 1] = 1.0
    for background in (0.0, 1.0):
        probability = torch.full_like(target, background)
        probability[..., 1, 1] = 1 - background
        gradient = anchor_maps(probability, target, gamma).gradient
        assert gradient.isfinite().all() and (gradient[target == 0] >= 0).all() and gradient[..., 1, 1] <= 0


def test_penalty_has_the_closed_form():
    q = 0.7
    anchor = 0.2
    gamma = 2.0
    probability = torch.tensor([anchor, q, 0.1]).view(1, 1, 1, 3)
    target = torch.tensor([1.0, 0.0, 0.0]).view(1, 1, 1, 3)
    penalty = anchor_maps(probability, target, gamma).penalty.flatten()
    expected = -math.log(1 - q) * ((1 + q - anchor) ** gamma - 1)
    torch.testing.assert_close(penalty, torch.tensor([0.0, expected, 0.0]), rtol=1e-5, atol=0)


def test_mask_circle_and_anchor():
    probability, target = example()
    maps = anchor_maps(probability, target)
    assert torch.equal(maps.mask, target == 0) and torch.equal(maps.circle, target > 0.5)
    torch.testing.assert_close(maps.anchor[0, :, 0, 0], probability[0, :, 2, 3:5].amax(-1))
    assert maps.anchor[-1, -1].isnan() and not maps.penalty[-1, -1].any() and (maps.modulator[-1, -1] == 1).all()


def test_hard_pixels_are_those_with_a_penalty():
    probability, target = example()
    hard, _ = hard_pixels(probability, target, torch.ones(B, K, dtype=torch.bool))
    assert torch.equal((anchor_maps(probability, target).penalty > 0).sum((-2, -1)), hard)


def test_another_anchor_changes_the_modulator():
    probability, target = example()
    low = anchor_maps(probability, target, anchor=0.0)
    high = anchor_maps(probability, target, anchor=1.0)
    negative = ~anchor_maps(probability, target).anchor.isnan().expand_as(target) & (target == 0)
    torch.testing.assert_close(low.modulator[negative], (1 + probability[negative]).square(), rtol=1e-6, atol=0)
    torch.testing.assert_close(high.modulator[negative], probability[negative].square(), rtol=1e-6, atol=0)  # focal loss
    assert not high.penalty.any()
    assert low.anchor[-1, -1].isnan() and not low.penalty[-1, -1].any(), "a map without an anchor gets none"


def test_gradients_do_not_flow_into_the_explanation():
    probability, target = example()
    maps = anchor_maps(probability.requires_grad_(), target)
    assert not maps.penalty.requires_grad and not maps.loss.requires_grad


def test_maps_of_a_linear_head_are_clipped():
    probability = torch.tensor([-0.3, 0.0, 1.0, 1.4, 0.5]).view(1, 1, 1, 5)
    target = torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0]).view(1, 1, 1, 5)
    penalty = anchor_maps(probability, target).penalty.flatten()
    assert penalty.isfinite().all()
    assert penalty[0] == penalty[1] == 0 and penalty[2] == penalty[3] > 0


def test_a_joint_counted_twice_is_penalised_at_the_wrong_peak():
    joints = torch.tensor([[[81.5, 41.5], [181.5, 141.5]]])
    right, wrong = encode(joints, torch.ones((1, 2), dtype=torch.bool), size=64).split(1, 1)
    penalty = anchor_maps(0.4 * right + 0.9 * wrong, right).penalty
    y, x = np.unravel_index(int(penalty.argmax()), (64, 64))
    assert (4 * x + 1.5, 4 * y + 1.5) == (181.5, 141.5)


def test_wrong_arguments_are_refused():
    probability, target = example()
    with pytest.raises(ValueError, match=r"\(2, 3, 5, 7\) and \(2, 2, 5, 7\)"):
        anchor_maps(probability, target[:, :2])
    with pytest.raises(ValueError, match=r"^probability: "):
        anchor_maps(torch.full_like(probability, torch.nan), target)
    for gamma in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=r"^gamma: "):
            anchor_maps(probability, target, gamma)
