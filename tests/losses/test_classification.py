"""Classifiers' losses against a direct float64 evaluation of the formulas, torch's own losses, and gradcheck."""

import copy
import math

import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from torch.nn import functional as F

from posekit.losses import BCE, OHEM, AnchorLoss, CrossEntropy, FocalLoss, HeatmapBCE, classification

N, C = 6, 4
ANCHORS = ["background", "target", "both", 0.8, 0.1]


def random_logits(size=(N, C), seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(size, generator=generator, dtype=torch.float64).to(dtype)


def random_indices(size=(N,), seed=1):
    return torch.randint(C, size, generator=torch.Generator().manual_seed(seed))


def one_hot(indices):
    return F.one_hot(indices, C).double()


SOFT = torch.tensor([[0.9, 0.1, 0, 0], [0.6, 0, 0.4, 0], [0.5, 0.5, 0, 0], [0, 0, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1]]).double()
"""Smoothed, mixed, equal (no class above 0.5), no class, two classes, all classes."""


def anchor_loss_by_hand(logits, truth, gamma, margin, anchor):
    """Equation A-1 with the exponents and anchors of A-2 to A-4, class by class, in Python floats."""
    loss = np.zeros(logits.shape)
    for n, k in np.ndindex(*logits.shape):
        q = [1 / (1 + math.exp(-z)) for z in logits[n].tolist()]
        p = truth[n].tolist()
        positive = [q[i] for i in range(len(q)) if p[i] > 0.5]
        negative = [q[i] for i in range(len(q)) if p[i] <= 0.5]
        of_target = of_background = 1.0
        if anchor in ("target", "both") and negative:
            of_target = (1 - q[k] + min(max(negative) + margin, 1)) ** gamma
        if anchor in ("background", "both") and positive:
            of_background = (1 + q[k] - max(max(positive) - margin, 0)) ** gamma
        if not isinstance(anchor, str):
            of_background = (1 + q[k] - anchor) ** gamma
        loss[n, k] = -p[k] * of_target * math.log(q[k]) - (1 - p[k]) * of_background * math.log(1 - q[k])
    return loss


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_anchor_loss_equals_direct_evaluation(gamma, anchor):
    logits = random_logits()
    indices = random_indices()
    for target, truth in ((indices, one_hot(indices)), (SOFT, SOFT), (SOFT.bool(), SOFT.bool().double())):
        loss = AnchorLoss(gamma, 0.05, anchor, reduction="none")(logits, target)
        np.testing.assert_allclose(loss.numpy(), anchor_loss_by_hand(logits, truth, gamma, 0.05, anchor), rtol=1e-11)


@pytest.mark.parametrize("anchor", ANCHORS)
def test_float32_equals_direct_evaluation(anchor):
    logits = random_logits(dtype=torch.float32)
    indices = random_indices()
    loss = AnchorLoss(2.0, 0.05, anchor, reduction="none")(logits, indices)
    assert loss.dtype == torch.float32
    by_hand = anchor_loss_by_hand(logits.double(), one_hot(indices), 2.0, 0.05, anchor)
    np.testing.assert_allclose(loss.numpy(), by_hand, rtol=1e-6, atol=1e-6)


def test_a_known_value():
    """q = 0.8 for the target and 0.3, 0.9 for the background: anchor 0.75, factors 0.55 and 1.15."""
    logits = torch.tensor([[0.8, 0.3, 0.9]], dtype=torch.float64).logit()
    loss = AnchorLoss(1.0, 0.05, reduction="none")(logits, torch.tensor([0]))
    expected = [-math.log(0.8), -0.55 * math.log(0.7), -1.15 * math.log(0.1)]
    np.testing.assert_allclose(loss[0].numpy(), expected, rtol=1e-12)


def test_anchors_with_margin_stay_between_0_and_1():
    logits = torch.tensor([[0.02, 0.99]], dtype=torch.float64).logit()
    target_factor, background_factor = AnchorLoss(1.0, 0.05, "both").modulators(logits, torch.tensor([[1.0, 0.0]]).double())
    assert target_factor[0, 0].item() == pytest.approx(1 - 0.02 + 1)
    assert background_factor[0, 1].item() == pytest.approx(1 + 0.99 - 0)


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("target", [random_indices(), SOFT])
def test_gamma_zero_is_bce(anchor, target):
    logits = random_logits()
    torch.testing.assert_close(AnchorLoss(0.0, anchor=anchor)(logits, target), BCE()(logits, target), rtol=1e-14, atol=0)
    torch.testing.assert_close(FocalLoss(0.0)(logits, target), BCE()(logits, target), rtol=1e-14, atol=0)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_background_anchored_at_1_is_focal_loss(gamma):
    logits = random_logits()
    indices = random_indices()
    anchored = AnchorLoss(gamma, anchor=1.0, reduction="none")(logits, indices)
    focal = FocalLoss(gamma, "none")(logits, indices)
    background = one_hot(indices) == 0
    torch.testing.assert_close(anchored[background], focal[background], rtol=1e-11, atol=1e-14)


def test_target_anchored_at_0_is_focal_loss():
    """The highest background probability is 0, and so is q* without a margin."""
    logits = torch.tensor([[0.3, -800.0, -900.0]], dtype=torch.float64)
    anchored = AnchorLoss(2.0, 0.0, "target", reduction="none")(logits, torch.tensor([0]))
    torch.testing.assert_close(anchored[:, 0], FocalLoss(2.0, "none")(logits, torch.tensor([0]))[:, 0], rtol=1e-12, atol=0)


def test_scores_above_the_anchor_are_amplified_and_below_suppressed():
    q = torch.tensor([[0.6, 0.2, 0.55, 0.9]], dtype=torch.float64)
    _, factor = AnchorLoss(2.0, 0.05).modulators(q.logit(), torch.tensor([[1.0, 0, 0, 0]]))
    torch.testing.assert_close(factor[0, 1:], torch.tensor([0.65**2, 1.0, 1.35**2]).double())


def test_soft_and_index_targets_agree():
    logits = random_logits((N, C, 3, 2))
    indices = random_indices((N, 3, 2))
    truth = one_hot(indices).movedim(-1, 1)
    for loss in (AnchorLoss(), BCE(), FocalLoss(), CrossEntropy(), OHEM(AnchorLoss(), 0.4)):
        torch.testing.assert_close(loss(logits, indices), loss(logits, truth), rtol=0, atol=0)
        torch.testing.assert_close(loss(logits, indices.to(torch.int32)), loss(logits, truth), rtol=0, atol=0)


def test_every_position_is_one_example():
    logits = random_logits((2, C, 3, 5))
    indices = random_indices((2, 3, 5))
    flat = logits.movedim(1, -1).reshape(-1, C)
    for loss in (AnchorLoss(2.0, anchor="both"), CrossEntropy(), OHEM(BCE(), 0.5)):
        torch.testing.assert_close(loss(logits, indices), loss(flat, indices.flatten()))


def test_baselines_equal_torchs_losses():
    logits = random_logits()
    indices = random_indices()
    indices[2] = -100
    torch.testing.assert_close(CrossEntropy()(logits, indices), F.cross_entropy(logits, indices))
    torch.testing.assert_close(CrossEntropy()(logits, SOFT), F.cross_entropy(logits, SOFT))
    weight = torch.tensor([0.5, 1.0, 2.0, 0.0])
    weighted = CrossEntropy("sum", class_weight=weight)(logits, indices)
    torch.testing.assert_close(weighted, F.cross_entropy(logits, indices, weight.double(), reduction="sum"))
    torch.testing.assert_close(BCE("none")(logits, SOFT), F.binary_cross_entropy_with_logits(logits, SOFT, reduction="none"))
    maps = [values.view(1, 1, N, C) for values in (logits, SOFT)]
    torch.testing.assert_close(BCE()(logits, SOFT), HeatmapBCE()(*maps) * C)


@pytest.mark.parametrize("loss", [AnchorLoss, BCE, FocalLoss, CrossEntropy])
def test_reductions(loss):
    logits = random_logits()
    indices = random_indices()
    each = loss(reduction="none")(logits, indices)
    assert each.shape == (N, C)
    torch.testing.assert_close(loss(reduction="sum")(logits, indices), each.sum())
    torch.testing.assert_close(loss()(logits, indices), each.sum(1).mean())


@pytest.mark.parametrize("base", [AnchorLoss, BCE, FocalLoss, CrossEntropy])
@pytest.mark.parametrize("ratio", [None, 1.0])
def test_ignored_examples_do_not_count(base, ratio):
    logits = random_logits().requires_grad_()
    indices = random_indices()
    loss = base(ignore_index=255)
    loss = loss if ratio is None else OHEM(loss, ratio)
    expected = loss(logits[2:], indices[2:])
    indices[:2] = 255
    total = loss(logits, indices)
    torch.testing.assert_close(total, expected)
    total.backward()
    assert (logits.grad[:2] == 0).all() and (logits.grad[2:] != 0).any()


@pytest.mark.parametrize("loss", [AnchorLoss(), AnchorLoss(anchor="both"), BCE(), FocalLoss(), CrossEntropy(), OHEM(BCE(), 0.3)])
@pytest.mark.parametrize("size", [(0, C), (3, C)])
def test_without_examples_that_count_loss_and_gradient_are_zero(loss, size):
    logits = random_logits(size).requires_grad_()
    total = loss(logits, torch.full(size[:1], -100))
    total.backward()
    assert total.item() == 0 and (logits.grad == 0).all()


def test_class_weights_scale_the_terms_of_their_class():
    logits = random_logits()
    indices = random_indices()
    weight = [0.5, 1.0, 0.0, 2.0]
    for loss in (AnchorLoss, BCE, FocalLoss, CrossEntropy):
        plain = loss(reduction="none")(logits, indices)
        weighted = loss(reduction="none", class_weight=weight)(logits, indices)
        torch.testing.assert_close(weighted, plain * torch.tensor(weight).double())
        torch.testing.assert_close(loss(class_weight=weight)(logits, indices), weighted.sum(1).mean())
    maps = AnchorLoss(class_weight=weight)(logits.view(N, C, 1), indices.view(N, 1))
    torch.testing.assert_close(maps, AnchorLoss(class_weight=weight)(logits, indices))


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_gradients_with_constant_anchors(gamma, anchor, monkeypatch):
    """Numeric differences would move the anchors too, so they are held constant; the gradient stays the same."""
    logits = random_logits(seed=3).requires_grad_()
    indices = random_indices()
    loss = AnchorLoss(gamma, 0.05, anchor)
    (free,) = torch.autograd.grad(loss(logits, indices), logits)
    highest = classification._highest
    held = {}

    def hold(probability, classes):
        return held.setdefault(int(classes.sum()), highest(probability, classes))

    monkeypatch.setattr(classification, "_highest", hold)
    assert torch.autograd.gradcheck(lambda z: loss(z, indices), logits)
    (constant,) = torch.autograd.grad(loss(logits, indices), logits)
    torch.testing.assert_close(free, constant, rtol=0, atol=0)


@pytest.mark.parametrize("loss", [BCE(), FocalLoss(0.5), FocalLoss(2.0), CrossEntropy(), OHEM(CrossEntropy(), 0.5)])
@pytest.mark.parametrize("target", [random_indices(), SOFT])
def test_gradients_of_the_baselines(loss, target):
    assert torch.autograd.gradcheck(lambda z: loss(z, target), random_logits(seed=3).requires_grad_())


def test_the_targets_gradient_is_that_of_its_cross_entropy():
    logits = random_logits().requires_grad_()
    indices = random_indices()
    AnchorLoss(2.0, reduction="sum")(logits, indices).backward()
    own = logits.grad.gather(1, indices[:, None])
    torch.testing.assert_close(own, logits.detach().sigmoid().gather(1, indices[:, None]) - 1)


LOSSES = [
    *(AnchorLoss(gamma, anchor=anchor) for gamma in (0.5, 2.0) for anchor in ("background", "target", "both", 0.5, 1.0)),
    *(BCE(), FocalLoss(0.5), FocalLoss(2.0), CrossEntropy(), OHEM(AnchorLoss(), 0.5)),
]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_loss_and_gradient_are_finite_for_extreme_logits(loss, dtype):
    values = torch.tensor([-1e4, -100, -20, 0, 20, 100, 1e4])
    logits = torch.cartesian_prod(values, values, values).to(dtype).requires_grad_()
    loss(logits, torch.arange(len(logits)) % 3).backward()
    assert logits.grad.isfinite().all() and (logits.grad != 0).any()


@pytest.mark.parametrize("anchor", ANCHORS)
def test_large_logits_in_float32_equal_float64(anchor):
    values = torch.tensor([-1e4, -30, 0, 30, 1e4])
    logits = torch.cartesian_prod(values, values)
    indices = torch.arange(25) % 2
    loss = AnchorLoss(2.0, anchor=anchor, reduction="none")
    torch.testing.assert_close(loss(logits, indices).double(), loss(logits.double(), indices), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_lower_precision_and_autocast_are_computed_in_float32(loss):
    logits = random_logits(dtype=torch.bfloat16)
    indices = random_indices()
    expected = loss(logits.float(), indices)
    assert loss(logits, indices).dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(loss(logits, indices), expected, rtol=0, atol=0)
        torch.testing.assert_close(loss(logits.float(), indices), expected, rtol=0, atol=0)


def test_warm_up_is_softmax_cross_entropy_in_the_first_epochs_only():
    logits = random_logits()
    indices = random_indices()
    loss = AnchorLoss(2.0, warmup_epochs=2, class_weight=[1.0, 2.0, 3.0, 4.0])
    warm = CrossEntropy(class_weight=[1.0, 2.0, 3.0, 4.0])(logits, indices)
    cold = AnchorLoss(2.0, class_weight=[1.0, 2.0, 3.0, 4.0])(logits, indices)
    for epoch, expected in enumerate([warm, warm, cold, cold]):
        loss.set_epoch(epoch)
        torch.testing.assert_close(loss(logits, indices), expected, rtol=0, atol=0)
    loss.set_epoch(0)  # a new training
    torch.testing.assert_close(loss(logits, indices), warm, rtol=0, atol=0)


def test_a_warm_up_without_its_epoch_is_refused():
    for loss in (AnchorLoss(warmup_epochs=5), OHEM(AnchorLoss(warmup_epochs=5), 0.5)):
        with pytest.raises(RuntimeError, match="set_epoch"):
            loss(random_logits(), random_indices())


@pytest.mark.parametrize("loss", [AnchorLoss(), BCE(), FocalLoss(), CrossEntropy(), OHEM(BCE(), 0.5)])
def test_every_loss_has_set_epoch(loss):
    before = loss(random_logits(), random_indices())
    loss.set_epoch(0)
    torch.testing.assert_close(loss(random_logits(), random_indices()), before, rtol=0, atol=0)


def test_mining_sets_the_epoch_of_its_base():
    loss = OHEM(AnchorLoss(warmup_epochs=1), 0.5)
    logits = random_logits()
    indices = random_indices()
    loss.set_epoch(0)
    torch.testing.assert_close(loss(logits, indices), OHEM(CrossEntropy(), 0.5)(logits, indices))
    loss.set_epoch(1)
    torch.testing.assert_close(loss(logits, indices), OHEM(AnchorLoss(), 0.5)(logits, indices))


@pytest.mark.parametrize("ratio, kept", [(0.01, 1), (0.3, 2), (0.5, 3), (0.75, 4), (1.0, 6)])
def test_mining_keeps_the_hardest_examples(ratio, kept):
    logits = random_logits().requires_grad_()
    indices = random_indices()
    each = CrossEntropy("none")(logits, indices).sum(1)
    hardest = each.detach().sort(descending=True)
    loss = OHEM(CrossEntropy(), ratio)(logits, indices)
    torch.testing.assert_close(loss, hardest.values[:kept].mean())
    loss.backward()
    assert set(logits.grad.abs().sum(1).nonzero().flatten().tolist()) == set(hardest.indices[:kept].tolist())
    mined = OHEM(CrossEntropy("none"), ratio)(logits, indices)
    assert (mined.sum(1) > 0).sum() == kept


def test_the_ratio_of_mining_is_of_the_examples_that_count():
    logits = random_logits()
    indices = random_indices()
    indices[:2] = -100
    each = BCE("none")(logits[2:], indices[2:]).sum(1)
    torch.testing.assert_close(OHEM(BCE(), 0.5)(logits, indices), each.topk(2).values.mean())


def test_mining_keeps_no_more_than_its_ratio_of_equal_examples():
    logits = torch.zeros(4, C)
    assert OHEM(BCE("none"), 0.5)(logits, torch.zeros(4, dtype=torch.long)).sum(1).count_nonzero() == 2


def test_class_weights_move_with_the_loss_but_not_into_its_state_dict():
    loss = copy.deepcopy(AnchorLoss(class_weight=[1, 2, 3, 4])).to("meta")
    assert loss.class_weight.device.type == "meta"
    assert not loss.state_dict() and not list(loss.parameters())


@pytest.mark.parametrize(
    "logits, target",
    [
        ((N, C), torch.zeros(N, 1, dtype=torch.long)),
        ((N, C), torch.zeros(N + 1, dtype=torch.long)),
        ((N, C), torch.zeros(N)),
        ((N, C), torch.zeros(N, C + 1)),
        ((N, C, 2), torch.zeros(N, dtype=torch.long)),
        ((N,), torch.zeros(N)),
        ((N,), torch.zeros(N, dtype=torch.long)),
    ],
)
def test_wrong_shapes_are_refused(logits, target):
    with pytest.raises(ValueError, match="logits and target"):
        AnchorLoss()(torch.zeros(logits), target)


def test_a_class_index_out_of_range_is_refused():
    with pytest.raises(RuntimeError, match="out of bounds"):
        AnchorLoss()(torch.zeros(2, 3), torch.tensor([0, 3]))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: AnchorLoss(-1), "gamma.*-1"),
        (lambda: AnchorLoss(math.inf), "gamma"),
        (lambda: AnchorLoss(math.nan), "gamma"),
        (lambda: FocalLoss(-1), "gamma"),
        (lambda: AnchorLoss(margin=1.5), "margin.*0 to 1, got 1.5"),
        (lambda: AnchorLoss(anchor="foreground"), "foreground.*background, target, both"),
        (lambda: AnchorLoss(anchor=-0.1), "anchor"),
        (lambda: AnchorLoss(warmup_epochs=-1), "warmup_epochs"),
        (lambda: AnchorLoss(reduction="max"), "reduction 'max'"),
        (lambda: BCE(class_weight=[1, -1]), "class_weight"),
        (lambda: BCE(class_weight=[[1.0]]), "class_weight"),
        (lambda: BCE(class_weight=[math.nan]), "class_weight"),
        (lambda: BCE(class_weight=[1.0, 2.0])(torch.zeros(2, 3), torch.zeros(2, 3)), "class_weight: expected 3 .*got 2"),
        (lambda: OHEM(BCE(), 0), "ratio"),
        (lambda: OHEM(BCE(), 1.5), "ratio"),
    ],
)
def test_impossible_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch.compile itself does
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("loss", [*LOSSES[:4], CrossEntropy(), OHEM(AnchorLoss(2.0), 0.5)])
def test_a_compiled_loss_is_one_graph_for_all_batch_sizes(loss, soft):
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(loss, backend=counter, fullgraph=True)
    for size in (5, 5, 4, 3, 7):
        target = random_indices((size,))
        assert_alike(compiled, loss, random_logits((size, C)), one_hot(target) if soft else target)
    assert counter.frame_count <= 2  # for the first size, and for any


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch.compile itself does
def test_a_compiled_loss_is_compiled_once_more_for_the_warm_up_only():
    torch._dynamo.reset()
    loss = AnchorLoss(2.0, warmup_epochs=5)
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(loss, backend=counter, fullgraph=True)
    for epoch in range(20):
        loss.set_epoch(epoch)
        assert_alike(compiled, loss, random_logits(seed=epoch), random_indices())
    assert counter.frame_count == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch.compile itself does
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("loss", [AnchorLoss(0.5, anchor="both"), OHEM(AnchorLoss(2.0), 0.5)])
def test_the_compilers_kernels_compute_the_same(loss):
    torch._dynamo.reset()
    assert_alike(torch.compile(loss, fullgraph=True), loss, random_logits(), random_indices())


def assert_alike(one, other, logits, target):
    losses = []
    gradients = []
    for loss in (one, other):
        z = logits.clone().requires_grad_()
        losses.append(loss(z, target))
        gradients += torch.autograd.grad(losses[-1], z)
    torch.testing.assert_close(*losses, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-14)
