"""Cost and gradient of one true negative against the closed forms of Ryou et al., ICCV 2019."""

import numpy as np
import pytest
import torch

from posekit.losses import HeatmapAnchorLoss, HeatmapBCE, HeatmapFocalLoss, HeatmapMSE
from posekit.losses.curves import background_cost

# q and q*, inside the open interval; each row has one q*.
Q = torch.tensor([1e-6, 0.1, 0.5, 0.9, 1 - 1e-6], dtype=torch.float64)
ANCHORS = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)[:, None]
GAMMAS = [0.0, 0.5, 1.0, 2.0, 5.0]


def assert_close(actual, expected):
    np.testing.assert_allclose(actual.numpy(), np.broadcast_to(expected, actual.shape), rtol=1e-9, atol=0)


def assert_equal(a, b, rtol=0.0):
    torch.testing.assert_close(a.loss, b.loss, rtol=rtol, atol=0)
    torch.testing.assert_close(a.gradient, b.gradient, rtol=rtol, atol=0)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_anchor_loss_has_the_papers_closed_form(gamma):
    cost = background_cost(HeatmapAnchorLoss(gamma, "none"), Q, ANCHORS)
    q = Q.numpy()
    base = 1 + q - ANCHORS.numpy()
    log = np.log1p(-q)
    assert cost.loss.shape == (3, 5) and cost.loss.dtype == torch.float64
    assert_close(cost.loss, -(base**gamma) * log)  # eq. 1, the background's term
    assert_close(cost.gradient, base**gamma / (1 - q) - gamma * base ** (gamma - 1) * log)  # eq. 19, 20


@pytest.mark.parametrize("gamma", GAMMAS)
def test_focal_loss_has_lins_closed_form(gamma):
    cost = background_cost(HeatmapFocalLoss(gamma, "none"), Q, 0.3)
    q = Q.numpy()
    assert_close(cost.loss, -(q**gamma) * np.log1p(-q))
    assert_close(cost.gradient, q**gamma / (1 - q) - gamma * q ** (gamma - 1) * np.log1p(-q))


def test_cross_entropy_is_that_of_a_softmax_over_two_classes():
    cost = background_cost(HeatmapBCE("none"), Q, 0.3)
    assert_close(cost.loss, -np.log1p(-Q.numpy()))
    assert_close(cost.gradient, 1 / (1 - Q.numpy()))
    logits = torch.stack([torch.zeros_like(Q), Q.logit()], -1)
    softmax = torch.nn.functional.cross_entropy(logits, torch.zeros(5, dtype=torch.long), reduction="none")
    assert_close(cost.loss, softmax.numpy())


def test_known_values():
    # q = 0.5, q* = 0.1, gamma 2: 1.4^2 ln 2, and 1.96 / 0.5 + 2 * 1.4 ln 2.
    cost = background_cost(HeatmapAnchorLoss(2.0, "none"), 0.5, 0.1)
    assert cost.loss.item() == pytest.approx(1.3585685, abs=1e-7) and cost.loss.shape == ()
    assert cost.gradient.item() == pytest.approx(5.8608121, abs=1e-7)


def test_gamma_zero_is_cross_entropy():
    assert_equal(background_cost(HeatmapAnchorLoss(0.0, "none"), Q, ANCHORS), background_cost(HeatmapBCE("none"), Q, ANCHORS))


@pytest.mark.parametrize("gamma", GAMMAS)
def test_loss_at_the_anchor_is_cross_entropy_with_a_steeper_gradient(gamma):
    anchor = background_cost(HeatmapAnchorLoss(gamma, "none"), Q, Q)
    plain = background_cost(HeatmapBCE("none"), Q, Q)
    torch.testing.assert_close(anchor.loss, plain.loss, rtol=1e-12, atol=0)
    assert_close(anchor.gradient, (plain.gradient + gamma * plain.loss).numpy())


@pytest.mark.parametrize("gamma", GAMMAS)
def test_anchor_of_1_is_focal_loss(gamma):
    anchor = background_cost(HeatmapAnchorLoss(gamma, "none"), Q, 1.0)
    focal = background_cost(HeatmapFocalLoss(gamma, "none"), Q, 1.0)
    assert_equal(anchor, focal, rtol=1e-9)


def test_anchor_loss_costs_less_below_the_anchor_and_more_above():
    anchor = background_cost(HeatmapAnchorLoss(2.0, "none"), Q, 0.5).loss
    plain = background_cost(HeatmapBCE("none"), Q, 0.5).loss
    assert (anchor < plain).tolist() == [True, True, False, False, False]
    assert (anchor > plain).tolist() == [False, False, False, True, True]


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("anchor", [0.0, 1.0])
def test_at_zero_the_gradient_is_finite(gamma, anchor):
    cost = background_cost(HeatmapAnchorLoss(gamma, "none"), 0.0, anchor)
    assert cost.loss.item() == pytest.approx(0, abs=1e-16)
    limit = 1.0 if anchor == 0 or gamma == 0 else 0.0
    assert cost.gradient.item() == pytest.approx(limit, abs=1e-7)


def test_empty_input():
    cost = background_cost(HeatmapBCE("none"), torch.zeros(0), 0.5)
    assert cost.loss.shape == cost.gradient.shape == (0,)


@pytest.mark.parametrize("loss", [HeatmapBCE(), HeatmapMSE("none")], ids=["mean", "linear"])
def test_other_losses_are_refused(loss):
    with pytest.raises(ValueError, match=r"^loss: .*sigmoid.*none.*got"):
        background_cost(loss, 0.5, 0.5)


@pytest.mark.parametrize("probability", [-0.1, 1.0, float("nan")])
def test_probabilities_outside_the_range_are_refused(probability):
    with pytest.raises(ValueError, match=r"^probability: "):
        background_cost(HeatmapBCE("none"), torch.tensor([0.5, probability]), 0.5)


@pytest.mark.parametrize("anchor", [-0.1, 1.1, float("nan")])
def test_anchors_outside_the_range_are_refused(anchor):
    with pytest.raises(ValueError, match=r"^anchor: "):
        background_cost(HeatmapBCE("none"), 0.5, anchor)
