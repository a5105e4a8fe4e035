"""The picture of a comparison, from its results.yaml alone."""

import pytest
import yaml

from posekit.cli.visualize import main
from posekit.errors import DataError
from posekit.lab.compare import figure as repeats


def poses(model, seed, mean):
    groups = {"Head": mean + 10, "Wrist": mean - 10}
    comparison = {"model": model, "seed": seed}
    return {"metric": "PCK@0.2", "groups": groups, "pooled_mean": mean, "comparison": comparison, "training": {"seconds": 1.0}}


def classes(model, seed, error):
    return {"metric": "top-1 error", "error": error, "error_top5": None, "comparison": {"model": model, "seed": seed}}


def results(path, *runs, form="posekit comparison 1"):
    path.write_text(yaml.safe_dump({"format": form, "runs": list(runs)}), encoding="utf-8")
    return str(path)


@pytest.fixture
def drawn(monkeypatch):
    """What was drawn."""
    calls = []

    def recorded(scores, differences, **options):
        calls.append((scores, options["metric"]))
        return repeats.repeats_figure(scores, differences, **options)

    monkeypatch.setattr("posekit.cli.visualize.comparison.repeats_figure", recorded)
    return calls


def test_every_seed_of_every_file_is_drawn(tmp_path, drawn, capsys):
    here = results(tmp_path / "a.yaml", poses("BCE", 0, 50.0), poses("anchor", 0, 52.0))
    there = results(tmp_path / "b.yaml", poses("BCE", 1, 51.0))
    assert main(["comparison", here, there, "--out", str(tmp_path / "out")]) == 0
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


def test_of_classifiers_the_errors_are_drawn(tmp_path, drawn):
    assert main(["comparison", results(tmp_path / "a.yaml", classes("CE", 0, 8.5)), "--out", str(tmp_path)]) == 0
    assert drawn == [({"CE": {"top-1 error": [8.5]}}, "error")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format: something else\nruns: []\n", "not a comparison's results.yaml"),
        ("format: posekit comparison 1\nruns: []\n", "has no runs"),
        ("format: posekit comparison 1\nruns: [{comparison: {model: a, seed: 0}}]\n", "not a comparison's results.yaml"),
        ("- [", "not a comparison's results.yaml"),
    ],
)
def test_another_file_is_named(tmp_path, capsys, text, message):
    (tmp_path / "a.yaml").write_text(text)
    assert main(["comparison", str(tmp_path / "a.yaml")]) == DataError.exit_status
    error = capsys.readouterr().err
    assert message in error and "a.yaml" in error and len(error.splitlines()) == 1


def test_scores_of_two_kinds_are_not_drawn_together(tmp_path, capsys):
    files = [results(tmp_path / "a.yaml", classes("CE", 0, 8.5)), results(tmp_path / "b.yaml", poses("BCE", 0, 50.0))]
    assert main(["comparison", *files]) == DataError.exit_status
    assert "scored by PCK@0.2 and error; draw them apart" in capsys.readouterr().err
