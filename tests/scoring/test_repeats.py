"""Models trained with several seeds: means, deviations, and differences over people and seeds."""

import numpy as np
import pytest

from posekit.data import open_people
from posekit.metrics import KINDS
from posekit.scoring.io.predictions import Predictions, mean_pose
from posekit.scoring.repeats import DOUBLE, INVERSIONS, MEAN, PoseRepeats, Spread, differences_table, scores_table
from posekit.scoring.score import score


@pytest.fixture(scope="module")
def people(real_data):
    return open_people("lsp", real_data / "lsp", "test").select(np.arange(200))


def guess(people, seed, noise):
    """Scores of the truth with noise, in pixels."""
    joints = people.joints + np.random.default_rng(seed).normal(0, noise, people.joints.shape)
    return score(people, Predictions(joints, np.ones(people.labelled.shape), np.arange(len(people)), people.skeleton))


@pytest.fixture(scope="module")
def models(people):
    """Two ways of training, of which the first is better by far, and one that is as good as the second."""
    return {
        "good": PoseRepeats({seed: guess(people, seed, 3) for seed in (0, 1, 2)}),
        "bad": PoseRepeats({seed: guess(people, 10 + seed, 12) for seed in (0, 1, 2)}),
        "as bad": PoseRepeats({seed: guess(people, 20 + seed, 12) for seed in (0, 1)}),
    }


def test_a_spread_is_the_mean_and_the_deviation_of_a_sample():
    assert str(Spread((50.0, 52.0, 57.0))) == "53.00 ± 3.61"  # sqrt((9 + 1 + 16) / 2)
    assert str(Spread((50.0,))) == "50.00"
    assert str(Spread((np.nan, np.nan))) == "-"


def test_figures_are_those_of_each_seed(models):
    figures = models["good"].figures
    assert list(figures) == ["Head", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle", MEAN, INVERSIONS]  # no peaks: no doubles
    assert figures[MEAN].values == tuple(scores.pooled_mean for scores in models["good"].scores.values())
    inverted = []
    for scores in models["bad"].scores.values():
        counts = scores.diagnosis.counts
        inverted.append(100 * counts[:, KINDS.index("inversion")].sum() / counts.sum())
    assert models["bad"].figures[INVERSIONS].values == pytest.approx(inverted)


def test_a_real_difference_is_decided_and_another_is_not(models):
    found = models["good"].minus(models["bad"])
    assert all(difference.decided and difference.difference > 10 for difference in found.values())
    pairs = zip(models["good"].figures[MEAN].values, models["bad"].figures[MEAN].values, strict=True)
    assert found[MEAN].difference == pytest.approx(np.mean([a - b for a, b in pairs]))
    assert not models["as bad"].minus(models["bad"])[MEAN].decided


def test_only_seeds_that_both_have_are_compared(models):
    found = models["as bad"].minus(models["bad"])
    values = models["as bad"].figures[MEAN].values, models["bad"].figures[MEAN].values[:2]
    assert found[MEAN].difference == pytest.approx(np.mean(values[0]) - np.mean(values[1]))
    assert PoseRepeats({7: models["bad"].scores[0]}).minus(models["bad"]) == {}


def test_tables_are_markdown_with_the_best_bold(models):
    lines = scores_table(models, {"good": {"minutes": "31"}}).splitlines()
    assert lines[0].startswith("|  | seeds | Head |") and lines[0].endswith("| Mean | Inversions | minutes |")
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    assert f"**{models['good'].figures[MEAN]}**" in lines[2] and lines[2].endswith("| 31 |")
    assert "**" not in lines[3].split("|")[3]  # the head of the worse
    assert f"**{models['good'].figures[INVERSIONS]}**" in lines[2]  # few are good
    table = differences_table(models, "bad").splitlines()
    assert [line.split("|")[1].strip() for line in table] == ["minus bad", "---", "good", "as bad"]
    assert "**+" in table[2] and "**" not in table[3].split("|")[-2]


def test_a_name_cannot_end_its_column(models):
    table = scores_table({"a|b": models["good"]}, {}).splitlines()
    assert table[2].startswith("| a\\|b | 3 |")


def test_double_counting_is_a_figure_if_every_seed_has_peaks(people, models):
    joints = people.joints
    peaks = np.stack([joints, joints + 500, np.full_like(joints, np.nan)], axis=2)
    heights = np.broadcast_to(np.array([0.9, 0.6, np.nan]), peaks.shape[:3]).copy()
    found = Predictions(joints, heights[..., 0], np.arange(len(people)), people.skeleton, peaks=peaks, heights=heights)
    with_peaks = PoseRepeats({0: score(people, found)})
    assert with_peaks.figures[DOUBLE].values == (100.0,)
    without_peaks = models["good"].scores[0]
    for scores in ([with_peaks.scores[0], without_peaks], [without_peaks, with_peaks.scores[0]]):
        assert DOUBLE not in PoseRepeats(dict(enumerate(scores))).figures
    for names in (("with", "good"), ("good", "with")):
        table = scores_table({name: {"with": with_peaks, "good": models["good"]}[name] for name in names}, {})
        cells = {line.split("|")[1].strip(): line.split("|")[-2].strip() for line in table.splitlines()}
        assert cells == {"": DOUBLE, "---": "---", "with": "**100.00**", "good": "-"}


def test_the_mean_pose_is_scored_too(people):
    assert PoseRepeats({0: score(people, mean_pose(people, people))}).figures[MEAN].deviation is not None
