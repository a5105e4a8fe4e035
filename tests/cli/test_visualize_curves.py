"""`posekit visualize` `loss`, `training` and `comparison`."""

import csv
import xml.etree.ElementTree as ET

import pytest
import yaml
from PIL import Image

from posekit.cli.visualize import main
from posekit.errors import DataError
from posekit.images import read_image
from posekit.lab.compare.figure import repeats_figure

# loss


def draw_loss(*options):
    return main(["loss", *map(str, options)])


def test_both_loss_figures_are_written(tmp_path, capsys):
    out = tmp_path / "new" / "figures"
    assert draw_loss("--out", out) == 0
    paths = [out / f"{name}.{kind}" for name in ("loss", "loss-surface") for kind in ("png", "svg", "pdf")]
    assert capsys.readouterr().out.splitlines() == [f"wrote {path}" for path in paths]
    assert sorted(out.iterdir()) == sorted(paths)
    signatures = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    for path in paths:
        assert path.read_bytes().startswith(signatures[path.suffix]), path
    with Image.open(paths[0]) as image:
        assert image.width == 1380, "6.9 inches at 200 dpi"


def test_gammas_and_anchors_are_drawn_once_each_in_the_order_given(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr("posekit.cli.visualize.curves.loss_curves", lambda *values: drawn.setdefault("curves", values))
    monkeypatch.setattr("posekit.cli.visualize.curves.loss_surface", lambda *values: drawn.setdefault("surface", values))
    monkeypatch.setattr("posekit.cli.visualize.curves.write_plot", lambda *_: None)
    assert draw_loss("--out", tmp_path, "--gamma", 2, 0, 2.0, "--anchor", 1, 0, 0.5, 1) == 0
    assert drawn == {"curves": ([2, 0], [1, 0, 0.5]), "surface": ([2, 0],)}


@pytest.mark.parametrize("option, maximum", [("--gamma", 10), ("--anchor", 1)])
@pytest.mark.parametrize("value", ["-0.1", "10.5", "nan", "inf", "x"])
def test_wrong_numbers_are_named_with_the_range(option, maximum, value, tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        draw_loss("--out", tmp_path / "out", option, value)
    assert error.value.code == 2
    last_line = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {option}: {value!r}: " in last_line and f"0 to {maximum}" in last_line
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_named_in_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert draw_loss("--out", tmp_path / "file") != 0
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "file") in line


# training


HEADER = ("epoch", "learning_rate", "loss", "hard_pixels", "hard_joints", "pck", "pck_head", "pck_wrist")
ROWS = (
    (1, 0.001, 0.07, 19.0625, 97.0, 3.125, 4.0, 1.0),
    (2, 0.003, 0.06, 12.5, 92.0, 31.256, 40.0, 20.0),
    (3, 0.002, 0.05123456, 8.75, 86.0, 30.5, 41.0, 21.0),
)


def write_run(folder, loss="name: bce", *, columns=HEADER, rows=ROWS, metric=None):
    folder.mkdir(parents=True)
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(dict(zip(HEADER, row, strict=True)) for row in rows)
    (folder / "config.yaml").write_text(f"loss: {{{loss}}}\nmodel: {{stacks: 2, input_size: 128}}\n")
    if metric:
        (folder / "metrics.json").write_text(f'{{"metric": "{metric}"}}')
    return str(folder)


def draw_training(*arguments):
    return main(["training", *map(str, arguments)], prog="posekit visualize")


@pytest.fixture
def unwritten(monkeypatch):
    """Do not write figures, which takes most of the time."""
    monkeypatch.setattr("posekit.cli.visualize.curves.write_plot", lambda figure, folder, name: None)


def cells(line):
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def error_of(capsys, *arguments):
    """Exit status and message of a command line that is an error, in one line."""
    status = draw_training(*arguments)
    output = capsys.readouterr()
    assert output.err.count("\n") == 1 and not output.out
    return status, output.err


def test_figures_are_written_and_named(tmp_path, capsys):
    runs = write_run(tmp_path / "runs" / "al", "name: anchor, gamma: 2.0", metric="PCK@0.2"), write_run(tmp_path / "runs" / "bce")
    out = tmp_path / "out"
    assert draw_training(*runs, "--out", out, "--groups") == 0
    names = [f"{name}.{kind}" for name in ("training", "groups") for kind in ("png", "svg", "pdf")]
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    assert capsys.readouterr().out.splitlines()[-6:] == [f"wrote {out / name}" for name in names]
    height, width = read_image(out / "training.png").shape[:2]
    assert width == 1380 > height, "6.9 inches at 200 dpi"
    assert (out / "groups.pdf").read_bytes().startswith(b"%PDF")
    assert ET.parse(out / "training.svg").getroot().tag.endswith("svg")


def test_groups_are_drawn_only_with_the_option(tmp_path):
    assert draw_training(write_run(tmp_path / "run"), "--out", tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["training.pdf", "training.png", "training.svg"]


def test_the_table_shows_the_best_epoch_and_missing_numbers(tmp_path, capsys, unwritten):
    finished = write_run(tmp_path / "al", "name: anchor, gamma: 2.0", metric="PCK@0.2")
    started = write_run(tmp_path / "bce", rows=ROWS[:1])
    without_pck = write_run(tmp_path / "classifier", "name: ce", columns=("epoch", "loss"))
    assert draw_training(finished, started, without_pck, "--out", tmp_path / "out") == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split("  ")[0] == "run"
    assert [cells(line) for line in lines] == [
        ["al", "anchor, γ = 2", "3", "0.05123", "19.06", "8.75", "2", "PCK@0.2 31.26"],
        ["bce", "BCE", "1", "0.07", "19.06", "19.06", "1", "PCK 3.12"],
        ["classifier", "CE", "3", "0.05123", "-", "-", "-", "-"],
    ]
    starts = [head.index(name) for name in ("loss", "epochs", "best epoch", "best validation")]
    first_words = [lines[0][start:].split()[0] for start in starts]
    assert first_words == ["anchor,", "3", "2", "PCK@0.2"], "columns are aligned with their names"


def test_the_best_epoch_is_the_first_of_equal_ones_and_never_nan(tmp_path, capsys, unwritten):
    nan = float("nan")
    rows = [(*ROWS[0][:5], pck, 1.0, 1.0) for pck in (nan, 20.0, 20.0, 10.0)]
    run = write_run(tmp_path / "a", rows=[(i, *row[1:]) for i, row in enumerate(rows, 1)])
    assert draw_training(run, "--out", tmp_path / "out") == 0
    assert cells(capsys.readouterr().out.splitlines()[1])[-2:] == ["2", "PCK 20.00"]


def test_runs_of_one_name_are_named_by_what_differs_in_their_paths(tmp_path, capsys, monkeypatch, unwritten):
    monkeypatch.chdir(tmp_path)
    for folder in ("a/run", "b/run", "c"):
        write_run(tmp_path / folder)
    assert draw_training("a/run", "b/run/", "c", "--out", "out") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:4]] == ["a/run", "b/run", "c"]
    for folder in ("anchor/seed-0", "bce", "bce/seed-0"):
        write_run(tmp_path / "compared" / folder)
    assert draw_training("compared/anchor/seed-0", tmp_path / "compared/bce/seed-0", "--out", "out") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:3]] == ["anchor", "bce"]
    assert draw_training("compared/bce/seed-0", "compared/anchor/seed-0", "compared/bce", "--out", "out") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:4]] == ["bce/seed-0", "anchor/seed-0", "bce"]
    monkeypatch.chdir(tmp_path / "c")
    assert draw_training(".", "--out", "out") == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("c "), "a folder has a name even where it is called ."


def test_errors_are_one_line_and_nothing_is_written(tmp_path, capsys):
    good = write_run(tmp_path / "good")
    out = ("--out", tmp_path / "out")
    empty = tmp_path / "empty"
    empty.mkdir()
    status, error = error_of(capsys, good, empty, *out)
    assert status == 1 and str(empty) in error and "metrics.csv" in error
    status, error = error_of(capsys, good, f"{good}/", *out)
    assert status == 2 and good in error
    (empty / "metrics.csv").write_text("epoch,loss\n1,half\n")
    status, error = error_of(capsys, empty, *out)
    assert status == 1 and "line 2, column loss: 'half'" in error
    status, error = error_of(capsys, write_run(tmp_path / "classifier", columns=HEADER[:6]), "--groups", *out)
    assert status == 1 and "--groups" in error
    status, error = error_of(capsys, write_run(tmp_path / "nothing", columns=("epoch",)), *out)
    assert status == 1 and "nothing: metrics.csv" in error
    assert not (tmp_path / "out").exists()


def test_classifiers_are_shown_with_their_errors(tmp_path, capsys):
    """Figure 6 of the paper: hard images with and without a warm-up."""
    runs = []
    for name, warm, anchor in (("plain", 0, "background"), ("warm", 1, 0.5)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "metrics.csv").write_text("epoch,loss,hard_images,error\n1,3.2,80,70\n2,2.1,60,45.5\n3,1.9,50,47\n")
        loss = f"name: anchor, gamma: 2.0, warmup_epochs: {warm}, ohem: 1.0, anchor: {anchor}"
        (folder / "config.yaml").write_text(f"loss: {{{loss}}}\nmodel: {{name: resnet20}}\n")
        runs.append(folder)
    assert draw_training(*runs, "--out", tmp_path / "out") == 0
    first, second, *_ = capsys.readouterr().out.splitlines()[1:]
    assert cells(second)[1] == "anchor, γ = 2, of 0.5"
    assert cells(first) == ["plain", "anchor, γ = 2", "3", "1.9", "80.00", "50.00", "2", "error 45.50"]
    svg = (tmp_path / "out" / "training.svg").read_text()
    assert all(text in svg for text in ("hard images (%)", "validation error (%)", "warm-up with softmax CE", "resnet20"))
    assert "PCK" not in svg


# comparison


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
