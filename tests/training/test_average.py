"""The moving average of weights."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from posekit.training.average import MovingAverage


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def moved(model, steps):
    """Change the weights at random, and yield the model after each step."""
    for _ in range(steps):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += torch.randn_like(parameter)
        model(torch.randn(4, 2))  # changes the statistics
        yield model


def test_it_equals_pytorchs_average_to_the_last_bit(model):
    average = MovingAverage(model, 0.9)
    known = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for now in moved(model, 5):
        average.update(now)
        known.update_parameters(now)
    for (name, value), expected in zip(average.module.named_parameters(), known.module.parameters(), strict=True):
        assert torch.equal(value, expected), name
    assert torch.equal(average.module[1].running_var, known.module[1].running_var)
    assert average.module[1].num_batches_tracked == 5  # a count is not averaged
    assert average.state_dict().keys() == known.state_dict().keys()


def test_it_resumes_from_its_state(model):
    whole = MovingAverage(model, 0.5)
    cut = MovingAverage(model, 0.5)
    rest = MovingAverage(model, 0.5)
    for step, now in enumerate(moved(model, 4)):
        whole.update(now)
        if step == 2:
            rest.load_state_dict(cut.state_dict())
        (cut if step < 2 else rest).update(now)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, rest.state_dict()[name]), name


def test_state_of_another_model_is_refused(model):
    average = MovingAverage(model, 0.5)
    other = MovingAverage(nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4)), 0.5)
    with pytest.raises(RuntimeError):
        average.load_state_dict(other.state_dict())
    with pytest.raises(KeyError):
        average.load_state_dict({})
