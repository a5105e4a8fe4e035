"""Every setting of a configuration takes effect: in the targets, the crops, the learning rate and validation."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from posekit.data.augment import AugmentConfig, apply, draw
from posekit.geometry import Crop
from posekit.heatmaps import encode
from posekit.images import write_image
from posekit.people import People
from posekit.skeletons import MPII16
from posekit.tasks.pose.build import build_engine
from posekit.tasks.pose.config import DataConfig, PoseConfig, TargetsConfig
from posekit.training.build import build_accelerator
from posekit.training.config import ModelConfig, OptimizerConfig, SourceConfig, TrainConfig
from tests.fixtures.people import make_people

COUNT = 5
SIZE = 32
MAP = 8
AUGMENT = AugmentConfig(
    scale=0.11, rotation=17.0, rotation_probability=0.71, mirror_probability=0.23, colour=0.13, cutout_probability=0.37
)


@pytest.fixture
def people(tmp_path) -> People:
    """Five people of 16 joints in an image of 64 x 48 pixels."""
    rng = np.random.default_rng(0)
    write_image(tmp_path / "people.png", rng.integers(256, size=(48, 64, 3), dtype=np.uint8))
    return make_people(
        skeleton=MPII16,
        image_paths=np.full(COUNT, str(tmp_path / "people.png")),
        joints=rng.uniform(8, 40, (COUNT, len(MPII16), 2)),
        centres=np.full((COUNT, 2), 24.0),
        sides=np.full(COUNT, 40.0),
        head_sizes=np.full(COUNT, 9.0),
    )


@pytest.fixture
def make_engine(people, tmp_path):
    def make(**sections):
        source = [SourceConfig("mpii", "unused")]
        model = ModelConfig(stacks=2, features=4, depth=1, input_size=SIZE)
        train = TrainConfig(epochs=2, batch_size=2, device="cpu", workers=0)
        config = PoseConfig(**{"data": DataConfig(source, source), "model": model, "train": train, **sections})
        return build_engine(config, people, people, out=tmp_path, accelerator=build_accelerator(config), resume=False)

    return make


def first_batch(engine):
    return next(iter(engine.task.loader))


@pytest.mark.parametrize("subpixel", [False, True])
def test_targets_are_drawn_with_the_configured_sigma_and_centre(make_engine, subpixel):
    task = make_engine(targets=TargetsConfig(sigma=1.7, subpixel=subpixel)).task
    batch = first_batch(make_engine())
    expected = encode(batch.joints, batch.labelled, size=MAP, sigma=1.7, subpixel=subpixel)
    torch.testing.assert_close(task.encode(batch.joints, batch.labelled), expected, rtol=0, atol=0)
    assert not torch.equal(expected, encode(batch.joints, batch.labelled, size=MAP, sigma=1.0, subpixel=subpixel))


def test_training_crops_are_augmented_as_configured(make_engine, people):
    """A seeded generator draws the parameters of every crop within the configured ranges."""
    dataset = make_engine(augment=AUGMENT, seed=3).task.loader.dataset
    for epoch, index in [(0, 0), (1, 4), (7, 2)]:
        params = draw(np.random.default_rng([3, epoch, index]), AUGMENT)
        image, person = people[index].read()
        expected = apply(image, person, params, size=SIZE, flip_order=MPII16.flip_order, index=index)
        sample = dataset[epoch, index]
        assert sample.channel_gains == params.channel_gains
        np.testing.assert_array_equal(sample.image, expected.image)
        np.testing.assert_array_equal(sample.joints, expected.joints)


def test_every_augmentation_setting_reaches_the_crops(make_engine):
    drawn_with = make_engine(augment=AUGMENT).task.loader.dataset.ranges
    for name in AugmentConfig.__dataclass_fields__:
        assert getattr(drawn_with, name) == getattr(AUGMENT, name), name


def test_validation_crops_are_plain(make_engine, people):
    sample = make_engine(augment=AUGMENT).task.valid_loader.dataset[3]
    expected = Crop(people[3].box, SIZE).forward(people[3].joints).astype(np.float32)
    np.testing.assert_array_equal(sample.joints, expected)
    assert sample.channel_gains == (1.0, 1.0, 1.0)


def test_the_learning_rate_changes_within_an_epoch(make_engine, monkeypatch):
    """Cosine over two epochs of two batches: (1 + cos(pi t / 2)) / 2 at t = 0, 1/2, 1, 3/2 epochs."""
    engine = make_engine(optimizer=OptimizerConfig(name="sgd", lr=0.02, schedule="cosine"))
    rates = []
    step = engine.optimizer.step
    monkeypatch.setattr(engine.optimizer, "step", lambda: (rates.append(engine.optimizer.param_groups[0]["lr"]), step()))
    engine.run()
    assert rates == pytest.approx([0.02, 0.01 * (1 + 0.5**0.5), 0.01, 0.01 * (1 - 0.5**0.5)])


class FixedMaps(nn.Module):
    """Outputs the given maps of each stack for every crop."""

    def __init__(self, stacks):
        super().__init__()
        self.stacks = nn.Parameter(stacks)

    def forward(self, images):
        return [maps.expand(len(images), -1, -1, -1) for maps in self.stacks]

    def activate(self, logits):
        return logits.sigmoid()


@pytest.mark.parametrize(("right_stack", "pck"), [(1, 100.0), (0, 0.0)])
def test_validation_decodes_the_last_of_two_stacks(make_engine, people, right_stack, pck):
    """All joints lie where one stack has its peaks; the other stack has them in the opposite corner."""
    stacks = torch.full((2, 1, len(MPII16), MAP, MAP), -5.0)
    stacks[right_stack, ..., 1, 1] = 5.0
    stacks[1 - right_stack, ..., 6, 6] = 5.0
    # Map pixel (1, 1) is crop pixel 5.5; the crop of 32 pixels shows a box of 40 around (24, 24).
    people.joints[:] = 24 + (5.5 - 15.5) * 40 / 32
    assert make_engine().task.evaluate(FixedMaps(stacks), lambda: None)["pck"] == pck


def test_weights_note_the_settings_they_were_trained_with(make_engine, tmp_path):
    from posekit.models import read_info

    make_engine(targets=TargetsConfig(sigma=1.7, subpixel=True)).run()
    notes = read_info(Path(tmp_path) / "final.safetensors").notes
    assert (notes["sigma"], notes["subpixel"], notes["loss"], notes["gamma"]) == (1.7, True, "anchor", 2.0)
