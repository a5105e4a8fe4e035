"""Batch statistics and mean loss over several processes, the same as those of one process with all the data."""

import torch
from accelerate import Accelerator
from torch import Tensor, distributed, nn


def mean_over_processes(loss: Tensor, weight: Tensor, accelerator: Accelerator) -> Tensor:
    """Scale a process's loss so that the mean of the processes' gradients is the gradient of the mean loss.

    Parameters
    ----------
    loss : Tensor
        Mean over this process's data.
    weight : Tensor
        The number of items of that mean, e.g. labelled joints, which differs between the processes.
    accelerator : Accelerator

    Returns
    -------
    Tensor : the loss times its share of the total weight, times the number of processes.
    """
    if accelerator.num_processes == 1:
        return loss
    total = accelerator.reduce(weight.to(loss))
    return loss * (accelerator.num_processes * weight / torch.where(total == 0, 1.0, total))


def share_statistics(model: nn.Module, device: torch.device) -> nn.Module:
    """Normalise over the batches of all processes; parameters and names in the state dict stay the same.

    Parameters
    ----------
    model : nn.Module
        Changed in place.
    device : torch.device
        Where the model will run: PyTorch's `SyncBatchNorm` does not run on a CPU.
    """
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.__class__ = _SharedBatchNorm  # type: ignore[assignment]  # it has the same attributes
    return model


class _SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation over the batches of all processes, which may differ in size. Statistics are float32."""

    def _check_input_dim(self, input):
        pass

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (B, C, ...)."""
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
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1


class _Sum(torch.autograd.Function):
    """Sum over the processes; its gradients are summed over them too."""

    @staticmethod
    def forward(ctx, values):
        """Sum (N,) values over the processes."""
        return _sum_over_processes(values)

    @staticmethod
    def backward(ctx, gradient):
        """Sum the gradients: every process's sums depend on these values."""
        return _sum_over_processes(gradient)


def _sum_over_processes(values: Tensor) -> Tensor:
    values = values.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(values)
    return values


def _per_channel(values: Tensor, x: Tensor) -> Tensor:
    """Reshape (C,) values to broadcast against x, (B, C, ...)."""
    return values.view(-1, *[1] * (x.ndim - 2))
