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
from posekit.synthetic.write import write_synthetic
from posekit.training.config import SourceConfig


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A rendered LSPET of 12 people."""
    folder = tmp_path_factory.mktemp("rendered") / "set"
    return write_synthetic(folder, people=12, seed=0, format="lspet", workers=1, progress=False)


def pack(root, out, *options):
    argv = ["pack", "--data", "lsp", "--root", str(root), "--out", str(out), "--workers", "1", *options]
    return main(argv, prog="posekit prepare")


def test_prints_what_it_wrote(rendered, tmp_path, capsys):
    assert pack(rendered, tmp_path / "a.h5") == 0
    printed = capsys.readouterr().out
    size = (tmp_path / "a.h5").stat().st_size / 1e6
    assert printed == f"{tmp_path / 'a.h5'}: 12 people of lspet all, {size:.1f} MB (JPEG 95, 608 px, margin 1.77)\n"
    people = open_people("packed", tmp_path / "a.h5")
    np.testing.assert_array_equal(people.joints, open_people("lsp", rendered).joints)
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_options_reach_the_file(rendered, tmp_path, capsys):
    options = ("--split", "random:0.5:1", "--side", "200", "--margin", "1.9", "--raw", "--part-size", "400kB")
    assert pack(rendered, tmp_path / "a.h5", *options) == 0
    assert "(raw pixels, 200 px, margin 1.9)" in capsys.readouterr().out
    parts = sorted(tmp_path.iterdir())
    assert parts[0].name == "a-000.h5"
    assert len(parts) > 1
    assert max(part.stat().st_size for part in parts) <= 400_000
    people = open_people("packed", tmp_path / "a.h5")
    np.testing.assert_array_equal(people.joints, open_people("lsp", rendered, "random:0.5:1").joints)


def test_official_splits_are_packed(rendered, tmp_path):
    pack(rendered, tmp_path / "a.h5")
    assert len(open_people("packed", tmp_path / "a.h5", "train")) == 12
    half = open_people("packed", tmp_path / "a.h5", "random:0.5:1")
    rest = open_people("packed", tmp_path / "a.h5", "random-rest:0.5:1")
    np.testing.assert_array_equal(half.joints, open_people("lsp", rendered, "random:0.5:1").joints)
    assert len(half) + len(rest) == 12
    assert SourceConfig("packed", "a.h5", "random:0.5:1").data == "packed"


def test_predictions_score_the_same_on_packed_people(rendered, tmp_path, capsys):
    pack(rendered, tmp_path / "a.h5")
    truth = open_people("lsp", rendered)
    joints = truth.joints + np.random.default_rng(0).normal(0, 15, truth.joints.shape)
    predictions = Predictions(joints, np.ones(joints.shape[:2]), np.arange(12), truth.skeleton)
    write_predictions(tmp_path / "p.h5", predictions)
    expected = score(truth, predictions)
    packed = score(open_people("packed", tmp_path / "a.h5"), predictions)
    assert 0 < expected.pooled_mean < 100
    assert packed.pooled_mean == expected.pooled_mean and packed.groups == expected.groups
    argv = ["--data", "packed", "--root", str(tmp_path / "a.h5"), "--split", "all", "--predictions", str(tmp_path / "p.h5")]
    assert evaluate([*argv, "--out", str(tmp_path)]) == 0
    assert f"{expected.pooled_mean:.2f}" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
def test_a_killed_run_leaves_no_worker_and_can_be_resumed(real_data, tmp_path):
    argv = ["pack", "--data", "lsp", "--root", str(real_data / "lspet"), "--split", "random:0.2:1", "--workers", "2", "--out"]
    read_end, write_end = os.pipe()
    code = f"from posekit.cli.prepare import main; main({[*argv, str(tmp_path / 'a.h5')]!r})"
    process = subprocess.Popen([sys.executable, "-c", code], pass_fds=[write_end])
    os.close(write_end)
    people = tmp_path / "a.h5.unfinished" / "people.jsonl"
    while not (people.exists() and people.stat().st_size > 10_000):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert select.select([read_end], [], [], 60)[0], "workers still hold the pipe"
    assert os.read(read_end, 1) == b""
    os.close(read_end)
    assert not (tmp_path / "a.h5").exists()
    for name in ("a.h5", "b.h5"):
        assert main([*argv, str(tmp_path / name)]) == 0
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_images_that_cannot_be_read_are_an_error_of_one_line(rendered, tmp_path, capsys):
    (tmp_path / "joints.mat").write_bytes((rendered / "joints.mat").read_bytes())
    assert pack(tmp_path, tmp_path / "a.h5") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "1 of 12 " in error
    assert not (tmp_path / "a.h5").exists()


@pytest.mark.parametrize(
    ("options", "culprit"),
    [
        (("--side", "4"), "side 4"),
        (("--margin", "0.5"), "margin 0.5"),
        (("--quality", "101"), "quality 101"),
        (("--part-size", "70kB"), "70,000 bytes"),
        (("--split", "half"), "'half'"),
    ],
)
def test_values_out_of_range_are_named_in_one_line(rendered, tmp_path, capsys, options, culprit):
    assert pack(rendered, tmp_path / "a.h5", *options) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert culprit in error
    assert not (tmp_path / "a.h5").exists()


def test_a_name_without_h5_is_an_error(rendered, tmp_path, capsys):
    assert pack(rendered, tmp_path / "a.hdf5") == 2
    assert str(tmp_path / "a.hdf5") in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_not_overwritten(rendered, tmp_path, capsys):
    (tmp_path / "a.h5").write_text("precious")
    assert pack(rendered, tmp_path / "a.h5") == 1
    assert str(tmp_path / "a.h5") in capsys.readouterr().err
    assert (tmp_path / "a.h5").read_text() == "precious"


@pytest.mark.parametrize(
    "options", [("--part-size", "60TB"), ("--part-size", "1.5MB"), ("--raw", "--quality", "90"), ("--side", "no")]
)
def test_a_wrong_command_line_exits_with_2(rendered, tmp_path, capsys, options):
    with pytest.raises(SystemExit) as stop:
        pack(rendered, tmp_path / "a.h5", *options)
    assert stop.value.code == 2
    assert options[0] in capsys.readouterr().err.splitlines()[-1]
