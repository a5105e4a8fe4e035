"""Two models' predictions of the same people."""

from dataclasses import replace

import numpy as np
import pytest

from posekit.data import open_people
from posekit.errors import PredictionsError
from posekit.scoring.compare import PairedComparison
from posekit.scoring.io.predictions import Predictions, mean_pose
from posekit.scoring.score import score


@pytest.fixture(scope="module")
def pair(mpii, hourglass, tompson):
    return score(mpii, hourglass), score(mpii, tompson)


def test_the_hourglass_is_better_than_tompson_et_al(pair):
    found = PairedComparison(*pair)
    assert found.total.difference == pytest.approx(88.035 - 82.34, abs=0.01)
    assert found.total.decided
    assert 4.5 < found.total.low < found.total.difference < found.total.high < 7
    # Paired, the interval is narrower than the two models' own would allow.
    apart = np.hypot(*(high - low for low, high in (scores.interval95 for scores in pair)))
    assert found.total.high - found.total.low < 0.9 * apart
    assert list(found.groups) == ["Head", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle"]


def test_a_model_against_itself_is_undecided(pair):
    found = PairedComparison(pair[0], pair[0])
    assert (found.total.difference, found.total.low, found.total.high) == (0, 0, 0)
    assert not found.total.decided
    assert "undecided" in found.table(("a.h5", "b.h5"))


def test_the_table_names_both_and_counts_from_the_first(pair):
    lines = PairedComparison(*pair).table(("ours.h5", "theirs.h5")).splitlines()
    assert "A (ours.h5) and B (theirs.h5)" in lines[0]
    assert lines[-1].split()[:4] == ["Mean", "88.04", "82.34", "+5.70"]


def test_other_people_or_metrics_cannot_be_compared(real_data, pair):
    people = open_people("lsp", real_data / "lsp", "test")
    scores = score(people, mean_pose(people, people))
    with pytest.raises(PredictionsError, match=r"PCKh@0\.5.* 44,240 .*PCK@0\.2.* 14,000\b"):
        PairedComparison(pair[0], scores)
    stricter = score(people, mean_pose(people, people), threshold=0.1)
    with pytest.raises(PredictionsError, match=r"PCK@0\.2.*PCK@0\.1"):
        PairedComparison(scores, stricter)
    fewer = replace(people, labelled=people.labelled & (np.arange(14) > 0))
    with pytest.raises(PredictionsError, match=r" 14,000 .* 13,000\b"):
        PairedComparison(scores, score(fewer, mean_pose(people, people)))


@pytest.fixture
def doubles(real_data):
    """Scores of models A and B for LSP's first three test people, with the truth as the highest peaks, except for some wrists.

    The highest peak of the left wrist is wrong for people 0 and 1 in A, and for person 0 in B. The right wrist of person 2 has a
    second, lower peak in B.
    """
    people = open_people("lsp", real_data / "lsp", "test").select(np.arange(3))
    left, right = (people.skeleton.index(name) for name in ("left_wrist", "right_wrist"))

    def scores(wrong, lower):
        peaks = np.full((3, 14, 2, 2), np.nan)
        heights = np.full((3, 14, 2), np.nan)
        peaks[:, :, 0] = people.joints
        heights[:, :, 0] = 0.9
        peaks[wrong, left, 1] = people.joints[wrong, left]
        peaks[wrong, left, 0] = people.joints[wrong, left] + 500
        peaks[lower, right, 1] = people.joints[lower, right] + 500
        heights[wrong, left, 1] = heights[lower, right, 1] = 0.6
        return score(
            people, Predictions(peaks[:, :, 0], heights[:, :, 0], np.arange(3), people.skeleton, peaks=peaks, heights=heights)
        )

    return scores([0, 1], []), scores([0], [2])


def test_both_models_are_scored_on_the_same_double_maps(doubles):
    found = PairedComparison(*doubles).on_double_maps
    assert {name: row.n for name, row in found.items()} == {"first": 2, "second": 2, "either": 3, "both": 1, "neither": 39}
    assert [(row.first, row.second) for row in found.values()] == [
        (0, 50), (50, 50), (pytest.approx(100 / 3), pytest.approx(200 / 3)), (0, 0), (100, 100),
    ]  # fmt: skip
    assert found["either"].difference.difference == pytest.approx(-100 / 3)
    assert "either (3 joints)" in PairedComparison(*doubles).double_table(("a.h5", "b.h5"))
    assert PairedComparison(*doubles).double_dict()["first"]["joints"] == 2


def test_no_double_maps_and_no_peaks(doubles, pair):
    def highest_alone(scores):
        predictions = scores.predictions
        first = {"peaks": predictions.peaks[:, :, :1], "heights": predictions.heights[:, :, :1]}
        return replace(scores, predictions=replace(predictions, **first))

    single = PairedComparison(*map(highest_alone, doubles))
    assert single.on_double_maps["either"].n == 0
    assert np.isnan(single.on_double_maps["either"].first)
    assert "nan" not in single.double_table(("a.h5", "b.h5"))
    assert PairedComparison(*pair).on_double_maps == {}
