"""`posekit prepare`."""

from pathlib import Path

import pytest

from posekit.cli.prepare import main
from posekit.datasets import open_people
from posekit.models import ModelInfo
from posekit.skeletons import MPII16


def test_writes_a_set_that_the_loader_reads_and_says_where(tmp_path, capsys):
    out = tmp_path / "set"
    assert main(["synthetic", "--out", str(out), "--people", "5", "--seed", "7", "--workers", "1"], prog="posekit prepare") == 0
    assert len(open_people("mpii", out)) == 5
    assert str(out) in capsys.readouterr().out


def test_writes_lspet(tmp_path):
    assert main(["synthetic", "--out", str(tmp_path / "set"), "--people", "3", "--format", "lspet", "--workers", "1"]) == 0
    assert open_people("lsp", tmp_path / "set").name == "lspet"


def test_a_folder_with_another_set_is_an_error_of_one_line(tmp_path, capsys):
    out = str(tmp_path / "set")
    main(["synthetic", "--out", out, "--people", "2", "--workers", "1"])
    capsys.readouterr()
    assert main(["synthetic", "--out", out, "--people", "3"], prog="posekit prepare") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "people 2" in error
    assert "choose another folder" in error


@pytest.mark.parametrize(
    "argv", [[], ["synthetic"], ["synthetic", "--out", "x", "--people", "many"], ["synthetic", "--out", "x", "--format", "coco"]]
)
def test_a_wrong_command_line_exits_with_2(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv, prog="posekit prepare")
    assert stop.value.code == 2
    assert "usage: posekit prepare" in capsys.readouterr().err


def test_people_out_of_range_exits_with_2(tmp_path, capsys):
    assert main(["synthetic", "--out", str(tmp_path / "set"), "--people", "0"]) == 2
    assert "0 people" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--help"], ["synthetic", "--help"]])
def test_help_teaches(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv, prog="posekit prepare")
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "synthetic" in text
    if argv[0] == "synthetic":
        assert "posekit prepare synthetic --out" in text
        assert "--split random" in text


def test_convert_weights_says_what_it_wrote(tmp_path, monkeypatch, capsys):
    asked = []

    def convert(source, target):
        asked.append((source, target))
        return ModelInfo(MPII16, 256, 2, 256, 4, "linear", (0, 0, 0), (1, 1, 1))

    monkeypatch.setattr("posekit.cli.prepare.convert_weights", convert)
    assert main(["convert-weights", "hg.pth.tar", "hg.safetensors"]) == 0
    assert asked == [(Path("hg.pth.tar"), Path("hg.safetensors"))]
    assert "hg.safetensors: 2 stacks of 256 features, 16 joints, 256 px" in capsys.readouterr().out


def test_convert_weights_of_something_else(tmp_path, capsys):
    (tmp_path / "notes.pth").write_text("no checkpoint")
    assert main(["convert-weights", str(tmp_path / "notes.pth"), str(tmp_path / "w.safetensors")], prog="posekit prepare") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "notes.pth" in error
    assert not (tmp_path / "w.safetensors").exists()
