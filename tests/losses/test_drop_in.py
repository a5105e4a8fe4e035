"""README's examples of the losses in other people's training code."""

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from posekit.heatmaps import encode
from posekit.losses import HeatmapAnchorLoss

README = Path(__file__).parents[2] / "README.md"
MARKED = re.compile(r"<!-- run by tests/losses/test_drop_in\.py -->\n```python\n(.*?)```", re.DOTALL)


def example(name):
    plain, torchvision, mmpose, lightning_pose = MARKED.findall(README.read_text(encoding="utf-8"))
    return {"plain": plain, "torchvision": torchvision, "mmpose": mmpose, "lightning-pose": lightning_pose}[name]


@pytest.fixture
def toy():
    """Points in a plane, labelled by sector, with a network that classifies them and its optimizer."""
    torch.manual_seed(0)
    points = torch.randn(240, 2)
    labels = (torch.atan2(*points.T) / torch.pi * 1.5 + 1.5).long().clamp(max=2)
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 3))
    loader = list(zip(points.split(40), labels.split(40), strict=True))
    return SimpleNamespace(
        model=model, loader=loader, points=points, labels=labels, optimizer=torch.optim.Adam(model.parameters(), lr=0.05)
    )


def error_rate(toy):
    return (toy.model(toy.points).argmax(1) != toy.labels).float().mean().item()


def test_a_plain_classifier_learns(toy):
    assert error_rate(toy) > 0.3
    exec(example("plain"), {"epochs": 10, "model": toy.model, "loader": toy.loader, "optimizer": toy.optimizer})
    assert error_rate(toy) < 0.1


def train_one_epoch(model, criterion, optimizer, data_loader, device, epoch, args, model_ema=None, scaler=None):
    """Use the loss as torchvision does."""
    model.train()
    for image, target in data_loader:
        with torch.autocast("cpu", torch.bfloat16, enabled=args.amp):
            loss = criterion(model(image.to(device)), target.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("soft", [False, True], ids=["classes", "soft targets of mixup"])
def test_torchvisions_loop_learns(toy, soft):
    one_hot = [(points, nn.functional.one_hot(labels, 3).float() * 0.9 + 0.1 / 3) for points, labels in toy.loader]
    names = {
        "model": toy.model, "optimizer": toy.optimizer, "data_loader": one_hot if soft else toy.loader, "device": "cpu",
        "args": SimpleNamespace(start_epoch=0, epochs=10, amp=True), "model_ema": None, "scaler": None,
        "lr_scheduler": torch.optim.lr_scheduler.ConstantLR(toy.optimizer, 1.0), "train_one_epoch": train_one_epoch,
    }  # fmt: skip
    exec(example("torchvision"), names)
    assert error_rate(toy) < 0.1


def replace_modules(monkeypatch, **contents):
    """Replace modules that are not installed by modules with the given names; "__" in a keyword stands for "."."""
    for name, content in contents.items():
        dotted = name.replace("__", ".")
        for dot in re.finditer(r"\.", dotted):
            parent = dotted[: dot.start()]
            monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
        module = ModuleType(dotted)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, dotted, module)


class Registry(dict):
    """Registers modules under their own name, like mmengine's."""

    def register_module(self, module=None):
        if module is None:
            return self.register_module
        self[module.__name__] = module
        return module


class MmposesHead(nn.Module):
    """The part of mmpose's HeatmapHead that an example overrides."""

    def __init__(self, loss):
        super().__init__()
        self.final_layer = nn.Conv2d(5, 3, 1)
        self.loss_module = loss

    def init_weights(self):
        nn.init.normal_(self.final_layer.weight, std=0.001)
        nn.init.zeros_(self.final_layer.bias)

    def forward(self, feats):
        return self.final_layer(feats[-1])


def test_mmposes_head_returns_logits_in_training_and_scores_in_evaluation(monkeypatch):
    registry = Registry()
    replace_modules(monkeypatch, mmpose__models__heads={"HeatmapHead": MmposesHead}, mmpose__registry={"MODELS": registry})
    exec(example("mmpose"), {"__name__": "heads"})
    assert set(registry) == {"HeatmapAnchorLoss", "SigmoidHeatmapHead"}
    head = registry["SigmoidHeatmapHead"](registry["HeatmapAnchorLoss"](gamma=2.0))
    head.init_weights()
    feats = (torch.randn(2, 5, 8, 8),)
    scores = head.eval()(feats)
    assert scores.median().item() == pytest.approx(0.01, rel=0.05)
    assert torch.equal(head.train()(feats).sigmoid(), scores)
    joints = torch.full((2, 3, 2), 15.5)
    labelled = torch.ones(2, 3, dtype=torch.bool)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    losses = []
    for _ in range(20):
        losses.append(head.loss_module(head(feats), encode(joints, labelled, size=8), labelled.float()))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0]


class LightningPosesLoss:
    """The part of lightning-pose's HeatmapLoss before the loss itself, which removes joints that are not labelled."""

    def __call__(self, heatmaps_targ, heatmaps_pred):
        labelled = heatmaps_targ.flatten(2).any(-1)
        return self.compute_loss(targets=heatmaps_targ[labelled], predictions=heatmaps_pred[labelled])


@pytest.mark.parametrize("count", [6, 4, 0])
def test_lightning_poses_loss_equals_ours_on_its_targets(monkeypatch, count):
    factory = {"get_loss_classes": lambda: {"heatmap_mse": object}}
    replace_modules(
        monkeypatch, lightning_pose__losses__factory=factory, lightning_pose__losses__losses={"HeatmapLoss": LightningPosesLoss}
    )
    exec(example("lightning-pose"), {"__name__": "anchor"})
    classes = sys.modules["lightning_pose.losses.factory"].get_loss_classes()
    assert set(classes) == {"heatmap_mse", "heatmap_anchor"}
    joints = torch.rand(2, 3, 2) * 60
    labelled = torch.arange(6).reshape(2, 3) < count
    # lightning-pose draws an unlimited Gaussian of sum 1 around the joint.
    centres = (joints + 0.5) / 4 - 0.5
    grid = torch.arange(16.0)
    square = (grid - centres[..., :1, None]) ** 2 + (grid[:, None] - centres[..., 1:, None]) ** 2
    gaussian = (-square / (2 * 1.25**2)).exp()
    lightning_target = gaussian / gaussian.sum((-2, -1), keepdim=True) * labelled[..., None, None]
    target = gaussian / gaussian.amax((-2, -1), keepdim=True)
    target = torch.where(target < 0.011, 0, target)
    logits = torch.randn(2, 3, 16, 16)
    expected = HeatmapAnchorLoss(gamma=2.0)(logits, target, labelled.float())
    torch.testing.assert_close(classes["heatmap_anchor"]()(heatmaps_targ=lightning_target, heatmaps_pred=logits), expected)
