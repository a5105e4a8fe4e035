"""Batch statistics and mean loss over several processes, equal to those of a single process with all the data."""

import torch
from accelerate import Accelerator
from torch import Tensor, distributed, nn


def mean_over_processes(loss: Tensor, weight: Tensor, accelerator: Accelerator) -> Tensor:
    """Scale the loss of this process so that averaging the gradients over the processes gives the gradient of the mean loss.

    `weight` is the number of items, e.g. labelled joints, in the mean loss of this process; it differs between the processes.
    Returns ``loss * weight / total_weight * num_processes``.
    """
    if accelerator.num_processes == 1:
        return loss
    total = accelerator.reduce(weight.to(loss))
    return loss * (accelerator.num_processes * weight / torch.where(total == 0, 1.0, total))


def share_statistics(model: nn.Module, device: torch.device) -> nn.Module:
    """Convert batch normalisation layers in-place to use the batches of all processes.

    The state dict keeps its names and values.
    """
    if device.type == "cuda":  # PyTorch's class does not run on a CPU
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.__class__ = _SharedBatchNorm  # type: ignore[assignment]  # the classes have the same attributes
    return model


class _SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation over the batches of all processes, which may differ in size; the statistics are float32."""

    def _check_input_dim(self, input):
        pass

    def forward(self, input: Tensor) -> Tensor:
        """Normalise a (B, C, ...) tensor."""
        if not self.training:
            return super().forward(input)
        x = input.float()
        axes = [axis for axis in range(x.ndim) if axis != 1]
        count = x.new_tensor([x.numel() / x.shape[1]])
        sums = _Sum.apply(torch.cat([x.sum(axes), count]))
        total = sums[-1].detach()
        mean = sums[:-1] / total
        centred = x - _per_channel(mean, x)
        variance = _Sum.apply(centred.square().sum(axes)) / total
        self._update_statistics(mean.detach(), variance.detach() * total / (total - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul(_per_channel(self.bias, x), centred, _per_channel(scale, x)).to(input.dtype)

    @torch.no_grad()
    def _update_statistics(self, mean: Tensor, variance: Tensor) -> None:
        assert self.momentum is not None and self.num_batches_tracked is not None
        assert self.running_mean is not None and self.running_var is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1


class _Sum(torch.autograd.Function):
    """Differentiable sum over the processes."""

    @staticmethod
    def forward(ctx, values):
        """Sum (N,) values over the processes."""
        values = values.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx, gradient):
        """Sum the gradients over the processes, because the sum in every process depends on these values."""
        return _Sum.apply(gradient)


def _per_channel(values: Tensor, x: Tensor) -> Tensor:
    """Reshape (C,) values for broadcasting against the (B, C, ...) tensor x."""
    return values.view(-1, *[1] * (x.ndim - 2))
