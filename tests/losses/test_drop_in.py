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


def example(of):
    plain, torchvision, mmpose, lightning_pose = MARKED.findall(README.read_text(encoding="utf-8"))
    return {"plain": plain, "torchvision": torchvision, "mmpose": mmpose, "lightning-pose": lightning_pose}[of]


@pytest.fixture
def toy():
    """Points in a plane to be told apart by the sector they lie in, a network for them, and its optimizer."""
    torch.manual_seed(0)
    points = torch.randn(240, 2)
    labels = (torch.atan2(*points.T) / torch.pi * 1.5 + 1.5).long().clamp(max=2)
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 3))
    loader = list(zip(points.split(40), labels.split(40), strict=True))
    return SimpleNamespace(
        model=model, loader=loader, points=points, labels=labels, optimizer=torch.optim.Adam(model.parameters(), lr=0.02)
    )


def error(toy):
    return (toy.model(toy.points).argmax(1) != toy.labels).float().mean().item()


def test_a_plain_classifier_learns(toy):
    assert error(toy) > 0.3
    exec(example("plain"), {"epochs": 25, "model": toy.model, "loader": toy.loader, "optimizer": toy.optimizer})
    assert error(toy) < 0.1


def train_one_epoch(model, criterion, optimizer, data_loader, device, epoch, args, model_ema=None, scaler=None):
    """What torchvision's does with the loss."""
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
        "args": SimpleNamespace(start_epoch=0, epochs=25, amp=True), "model_ema": None, "scaler": None,
        "lr_scheduler": torch.optim.lr_scheduler.ConstantLR(toy.optimizer, 1.0), "train_one_epoch": train_one_epoch,
    }  # fmt: skip
    exec(example("torchvision"), names)
    assert error(toy) < 0.1


def modules(monkeypatch, **of):
    """Stand-ins for modules that are not installed, each with the names that it is to have."""
    for name, content in of.items():
        dotted = name.replace("__", ".")
        for parent in [dotted[: end.start()] for end in re.finditer(r"\.", dotted)]:
            monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
        module = ModuleType(dotted)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, dotted, module)


class Registry(dict):
    """What mmengine's does with modules that are registered under their own name."""

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


def test_mmposes_head_gives_logits_to_the_loss_and_scores_to_its_users(monkeypatch):
    registry = Registry()
    modules(monkeypatch, mmpose__models__heads={"HeatmapHead": MmposesHead}, mmpose__registry={"MODELS": registry})
    exec(example("mmpose"), {"__name__": "heads"})
    assert set(registry) == {"HeatmapAnchorLoss", "SigmoidHeatmapHead"}
    head = registry["SigmoidHeatmapHead"](registry["HeatmapAnchorLoss"](gamma=2.0))
    head.init_weights()
    feats = (torch.randn(2, 5, 8, 8),)
    scores = head.eval()(feats)
    assert scores.median().item() == pytest.approx(0.01, rel=0.05)
    assert torch.equal(head.train()(feats).sigmoid(), scores)
    joints, labelled = torch.full((2, 3, 2), 15.5), torch.ones(2, 3, dtype=torch.bool)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    losses = []
    for _ in range(20):
        losses.append(head.loss_module(head(feats), encode(joints, labelled, size=8), labelled.float()))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0]


class LightningPosesLoss:
    """The part of lightning-pose's HeatmapLoss that comes before the loss itself: joints that are not labelled are left out."""

    def __call__(self, heatmaps_targ, heatmaps_pred):
        labelled = heatmaps_targ.flatten(2).any(-1)
        return self.compute_loss(targets=heatmaps_targ[labelled], predictions=heatmaps_pred[labelled])


@pytest.mark.parametrize("count", [6, 4, 0])
def test_lightning_poses_loss_is_ours_on_its_targets(monkeypatch, count):
    factory = {"get_loss_classes": lambda: {"heatmap_mse": object}}
    modules(
        monkeypatch, lightning_pose__losses__factory=factory, lightning_pose__losses__losses={"HeatmapLoss": LightningPosesLoss}
    )
    exec(example("lightning-pose"), {"__name__": "anchor"})
    known = sys.modules["lightning_pose.losses.factory"].get_loss_classes()
    assert set(known) == {"heatmap_mse", "heatmap_anchor"}
    joints = torch.rand(2, 3, 2) * 60
    labelled = torch.arange(6).reshape(2, 3) < count
    # Theirs: a Gaussian about the joint itself that ends nowhere, of sum 1.
    centres, grid = (joints + 0.5) / 4 - 0.5, torch.arange(16.0)
    whole = (-((grid - centres[..., :1, None]) ** 2 + (grid[:, None] - centres[..., 1:, None]) ** 2) / (2 * 1.25**2)).exp()
    theirs = whole / whole.sum((-2, -1), keepdim=True) * labelled[..., None, None]
    logits = torch.randn(2, 3, 16, 16)
    ours = whole / whole.amax((-2, -1), keepdim=True)
    ours = torch.where(ours < 0.011, 0, ours)
    expected = HeatmapAnchorLoss(gamma=2.0)(logits, ours, labelled.float())
    torch.testing.assert_close(known["heatmap_anchor"]()(heatmaps_targ=theirs, heatmaps_pred=logits), expected)
