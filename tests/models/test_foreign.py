"""Checkpoints of published networks. The networks are implemented again here, from their architecture; outputs must agree."""

import os

import pytest
import torch
from torch.nn import functional as F

from posekit.errors import WeightsError
from posekit.models import convert_weights, load_foreign, load_weights
from posekit.skeletons import MPII16


class Checkpoint:
    """Layers by tensor name. The first forward pass makes the float32 tensors; computation is in float64."""

    def __init__(self):
        self.tensors = {}
        self.random = torch.Generator().manual_seed(0)

    def tensor(self, name, *shape, low=-0.5, high=0.5):
        if name not in self.tensors:
            self.tensors[name] = low + (high - low) * torch.rand(shape, generator=self.random)
        return self.tensors[name].double()

    def conv(self, x, name, outputs, kernel=1, stride=1):
        weight = self.tensor(f"{name}.weight", outputs, x.shape[1], kernel, kernel)
        return F.conv2d(x, weight, self.tensor(f"{name}.bias", outputs), stride=stride, padding=kernel // 2)

    def norm(self, x, name):
        """Batch normalisation and ReLU."""
        c = x.shape[1]
        mean = self.tensor(f"{name}.running_mean", c)
        var = self.tensor(f"{name}.running_var", c, low=0.5, high=1.5)
        self.tensors.setdefault(f"{name}.num_batches_tracked", torch.tensor(7))
        weight = self.tensor(f"{name}.weight", c, low=0.5, high=1.5)
        bias = self.tensor(f"{name}.bias", c)
        return F.relu(F.batch_norm(x, mean, var, weight, bias, training=False, eps=1e-5))


class PytorchPose(Checkpoint):
    def __init__(self, stacks=2, blocks=2, planes=4, joints=16):
        super().__init__()
        self.stacks = stacks
        self.blocks = blocks
        self.planes = planes
        self.joints = joints

    def bottleneck(self, x, name, planes):
        y = self.conv(self.norm(x, f"{name}.bn1"), f"{name}.conv1", planes)
        y = self.conv(self.norm(y, f"{name}.bn2"), f"{name}.conv2", planes, kernel=3)
        y = self.conv(self.norm(y, f"{name}.bn3"), f"{name}.conv3", 2 * planes)
        return y + (x if x.shape[1] == 2 * planes else self.conv(x, f"{name}.downsample.0", 2 * planes))

    def sequence(self, x, name, planes, blocks):
        for block in range(blocks):
            x = self.bottleneck(x, f"{name}.{block}", planes)
        return x

    def hourglass(self, x, name, n):
        above = self.sequence(x, f"{name}.{n - 1}.0", self.planes, self.blocks)
        low = self.sequence(F.max_pool2d(x, 2), f"{name}.{n - 1}.1", self.planes, self.blocks)
        low = self.hourglass(low, name, n - 1) if n > 1 else self.sequence(low, f"{name}.0.3", self.planes, self.blocks)
        low = self.sequence(low, f"{name}.{n - 1}.2", self.planes, self.blocks)
        return above + low.repeat_interleave(2, -1).repeat_interleave(2, -2)

    def __call__(self, x):
        x = self.norm(self.conv(x, "conv1", 3, kernel=7, stride=2), "bn1")
        x = F.max_pool2d(self.sequence(x, "layer1", 3, 1), 2)
        x = self.sequence(self.sequence(x, "layer2", 6, 1), "layer3", self.planes, 1)
        maps = []
        for i in range(self.stacks):
            y = self.sequence(self.hourglass(x, f"hg.{i}.hg", 4), f"res.{i}", self.planes, self.blocks)
            y = self.norm(self.conv(y, f"fc.{i}.0", 2 * self.planes), f"fc.{i}.1")
            maps.append(self.conv(y, f"score.{i}", self.joints))
            if i < self.stacks - 1:
                x = x + self.conv(y, f"fc_.{i}", x.shape[1]) + self.conv(maps[-1], f"score_.{i}", x.shape[1])
        return maps


class Princeton(Checkpoint):
    def __init__(self, stacks=3, features=8, joints=16):
        super().__init__()
        self.stacks = stacks
        self.features = features
        self.joints = joints

    def residual(self, x, name, outputs):
        y = self.conv(self.norm(x, f"{name}.bn1"), f"{name}.conv1.conv", outputs // 2)
        y = self.conv(self.norm(y, f"{name}.bn2"), f"{name}.conv2.conv", outputs // 2, kernel=3)
        y = self.conv(self.norm(y, f"{name}.bn3"), f"{name}.conv3.conv", outputs)
        skip = self.conv(x, f"{name}.skip_layer.conv", outputs)  # always stored, used only where the width changes
        return y + (x if x.shape[1] == outputs else skip)

    def hourglass(self, x, name, n):
        above = self.residual(x, f"{name}.up1", self.features)
        low = self.residual(F.max_pool2d(x, 2), f"{name}.low1", self.features)
        low = self.hourglass(low, f"{name}.low2", n - 1) if n > 1 else self.residual(low, f"{name}.low2", self.features)
        low = self.residual(low, f"{name}.low3", self.features)
        return above + low.repeat_interleave(2, -1).repeat_interleave(2, -2)

    def __call__(self, x):
        x = self.norm(self.conv(x, "pre.0.conv", 4, kernel=7, stride=2), "pre.0.bn")
        x = F.max_pool2d(self.residual(x, "pre.1", 6), 2)
        x = self.residual(self.residual(x, "pre.3", 6), "pre.4", self.features)
        maps = []
        for i in range(self.stacks):
            y = self.residual(self.hourglass(x, f"hgs.{i}.0", 4), f"features.{i}.0", self.features)
            y = self.norm(self.conv(y, f"features.{i}.1.conv", self.features), f"features.{i}.1.bn")
            maps.append(self.conv(y, f"outs.{i}.conv", self.joints))
            if i < self.stacks - 1:
                merged = self.conv(maps[-1], f"merge_preds.{i}.conv.conv", self.features)
                x = x + merged + self.conv(y, f"merge_features.{i}.conv.conv", self.features)
        return maps


IMAGES = torch.rand(1, 3, 64, 128, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def write(path, network, *, prefix="", wrap=True):
    maps = network(IMAGES)
    tensors = {prefix + name: tensor for name, tensor in network.tensors.items()}
    torch.save({"epoch": 3, "best_acc": torch.tensor(0.9), "state_dict": tensors} if wrap else tensors, path)
    return maps


@pytest.mark.parametrize(
    "network, prefix, mean, stem, blocks",
    [
        (PytorchPose(), "module.", (0.4404, 0.4440, 0.4327), (3, 6, 12), 2),
        (PytorchPose(stacks=1, blocks=1), "", (0.4404, 0.4440, 0.4327), (3, 6, 12), 1),
        (Princeton(), "model.module.", (0, 0, 0), (4, 6, 6), 1),
        (Princeton(stacks=1), "model.", (0, 0, 0), (4, 6, 6), 1),
        (Princeton(stacks=2, features=12), "module.", (0, 0, 0), (4, 6, 6), 1),
    ],
    ids=["pytorch-pose", "pytorch-pose 1 stack", "princeton", "princeton 1 stack", "princeton wider than its stem"],
)
def test_outputs_are_those_of_the_published_network(tmp_path, network, prefix, mean, stem, blocks):
    expected = write(tmp_path / "net.pth.tar", network, prefix=prefix)
    model, info = load_foreign(tmp_path / "net.pth.tar")
    assert (info.skeleton, info.input_size, info.head, info.depth) == (MPII16, 256, "linear", 4)
    assert (info.mean, info.std, info.stem, info.blocks) == (mean, (1, 1, 1), stem, blocks)
    assert info.stacks == network.stacks
    for maps, expected_maps in zip(model.double()(IMAGES), expected, strict=True):
        assert expected_maps.std() > 1e-3
        torch.testing.assert_close(maps, expected_maps, atol=1e-6, rtol=1e-6)


def test_a_bare_state_dict_without_batch_counters_is_loaded(tmp_path):
    network = PytorchPose(stacks=1, blocks=1)
    expected = network(IMAGES)
    tensors = {name: tensor for name, tensor in network.tensors.items() if not name.endswith("num_batches_tracked")}
    torch.save(tensors, tmp_path / "old.pth")
    model, _ = load_foreign(tmp_path / "old.pth")
    torch.testing.assert_close(model.double()(IMAGES)[-1], expected[-1], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("network", [PytorchPose(stacks=1, blocks=1), Princeton(stacks=1)], ids=["pytorch-pose", "princeton"])
def test_converted_checkpoints_load_as_weights(tmp_path, network):
    expected = write(tmp_path / "net.pth.tar", network)
    info = convert_weights(tmp_path / "net.pth.tar", tmp_path / "net.safetensors")
    model, loaded_info = load_weights(tmp_path / "net.safetensors")
    assert loaded_info == info
    torch.testing.assert_close(model.double()(IMAGES)[-1], expected[-1], atol=1e-6, rtol=1e-6)


def message(path):
    with pytest.raises(WeightsError) as caught:
        load_foreign(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Bomb:
    def __reduce__(self):
        return os.abort, ()


@pytest.mark.parametrize("zipped", [True, False])
def test_other_objects_are_refused_and_not_run(tmp_path, zipped):
    torch.save({"state_dict": {}, "bomb": Bomb()}, tmp_path / "bomb.pth", _use_new_zipfile_serialization=zipped)
    message(tmp_path / "bomb.pth")


@pytest.mark.parametrize("content", [b"", b"no checkpoint at all", b"\x80\x02."], ids=["empty", "text", "pickle of nothing"])
def test_files_that_are_not_checkpoints(tmp_path, content):
    (tmp_path / "x.pth").write_bytes(content)
    message(tmp_path / "x.pth")


def test_truncated_missing_and_folder(tmp_path):
    path = tmp_path / "net.pth"
    write(path, PytorchPose(stacks=1, blocks=1))
    path.write_bytes(path.read_bytes()[:5000])
    for checkpoint in (path, tmp_path / "none.pth", tmp_path):
        message(checkpoint)


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": 3}, {"epoch": 3}, {1: torch.zeros(2)}, torch.zeros(2)], ids=str)
def test_checkpoints_without_a_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "x.pth")
    assert "state dict" in message(tmp_path / "x.pth")


def test_other_networks(tmp_path):
    torch.save(torch.nn.Linear(2, 3).state_dict(), tmp_path / "x.pth")
    error = message(tmp_path / "x.pth")
    assert "bearpaw/pytorch-pose" in error and "princeton-vl/pytorch_stacked_hourglass" in error


def test_other_joints(tmp_path):
    write(tmp_path / "x.pth", PytorchPose(stacks=1, blocks=1, joints=17))
    error = message(tmp_path / "x.pth")
    assert "17" in error and "16" in error


@pytest.mark.parametrize("lost", ["score.1.weight", "layer2.0.conv3.bias", "hg.1.hg.3.2.0.bn1.weight"])
def test_incomplete_networks(tmp_path, lost):
    network = PytorchPose(blocks=1)
    network(IMAGES)
    del network.tensors[lost]
    torch.save(network.tensors, tmp_path / "x.pth")
    assert "missing" in message(tmp_path / "x.pth") or "incomplete" in message(tmp_path / "x.pth")
