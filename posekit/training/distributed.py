"""Several processes that learn as one would: the same batch statistics, the same mean loss."""

import torch
from accelerate import Accelerator
from torch import Tensor, distributed, nn


def mean_over_processes(loss: Tensor, weight: Tensor, accelerator: Accelerator) -> Tensor:
    """A process's loss, such that the mean of the processes' gradients is the gradient of the mean loss over all they see.

    Parameters
    ----------
    loss : Tensor
        Mean over what this process sees.
    weight : Tensor
        What that mean is over, e.g. the number of labelled joints; it differs between the processes.
    accelerator : Accelerator

    Returns
    -------
    Tensor : the loss times its share of all weights, times the number of processes.
    """
    if accelerator.num_processes == 1:
        return loss
    together = accelerator.reduce(weight.to(loss))
    return loss * (accelerator.num_processes * weight / torch.where(together == 0, 1.0, together))


def share_statistics(model: nn.Module, device: torch.device) -> nn.Module:
    """Let batch normalisation see the batch of all processes; parameters, and names in the state dict, stay what they are.

    Parameters
    ----------
    model : nn.Module
        Changed in place.
    device : torch.device
        Where it will run: PyTorch's own `SyncBatchNorm` does not run on a CPU.
    """
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.__class__ = _SharedBatchNorm
    return model


class _SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation over the processes' batches together, which may be unequal. Statistics are float32."""

    def _check_input_dim(self, input):
        pass

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, ...) to the same shape."""
        if not self.training:
            return super().forward(input)
        others = [axis for axis in range(input.ndim) if axis != 1]
        x = input.float()
        sums = _Sum.apply(torch.cat([x.sum(others), x.new_tensor([x.numel() / x.shape[1]])]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = x - _along(mean, x)
        variance = _Sum.apply(centred.square().sum(others)) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul(_along(self.bias, x), centred, _along(scale, x)).to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1


class _Sum(torch.autograd.Function):
    """Sum over the processes; what each process's loss asks of it is summed too."""

    @staticmethod
    def forward(ctx, values):
        """(N,) values to their sums over the processes."""
        return _summed(values)

    @staticmethod
    def backward(ctx, gradient):
        """Each process's values count in every process's sums."""
        return _summed(gradient)


def _summed(values: Tensor) -> Tensor:
    values = values.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(values)
    return values


def _along(values: Tensor, x: Tensor) -> Tensor:
    """Per-channel values, to be broadcast against (B, C, ...)."""
    return values.view(-1, *[1] * (x.ndim - 2))
