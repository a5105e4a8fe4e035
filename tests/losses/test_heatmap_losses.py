"""Heatmap losses against a direct float64 evaluation of the formulas, autograd and closed-form gradients."""

import math

import numpy as np
import pytest
import torch

from posekit.heatmaps import encode
from posekit.losses import OHKM, HeatmapAnchorLoss, HeatmapBCE, HeatmapFocalLoss, HeatmapMSE
from posekit.losses.anchor import hard_pixels, heatmap_anchor, heatmap_modulator

B, K, H, W = 2, 3, 5, 7


def random_case(seed=0, size=(B, K, H, W)):
    """Logits in float64, and targets with zeros, soft values and a peak per map; the last map has no target."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(size, generator=generator, dtype=torch.float64)
    target = torch.zeros(size, dtype=torch.float64)
    for b in range(size[0]):
        for k in range(size[1]):
            y, x = 1 + b, 1 + k
            target[b, k, y, x] = 1.0
            target[b, k, y, x + 1] = math.exp(-0.5)  # 0.607, within the circle of high confidence
            target[b, k, y + 1, x] = 0.3
    target[-1, -1] = 0
    return logits, target


def anchor_loss_by_hand(logits, target, gamma):
    """Equations 5-7, pixel by pixel, in Python floats."""
    loss = np.zeros(logits.shape)
    for b, k in np.ndindex(*logits.shape[:2]):
        q = 1 / (1 + np.exp(-logits[b, k].numpy()))
        p = target[b, k].numpy()
        inside = q[p > 0.5]
        for y, x in np.ndindex(*q.shape):
            bce = -p[y, x] * math.log(q[y, x]) - (1 - p[y, x]) * math.log(1 - q[y, x])
            factor = (1 + q[y, x] - inside.max()) ** gamma if p[y, x] == 0 and len(inside) else 1.0
            loss[b, k, y, x] = factor * bce
    return loss


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_anchor_loss_equals_direct_evaluation(gamma):
    logits, target = random_case()
    loss = HeatmapAnchorLoss(gamma, reduction="none")(logits, target)
    np.testing.assert_allclose(loss.numpy(), anchor_loss_by_hand(logits, target, gamma), rtol=1e-11)


def test_gamma_zero_is_bce():
    logits, target = random_case()
    torch.testing.assert_close(HeatmapAnchorLoss(0.0)(logits, target), HeatmapBCE()(logits, target), rtol=0, atol=0)
    torch.testing.assert_close(HeatmapFocalLoss(0.0)(logits, target), HeatmapBCE()(logits, target), rtol=1e-12, atol=0)


def test_modulator_suppresses_below_the_anchor_and_amplifies_above():
    target = torch.zeros(1, 1, 1, 4)
    target[..., 0] = 1
    q = torch.tensor([0.6, 0.2, 0.6, 0.9]).view(1, 1, 1, 4)
    factor = heatmap_modulator(q, target, 2.0)
    torch.testing.assert_close(factor.flatten(), torch.tensor([1.0, 0.36, 1.0, 1.69]))


def test_anchor_is_the_highest_score_in_the_circle_not_at_the_peak():
    q = torch.tensor([0.1, 0.3, 0.8, 0.9]).view(1, 1, 1, 4)
    target = torch.tensor([0.4, 1.0, 0.6, 0.0]).view(1, 1, 1, 4)
    assert heatmap_anchor(q, target).item() == pytest.approx(0.8)


def test_target_of_one_half_is_outside_the_circle():
    target = torch.tensor([0.5, 0.0]).view(1, 1, 1, 2)
    assert heatmap_anchor(torch.full_like(target, 0.7), target).isnan().all()


def test_joint_outside_the_crop_gets_plain_bce():
    logits, _ = random_case()
    target = torch.zeros_like(logits)
    torch.testing.assert_close(HeatmapAnchorLoss(2.0)(logits, target), HeatmapBCE()(logits, target))


def test_focal_loss_equals_direct_evaluation():
    logits, target = random_case()
    q = logits.sigmoid()
    p = target
    expected = -p * (1 - q) ** 2 * torch.log(q) - (1 - p) * q**2 * torch.log(1 - q)
    torch.testing.assert_close(HeatmapFocalLoss(2.0, reduction="none")(logits, target), expected, rtol=1e-9, atol=1e-12)


def test_static_anchor_one_is_the_focal_loss_of_the_background():
    logits = torch.linspace(-6, 6, 35, dtype=torch.float64).view(1, 1, 5, 7)
    target = torch.zeros_like(logits)
    logits[..., 2, 3] = 40.0  # the circle's score, hence the anchor, is 1
    target[..., 2, 3] = 1.0
    anchor = HeatmapAnchorLoss(2.0, reduction="none")(logits, target)
    focal = HeatmapFocalLoss(2.0, reduction="none")(logits, target)
    torch.testing.assert_close(anchor, focal, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_background_gradient_is_equation_19(gamma):
    logits, target = random_case()
    logits.requires_grad_()
    HeatmapAnchorLoss(gamma, reduction="sum")(logits, target).backward()
    q = logits.detach().sigmoid()
    anchor = heatmap_anchor(q, target)
    d = 1 + q - anchor
    by_q = d**gamma / (1 - q) - gamma * d ** (gamma - 1) * torch.log(1 - q)
    background = (target == 0) & ~anchor.isnan()
    torch.testing.assert_close(logits.grad[background], (by_q * q * (1 - q))[background], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("make", [HeatmapBCE, HeatmapFocalLoss, HeatmapMSE, lambda: OHKM(HeatmapBCE(), top=2)])
def test_gradcheck(make):
    logits, target = random_case(size=(2, 3, 4, 5))
    weight = torch.tensor([[1.0, 0.5, 0.0], [1.0, 1.0, 2.0]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: make()(z, target, weight), logits.requires_grad_())


def test_anchor_receives_no_gradient():
    """With a constant anchor the gradient is the same: nothing flows through q*."""
    logits, target = random_case()
    logits.requires_grad_()
    HeatmapAnchorLoss(2.0, reduction="sum")(logits, target).backward()
    frozen = heatmap_anchor(logits.detach().sigmoid(), target).nan_to_num(0.0)
    again = logits.detach().clone().requires_grad_()
    has_anchor = target.amax((-2, -1), keepdim=True) > 0.5
    factor = torch.where((target == 0) & has_anchor, (1 + again.sigmoid() - frozen) ** 2, 1.0)
    (factor * HeatmapBCE(reduction="none")(again, target)).sum().backward()
    torch.testing.assert_close(logits.grad, again.grad)


@pytest.mark.parametrize(
    "make", [HeatmapBCE, HeatmapAnchorLoss, HeatmapFocalLoss, lambda: HeatmapAnchorLoss(0.5), lambda: OHKM(HeatmapBCE())]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_extreme_logits_stay_finite(make, dtype):
    target = torch.zeros(1, 4, 2, 2, dtype=dtype)
    target[:, 1:, 0, 0] = 1
    extremes = torch.tensor([1e4, -1e4, 40.0, -40.0, 0.0, 17.0, -17.0, 90.0, 1e4, 1e4, -1e4, -1e4, 0.0, 0.0, 1e4, -1e4])
    logits = extremes.to(dtype).view(1, 4, 2, 2).requires_grad_()
    loss = make()(logits, target)
    loss.backward()
    assert loss.isfinite()
    assert loss.dtype == torch.float32
    assert logits.grad.isfinite().all()


def test_mean_counts_labelled_joints_only():
    logits, target = random_case()
    weight = torch.tensor([[1, 0, 1], [0, 0, 1]], dtype=torch.bool)
    pixels = HeatmapAnchorLoss(2.0, reduction="none")(logits, target)
    expected = (pixels[0, 0].sum() + pixels[0, 2].sum() + pixels[1, 2].sum()) / (3 * H * W)
    torch.testing.assert_close(HeatmapAnchorLoss(2.0)(logits, target, weight), expected)
    torch.testing.assert_close(HeatmapAnchorLoss(2.0, reduction="sum")(logits, target, weight), expected * 3 * H * W)
    none = HeatmapAnchorLoss(2.0, reduction="none")(logits, target, weight)
    assert none.shape == (B, K, H, W)
    assert none[0, 1].abs().max() == 0


def test_weights_are_applied_once():
    logits, target = random_case()
    weight = torch.tensor([[3.0, 1.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    pixels = HeatmapMSE(reduction="none")(logits, target)
    expected = (3 * pixels[0, 0].sum() + pixels[0, 1].sum()) / (4 * H * W)
    torch.testing.assert_close(HeatmapMSE()(logits, target, weight), expected)


@pytest.mark.parametrize("make", [HeatmapBCE, HeatmapAnchorLoss, HeatmapMSE, lambda: OHKM(HeatmapAnchorLoss())])
def test_without_labelled_joints_loss_and_gradient_are_zero(make):
    logits, target = random_case()
    logits.requires_grad_()
    loss = make()(logits, target, torch.zeros(B, K))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().max() == 0


def test_empty_batch():
    empty = torch.zeros(0, K, H, W, requires_grad=True)
    loss = HeatmapAnchorLoss()(empty, torch.zeros(0, K, H, W), torch.zeros(0, K))
    loss.backward()
    assert loss.item() == 0


def test_intermediate_supervision_sums_over_stacks():
    logits, target = random_case()
    loss = HeatmapAnchorLoss()
    torch.testing.assert_close(loss([logits, -logits], target), loss(logits, target) + loss(-logits, target))


def test_ohkm_keeps_the_hardest_labelled_joints():
    logits = torch.zeros(1, 4, 2, 2)
    logits[0] = torch.tensor([1.0, 4.0, 3.0, 2.0]).view(4, 1, 1)
    target = torch.zeros_like(logits)
    weight = torch.tensor([[1.0, 0.0, 1.0, 1.0]])
    kept = OHKM(HeatmapMSE(), top=2)(logits, target, weight)
    assert kept.item() == pytest.approx((9 + 4) / 2)
    assert OHKM(HeatmapMSE(), top=99)(logits, target, weight).item() == pytest.approx((1 + 9 + 4) / 3)
    assert OHKM(HeatmapMSE()).head == "linear"


def test_autocast_and_real_targets():
    joints = torch.tensor([[[20.0, 31.0], [200.0, 40.0]]])
    target = encode(joints, torch.ones(1, 2, dtype=torch.bool), size=64)
    logits = torch.full((1, 2, 64, 64), -4.0, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = HeatmapAnchorLoss()(logits.bfloat16(), target)
    assert loss.dtype == torch.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: HeatmapBCE()(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 4, 3)), r"got \(1, 2, 3, 4\) and \(1, 2, 4, 3\)"),
        (lambda: HeatmapBCE()(torch.zeros(2, 3, 4), torch.zeros(2, 3, 4)), r"\(B, K, H, W\)"),
        (lambda: HeatmapBCE()(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4), torch.ones(2)), r"weight: expected \(1, 2\)"),
        (lambda: HeatmapBCE(reduction="avg"), "avg.*mean, sum, none"),
        (lambda: HeatmapAnchorLoss(-1), "gamma.*-1"),
        (lambda: HeatmapFocalLoss(float("nan")), "gamma.*nan"),
        (lambda: OHKM(HeatmapBCE(), top=0), "top.*got 0"),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_hard_pixels_are_those_whose_modulator_is_above_one():
    logits, target = random_case()
    labelled = torch.tensor([[True, True, False], [True, False, True]])
    factor = heatmap_modulator(logits.sigmoid(), target, 2.0)
    expected = ((factor > 1).sum((-2, -1)) * labelled).tolist()
    for output in (logits, logits.sigmoid()):
        hard, negatives = hard_pixels(output, target, labelled)
        assert hard.tolist() == expected
        # Three target pixels each; two joints are not labelled, and the last map has no anchor.
        assert negatives.tolist() == [[32, 32, 0], [32, 0, 0]]
    assert hard.sum() > 0


def test_hard_pixels_of_an_empty_batch():
    hard, negatives = hard_pixels(torch.zeros(0, K, H, W), torch.zeros(0, K, H, W), torch.zeros(0, K, dtype=torch.bool))
    assert hard.shape == negatives.shape == (0, K)


@pytest.mark.parametrize(("gamma", "expected"), [(0.0, (0.700, 0.300)), (2.0, (0.504, 0.296)), (5.0, (0.371, 0.258))])
def test_optimum_for_a_joint_at_one_of_two_pixels(gamma, expected):
    """The joint is at the first pixel with probability 0.7, at the second with 0.3, which is the optimum of cross entropy.

    Expected values: the root of the gradient written out with fixed q*, found by descent.
    """
    targets = torch.eye(2, dtype=torch.float64).reshape(2, 1, 1, 2)
    shares = torch.tensor([0.7, 0.3], dtype=torch.float64)
    logits = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    loss = HeatmapAnchorLoss(gamma, reduction="none")
    for _ in range(400):
        losses = loss(logits.expand(2, 1, 1, 2), targets).sum((1, 2, 3))
        (slope,) = torch.autograd.grad((losses * shares).sum(), logits)
        logits.data -= slope
    assert logits.sigmoid().tolist() == pytest.approx(expected, abs=1e-3)
