"""Anchor loss with its gradient in one pass, against the plain formula under autograd; and its memory."""

import math

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from torch.autograd.graph import saved_tensors_hooks

from posekit.losses import OHKM, HeatmapAnchorLoss, HeatmapBCE
from posekit.losses import anchor as anchor_module
from posekit.losses.anchor import AnchorMapLoss, blocks, hard_pixels, heatmap_modulator

B, K, H, W = 2, 3, 5, 7
GAMMAS = [0.0, 0.5, 1.0, 2.0, 5.0]


def example(dtype=torch.float64, scale=3.0, size=(B, K, H, W), seed=0):
    """Logits; targets with zeros, soft values and a peak, but an empty last map; weights, one of them 0."""
    generator = torch.Generator().manual_seed(seed)
    logits = (scale * torch.randn(size, generator=generator, dtype=torch.float64)).to(dtype)
    target = torch.zeros(size, dtype=dtype)
    target[:, :, 2, 3] = 1.0
    target[:, :, 2, 4] = math.exp(-0.5)
    target[:, :, 3, 3] = 0.3
    target[-1, -1] = 0
    weight = torch.rand(size[:2], generator=generator, dtype=torch.float64).to(dtype)
    weight[0, 1] = 0
    return logits.requires_grad_(), target, weight


def plain(logits, target, gamma):
    """(B, K), the paper's formula."""
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (heatmap_modulator(logits.sigmoid(), target, gamma) * cross_entropy).sum((-2, -1))


def loss_and_gradient(function, logits, *inputs):
    logits = logits.detach().requires_grad_()
    loss = function(logits, *inputs)
    return loss.detach(), *torch.autograd.grad(loss.sum(), logits)


def assert_alike(function, other, *inputs, **tolerances):
    torch.testing.assert_close(loss_and_gradient(function, *inputs), loss_and_gradient(other, *inputs), **tolerances)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_loss_and_gradient_of_each_map_equal_the_plain_formulas(gamma):
    logits, target, _ = example()
    assert_alike(
        lambda z, p: AnchorMapLoss.apply(z, p, gamma), lambda z, p: plain(z, p, gamma), logits, target, rtol=1e-12, atol=1e-14
    )


def test_a_target_that_requires_a_gradient_receives_it():
    logits, target, weight = example()
    target.requires_grad_()
    (gradient,) = torch.autograd.grad(HeatmapAnchorLoss(2.0, "sum")(logits, target, weight), target)
    (expected,) = torch.autograd.grad(HeatmapAnchorLoss(2.0, "none")(logits, target, weight).sum(), target)
    torch.testing.assert_close(gradient, expected)
    assert (expected != 0).any()


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_reduced_loss_of_several_stacks_is_the_weighted_sum_of_the_maps(gamma, reduction):
    logits, target, weight = example()
    divisor = weight.sum() * H * W if reduction == "mean" else 1.0
    assert_alike(
        lambda z, p, w: HeatmapAnchorLoss(gamma, reduction)([z, 2 * z, -z], p, w),
        lambda z, p, w: sum((w * plain(stack, p, gamma)).sum() for stack in (z, 2 * z, -z)) / divisor,
        logits,
        target,
        weight,
        rtol=1e-12,
        atol=1e-14,
    )


@pytest.mark.parametrize("gamma", GAMMAS)
def test_gradcheck_where_no_pixel_moves_the_anchor(gamma):
    logits, target, weight = example()
    loss = HeatmapAnchorLoss(gamma, "sum")
    held = logits.detach().clone()
    assert torch.autograd.gradcheck(lambda z: loss(torch.where(target > 0.5, held, z), target, weight), logits)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_logits_equal_the_plain_formula(gamma, dtype):
    _, target, _ = example(dtype)
    values = torch.tensor(
        [0.0, 15.9, 16.7, 20.1, 36.0, 39.9, 40.1, 88.0, 90.0, 100.0, -15.9, -20.1, -39.9, -40.1, -88.0, -100.0, 1e4, -1e4]
    )
    logits = values.to(dtype)[torch.randint(len(values), (B, K, H, W), generator=torch.Generator().manual_seed(1))]
    close = {"rtol": 1e-5, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-14}
    assert_alike(lambda z, p: AnchorMapLoss.apply(z, p, gamma), lambda z, p: plain(z, p, gamma), logits, target, **close)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_logits_of_low_precision_are_computed_in_float32(dtype):
    logits, target, weight = example(dtype)
    loss = HeatmapAnchorLoss(2.0)
    total, gradient = loss_and_gradient(loss, logits, target, weight)
    expected, expected_gradient = loss_and_gradient(loss, logits.float(), target.float(), weight.float())
    assert total.dtype == torch.float32 and gradient.dtype == dtype
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(gradient, expected_gradient.to(dtype))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_blocks_do_not_change_the_result(monkeypatch, memory_format):
    logits, target, weight = example(size=(5, 3, H, W))
    logits = logits.detach().to(memory_format=memory_format)
    whole = loss_and_gradient(HeatmapAnchorLoss(2.0), logits, target, weight)
    counts = hard_pixels(logits, target, weight > 0)
    monkeypatch.setattr(anchor_module, "_BLOCK", 2 * H * W + 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert [len(block) for (block,) in blocks(target)] == [2] * 7 + [1]
    in_blocks = loss_and_gradient(HeatmapAnchorLoss(2.0), logits, target, weight)
    torch.testing.assert_close(in_blocks, whole, rtol=1e-14, atol=0)
    torch.testing.assert_close(hard_pixels(logits, target, weight > 0), counts, rtol=0, atol=0)


def test_a_block_is_at_least_one_map_and_may_be_empty(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    large = torch.zeros(1, 2, 600, 500)
    assert [tuple(block.shape) for (block,) in blocks(large)] == [(1, 600, 500)] * 2
    assert [tuple(block.shape) for (block,) in blocks(large[:0])] == [(0, 600, 500)]
    parts = list(blocks(large, 1 + large))
    assert len(parts) == 2 and parts[1][1].data_ptr() != parts[1][0].data_ptr() and parts[1][0].data_ptr() == large[0, 1].data_ptr()


@pytest.mark.parametrize("loss", [HeatmapAnchorLoss(2.0), HeatmapAnchorLoss(0.5, "sum"), OHKM(HeatmapAnchorLoss(2.0), top=2)])
def test_only_one_tensor_of_the_maps_size_is_kept_for_the_backward_pass(loss):
    logits, target, weight = example(torch.float32)
    kept = []
    with saved_tensors_hooks(lambda tensor: (kept.append(tensor), tensor)[1], lambda tensor: tensor):
        total = loss(logits, target, weight)
    large = [tensor for tensor in kept if tensor.numel() > B * K]
    assert [tensor.shape for tensor in large] == [logits.shape]
    assert large[0].data_ptr() not in (logits.data_ptr(), target.data_ptr())
    total.backward(retain_graph=True)
    once = logits.grad.clone()
    total.backward()
    assert torch.equal(logits.grad, 2 * once), "the kept gradient must not change when it is used"


def test_inputs_are_not_changed():
    inputs = example()
    before = [tensor.detach().clone() for tensor in inputs]
    HeatmapAnchorLoss(2.0)(*inputs).backward()
    hard_pixels(*inputs[:2], inputs[2] > 0)
    assert all(map(torch.equal, inputs, before))


def test_a_second_derivative_is_refused():
    logits, target, _ = example()
    (gradient,) = torch.autograd.grad(HeatmapAnchorLoss(2.0)(logits, target).square(), logits, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch.compile itself does
@pytest.mark.parametrize(
    "loss", [HeatmapAnchorLoss(2.0), HeatmapAnchorLoss(0.0), HeatmapBCE(), OHKM(HeatmapAnchorLoss(0.5), top=2)]
)
def test_a_compiled_loss_is_one_graph_for_all_batch_sizes(loss):
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(loss, backend=counter, fullgraph=True)
    for size in (5, 5, 4, 3, 7):
        logits, target, weight = example(size=(size, K, H, W), seed=size)
        assert_alike(compiled, loss, logits, target, weight, rtol=1e-12, atol=1e-14)
    assert counter.frame_count <= 2  # for the first size, and for any


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch.compile itself does
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.slow
@pytest.mark.parametrize("gamma", GAMMAS)
def test_the_compilers_kernels_compute_the_same(gamma):
    torch._dynamo.reset()
    logits, target, weight = example(torch.float32, size=(3, 4, 16, 16))
    loss = HeatmapAnchorLoss(gamma)
    assert_alike(torch.compile(loss, fullgraph=True), loss, logits, target, weight, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_hard_pixels_equal_a_count_map_by_map(dtype):
    logits, target, _ = example(torch.float32)
    logits = logits.detach().to(dtype)
    labelled = torch.tensor([[True, True, False], [True, True, True]])
    hard, negatives = hard_pixels(logits, target, labelled)
    assert hard.dtype == negatives.dtype == torch.int64
    for b in range(B):
        for k in range(K):
            background = target[b, k] == 0
            circle = target[b, k] > 0.5
            counts = labelled[b, k] and circle.any()
            assert negatives[b, k] == (background.sum() if counts else 0)
            assert hard[b, k] == ((logits[b, k][background] > logits[b, k][circle].max()).sum() if counts else 0)
