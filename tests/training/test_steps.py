"""A training step never waits for a GPU; checked on the CPU by the names of the operations."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from posekit.synthetic.write import write_synthetic
from posekit.tasks.pose.build import build_engine, build_people
from posekit.tasks.pose.config import DataConfig, LossConfig, PoseConfig
from posekit.training.build import build_accelerator
from posekit.training.config import ModelConfig, OptimizerConfig, SourceConfig, TrainConfig

# Operations that read numbers from a tensor, whose output shape depends on values, or that copy Python numbers to a tensor.
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "_unique2", "lift_fresh")


class NoWaiting(TorchDispatchMode):
    """Fails at an operation that would wait for a GPU."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        picks = name.startswith("index") and any(
            getattr(index, "dtype", None) == torch.bool for index in (args[1] if isinstance(args[1], list | tuple) else ())
        )
        assert name not in WAITING, f"aten::{name} waits for the device"
        assert not picks, f"aten::{name} by a mask waits for the device"
        return function(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_synthetic(folder / "synthetic", people=12, seed=0, workers=1, progress=False)
    source = [SourceConfig("mpii", "synthetic")]
    return DataConfig(train=source, valid=source, root=str(folder))


@pytest.fixture(scope="module")
def people(data):
    return build_people(data)


@pytest.mark.parametrize(
    ("loss", "optimizer"),
    [
        (LossConfig("anchor"), "rmsprop"),
        (LossConfig("focal", ohkm=8), "adamw"),
        (LossConfig("mse"), "adam"),
        (LossConfig("anchor", warmup_epochs=1), "adamw"),
    ],
)
def test_a_step_waits_for_nothing(data, people, tmp_path, loss, optimizer):
    config = PoseConfig(
        data,
        model=ModelConfig(stacks=2, features=8, depth=1, input_size=16),
        loss=loss,
        optimizer=OptimizerConfig(optimizer),
        train=TrainConfig(batch_size=4, accumulate=2, ema=0.9, device="cpu", workers=0),
    )
    accelerator = build_accelerator(config)
    engine = build_engine(config, *people, out=tmp_path, accelerator=accelerator, resume=False)
    engine.batches = 100
    batch = next(iter(engine.task.loader))
    engine._step(batch)  # only the first step may wait
    with NoWaiting():
        for _ in range(5):
            engine._step(batch)
            engine.progress.batch += 1
    assert engine.progress.people == 24


def test_waiting_is_detected():
    values = torch.arange(3.0)
    for wait in (lambda: values.sum().item(), lambda: values[values > 1], lambda: torch.tensor([1.0]), lambda: bool(values[0])):
        with pytest.raises(AssertionError, match="waits for the device"), NoWaiting():
            wait()


def test_one_process_trains_with_different_precisions_in_turn(data):
    def precision(name):
        config = PoseConfig(data, train=TrainConfig(device="cpu", precision=name))
        return build_accelerator(config).mixed_precision

    assert [precision(name) for name in ("no", "bf16", "no")] == ["no", "bf16", "no"]
