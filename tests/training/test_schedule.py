"""Learning rates at known points."""

import pytest

from posekit.training.schedule import learning_rate


@pytest.mark.parametrize(
    ("epoch", "factor"),
    # Section 4.2 of the paper: 100 epochs, then times 0.5 and times 0.2 in turn every 20.
    [(0, 1), (99.9, 1), (100, 0.5), (119.9, 0.5), (120, 0.1), (140, 0.05), (160, 0.01), (180, 0.005)],
)
def test_paper(epoch, factor):
    assert learning_rate(epoch, schedule="paper", lr=1e-3, epochs=200) == pytest.approx(1e-3 * factor)


@pytest.mark.parametrize(
    ("schedule", "epoch", "factor"),
    [
        ("constant", 7, 1.0), ("cosine", 0, 1.0), ("cosine", 5, 0.5), ("cosine", 10, 0.0),
        ("onecycle", 0, 0.04), ("onecycle", 3, 1.0), ("onecycle", 6.5, 0.5), ("onecycle", 10, 0.0),
    ],
)  # fmt: skip
def test_other_schedules(schedule, epoch, factor):
    assert learning_rate(epoch, schedule=schedule, lr=2.0, epochs=10) == pytest.approx(2 * factor, abs=1e-12)


@pytest.mark.parametrize(("epoch", "factor"), [(0, 1), (159.9, 1), (160, 0.1), (179.9, 0.1), (180, 0.01), (200, 0.01)])
def test_steps(epoch, factor):
    """Section 4.1 of the paper: dropped by a factor of 0.1 at 160 and 180 epochs."""
    rate = learning_rate(epoch, schedule="steps", lr=0.1, epochs=200, milestones=[160, 180])
    assert rate == pytest.approx(0.1 * factor)


@pytest.mark.parametrize(("epoch", "factor"), [(0, 0), (1, 0.2), (4.5, 0.9), (5, 1), (29, 1), (30, 0.1)])
def test_the_rate_rises_over_the_warm_up(epoch, factor):
    rate = learning_rate(epoch, schedule="steps", lr=2.0, epochs=90, milestones=[30, 60], warmup_epochs=5)
    assert rate == pytest.approx(2 * factor)


def test_the_rate_stays_after_the_last_epoch():
    assert learning_rate(12, schedule="cosine", lr=1.0, epochs=10) == pytest.approx(0)
