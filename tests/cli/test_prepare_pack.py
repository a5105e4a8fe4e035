"""`posekit prepare pack`."""

import os
import select
import subprocess
import sys
import time

import numpy as np
import pytest

from posekit.cli.eval import main as evaluate
from posekit.cli.prepare import main
from posekit.data import open_people
from posekit.scoring.io.files import write_predictions
from posekit.scoring.io.predictions import Predictions
from posekit.scoring.score import score
from posekit.training.config import SourceConfig


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A rendered LSPET of 12 people."""
    folder = tmp_path_factory.mktemp("rendered") / "set"
    assert main(["synthetic", "--out", str(folder), "--people", "12", "--format", "lspet", "--workers", "1"]) == 0
    return folder


def run(rendered, out, *options):
    argv = ["pack", "--data", "lsp", "--root", str(rendered), "--out", str(out), "--workers", "1", *options]
    return main(argv, prog="posekit prepare")


def test_says_what_it_wrote(rendered, tmp_path, capsys):
    assert run(rendered, tmp_path / "a.h5") == 0
    printed = capsys.readouterr().out
    size = (tmp_path / "a.h5").stat().st_size / 1e6
    assert printed == f"{tmp_path / 'a.h5'}: 12 persons of lspet all, {size:.1f} MB (JPEG 95, 608 px, margin 1.77)\n"
    read, truth = open_people("packed", tmp_path / "a.h5"), open_people("lsp", rendered)
    np.testing.assert_array_equal(read.joints, truth.joints)
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_options_reach_the_file(rendered, tmp_path, capsys):
    options = ("--split", "random:0.5:1", "--side", "200", "--margin", "1.9", "--raw", "--part-size", "400kB")
    assert run(rendered, tmp_path / "a.h5", *options) == 0
    assert "(raw pixels, 200 px, margin 1.9)" in capsys.readouterr().out
    parts = sorted(tmp_path.iterdir())
    assert parts[0].name == "a-000.h5"
    assert len(parts) > 1
    assert max(part.stat().st_size for part in parts) <= 400_000
    read, truth = open_people("packed", tmp_path / "a.h5"), open_people("lsp", rendered, "random:0.5:1")
    np.testing.assert_array_equal(read.joints, truth.joints)


def test_official_splits_come_along(rendered, tmp_path):
    run(rendered, tmp_path / "a.h5")
    assert len(open_people("packed", tmp_path / "a.h5", "train")) == 12
    half, rest = (open_people("packed", tmp_path / "a.h5", f"{kind}:0.5:1") for kind in ("random", "random-rest"))
    np.testing.assert_array_equal(half.joints, open_people("lsp", rendered, "random:0.5:1").joints)
    assert len(half) + len(rest) == 12
    assert SourceConfig("packed", "a.h5", "random:0.5:1").data == "packed"


def test_predictions_score_the_same_on_packed_people(rendered, tmp_path, capsys):
    run(rendered, tmp_path / "a.h5")
    truth = open_people("lsp", rendered)
    joints = truth.joints + np.random.default_rng(0).normal(0, 15, truth.joints.shape)
    predictions = Predictions(joints, np.ones(joints.shape[:2]), np.arange(12), truth.skeleton)
    write_predictions(tmp_path / "p.h5", predictions)
    expected = score(truth, predictions)
    read = score(open_people("packed", tmp_path / "a.h5"), predictions)
    assert 0 < expected.pooled_mean < 100
    assert (read.pooled_mean, read.groups) == (expected.pooled_mean, expected.groups)
    argv = ["--data", "packed", "--root", str(tmp_path / "a.h5"), "--split", "all", "--predictions", str(tmp_path / "p.h5")]
    assert evaluate([*argv, "--out", str(tmp_path)]) == 0
    assert f"{expected.pooled_mean:.2f}" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="its workers are forked on Linux only")
def test_a_killed_run_leaves_no_worker_and_goes_on(real_data, tmp_path):
    argv = ["pack", "--data", "lsp", "--root", str(real_data / "lspet"), "--split", "random:0.2:1", "--workers", "2", "--out"]
    ends, begins = os.pipe()
    code = f"from posekit.cli.prepare import main; main({[*argv, str(tmp_path / 'a.h5')]!r})"
    run = subprocess.Popen([sys.executable, "-c", code], pass_fds=[begins])
    os.close(begins)
    people = tmp_path / "a.h5.unfinished" / "people.jsonl"
    while not (people.exists() and people.stat().st_size > 10_000):
        assert run.poll() is None
        time.sleep(0.01)
    run.kill()
    run.wait()
    assert select.select([ends], [], [], 60)[0], "workers still hold the pipe"
    assert os.read(ends, 1) == b""
    os.close(ends)
    assert not (tmp_path / "a.h5").exists()
    for name in ("a.h5", "b.h5"):
        assert main([*argv, str(tmp_path / name)]) == 0
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_a_photograph_without_a_crop_is_an_error_of_one_line(rendered, tmp_path, capsys):
    (tmp_path / "joints.mat").write_bytes((rendered / "joints.mat").read_bytes())
    assert run(tmp_path, tmp_path / "a.h5") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "1 of 12 packed samples cannot be read, more than 1 %" in error
    assert not (tmp_path / "a.h5").exists()


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--side", "4"), 2, "side 4: expected 16 to 16384 pixels"),
        (("--margin", "0.5"), 2, "margin 0.5: expected"),
        (("--quality", "101"), 2, "quality 101"),
        (("--part-size", "70kB"), 2, "part size 70,000 bytes: too small for person 0"),
        (("--split", "half"), 2, "split 'half'"),
    ],
)
def test_refuses_with_the_reason(rendered, tmp_path, capsys, options, status, message):
    assert run(rendered, tmp_path / "a.h5", *options) == status
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "a.h5").exists()


def test_refuses_another_ending_and_a_file_that_is_there(rendered, tmp_path, capsys):
    assert run(rendered, tmp_path / "a.hdf5") == 2
    assert "must end in .h5" in capsys.readouterr().err
    (tmp_path / "a.h5").write_text("precious")
    assert run(rendered, tmp_path / "a.h5") == 1
    assert str(tmp_path / "a.h5") in capsys.readouterr().err
    assert (tmp_path / "a.h5").read_text() == "precious"


@pytest.mark.parametrize(
    "options", [("--part-size", "60TB"), ("--part-size", "1.5MB"), ("--raw", "--quality", "90"), ("--side", "no")]
)
def test_a_wrong_command_line_exits_with_2(rendered, tmp_path, capsys, options):
    with pytest.raises(SystemExit) as stop:
        run(rendered, tmp_path / "a.h5", *options)
    assert stop.value.code == 2
    assert options[0].lstrip("-") in capsys.readouterr().err


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["pack", "--help"], prog="posekit prepare")
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "examples:\n  " in text
    assert "posekit prepare pack --data lsp" in text
    assert "what is written:" in text
