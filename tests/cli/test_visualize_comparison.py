"""`posekit visualize comparison`: the figure of comparisons, from their results.yaml alone."""

import pytest
import yaml

from posekit.cli.visualize import main
from posekit.errors import DataError
from posekit.lab.compare.figure import repeats_figure


def pose_run(model, seed, mean):
    return {
        "metric": "PCK@0.2",
        "groups": {"Head": mean + 10, "Wrist": mean - 10},
        "pooled_mean": mean,
        "comparison": {"model": model, "seed": seed},
        "training": {"seconds": 1.0},
    }


def classifier_run(model, seed, error):
    return {"metric": "top-1 error", "error": error, "error_top5": None, "comparison": {"model": model, "seed": seed}}


def write_results(path, *runs):
    path.write_text(yaml.safe_dump({"format": "posekit comparison 1", "runs": list(runs)}), encoding="utf-8")
    return str(path)


@pytest.fixture
def drawn(monkeypatch):
    """Scores and metric of every figure."""
    calls = []

    def record(scores, differences, **options):
        calls.append((scores, options["metric"]))
        return repeats_figure(scores, differences, **options)

    monkeypatch.setattr("posekit.lab.compare.figure.repeats_figure", record)
    return calls


def test_every_seed_of_every_file_is_drawn(tmp_path, drawn, capsys):
    first = write_results(tmp_path / "a.yaml", pose_run("BCE", 0, 50.0), pose_run("anchor", 0, 52.0))
    second = write_results(tmp_path / "b.yaml", pose_run("BCE", 1, 51.0))
    assert main(["comparison", first, second, "--out", str(tmp_path / "out")]) == 0
    assert drawn == [
        (
            {
                "BCE": {"Head": [60.0, 61.0], "Wrist": [40.0, 41.0], "Mean": [50.0, 51.0]},
                "anchor": {"Head": [62.0], "Wrist": [42.0], "Mean": [52.0]},
            },
            "PCK@0.2",
        )
    ]
    assert all((tmp_path / "out" / f"comparison.{kind}").stat().st_size > 1000 for kind in ("png", "svg", "pdf"))
    assert capsys.readouterr().out.count("wrote ") == 3


def test_errors_of_classifiers_are_drawn(tmp_path, drawn):
    assert main(["comparison", write_results(tmp_path / "a.yaml", classifier_run("CE", 0, 8.5)), "--out", str(tmp_path)]) == 0
    assert drawn == [({"CE": {"top-1 error": [8.5]}}, "error")]


@pytest.mark.parametrize(
    "text",
    [
        "format: something else\nruns: []\n",
        "format: posekit comparison 1\nruns: []\n",
        "format: posekit comparison 1\nruns: [{comparison: {model: a, seed: 0}}]\n",
        "- [",
    ],
)
def test_a_file_that_holds_no_results_is_named(tmp_path, capsys, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    assert main(["comparison", str(path)]) == DataError.exit_status
    error = capsys.readouterr().err
    assert f"{path}: " in error and len(error.splitlines()) == 1


def test_scores_of_two_metrics_are_not_drawn_together(tmp_path, capsys):
    first = write_results(tmp_path / "a.yaml", classifier_run("CE", 0, 8.5))
    second = write_results(tmp_path / "b.yaml", pose_run("BCE", 0, 50.0))
    assert main(["comparison", first, second]) == DataError.exit_status
    error = capsys.readouterr().err
    assert all(name in error for name in (first, second, "PCK@0.2", "error"))
