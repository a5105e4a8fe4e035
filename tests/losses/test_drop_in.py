"""README's examples of the classifiers' losses in other people's training code."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

README = Path(__file__).parents[2] / "README.md"
MARKED = re.compile(r"<!-- run by tests/losses/test_drop_in\.py -->\n```python\n(.*?)```", re.DOTALL)


def examples():
    plain, torchvision = MARKED.findall(README.read_text(encoding="utf-8"))
    return plain, torchvision


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
    exec(examples()[0], {"epochs": 25, "model": toy.model, "loader": toy.loader, "optimizer": toy.optimizer})
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
    exec(examples()[1], names)
    assert error(toy) < 0.1
