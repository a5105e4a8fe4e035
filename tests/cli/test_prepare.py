"""`posekit prepare`."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from posekit.cli.prepare import main
from posekit.data import open_people
from posekit.images import read_image
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


@pytest.mark.parametrize("argv", [["--help"], ["synthetic", "--help"], ["check", "--help"], ["convert", "--help"]])
def test_help_teaches(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv, prog="posekit prepare")
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert argv[0].removeprefix("--help") in text
    if argv[0] != "--help":
        assert "examples:\n  " in text
        assert f"posekit prepare {argv[0]} --" in text
        assert "what is written:" in text


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


# check


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A rendered LSPET of 40 people."""
    folder = tmp_path_factory.mktemp("rendered") / "set"
    assert main(["synthetic", "--out", str(folder), "--people", "40", "--format", "lspet", "--workers", "1"]) == 0
    return folder


@pytest.fixture
def rendered_copy(rendered, tmp_path):
    return shutil.copytree(rendered, tmp_path / "copy")


def test_check_prints_a_line_for_each_finding_and_draws_persons(rendered, tmp_path, capsys):
    assert main(["check", "--data", "lsp", "--root", str(rendered), "--out", str(tmp_path)], prog="posekit prepare") == 0
    printed = capsys.readouterr()
    lines = printed.out.split("\n\n")[0].splitlines()
    assert {line.split()[0] for line in lines} == {"OK", "LOOK"}
    assert "OK    train  people              40" in lines  # not the published 10,000, as it is a rendered set
    assert f"wrote {tmp_path / 'check.png'}" in printed.out
    assert printed.err == ""
    assert read_image(tmp_path / "check.png").shape[1] > 1000


def test_check_with_photographs_missing_exits_with_1(rendered_copy, tmp_path, capsys):
    for path in list((rendered_copy / "images").iterdir())[3:]:
        path.unlink()
    assert main(["check", "--data", "lsp", "--root", str(rendered_copy), "--out", str(tmp_path)], prog="posekit prepare") == 1
    printed = capsys.readouterr()
    assert "BAD   train  images              40, of which 37 missing" in printed.out
    assert (tmp_path / "check.png").exists()
    assert printed.err.count("\n") == 1
    assert "1 of 10 findings are BAD" in printed.err


def test_check_without_any_photograph_says_that_nobody_is_drawn(rendered_copy, tmp_path, capsys):
    shutil.rmtree(rendered_copy / "images")
    assert main(["check", "--data", "lsp", "--root", str(rendered_copy), "--out", str(tmp_path)]) == 1
    assert "no photograph can be read: nobody is drawn" in capsys.readouterr().out
    assert not (tmp_path / "check.png").exists()


def test_check_draws_others_where_a_photograph_is_truncated(rendered_copy, tmp_path, capsys):
    for path in sorted((rendered_copy / "images").iterdir())[5:]:
        path.write_bytes(path.read_bytes()[:2000])
    assert main(["check", "--data", "lsp", "--root", str(rendered_copy), "--out", str(tmp_path)]) == 0
    assert "truncated" in capsys.readouterr().out
    assert (tmp_path / "check.png").exists()


def test_check_of_given_splits_looks_whether_they_share_photographs(rendered, tmp_path, capsys):
    argv = ["check", "--data", "lsp", "--root", str(rendered), "--out", str(tmp_path)]
    assert main([*argv, "--split", "random:0.5:1", "random-rest:0.5:1"]) == 0
    assert "OK    random:0.5:1, random-rest:0.5:1  splits apart        0 images are in both" in capsys.readouterr().out
    assert main([*argv, "--split", "random:0.5:1", "all"]) == 1
    assert "BAD   random:0.5:1, all  splits apart        20 images are in both" in capsys.readouterr().out


def test_check_writes_into_a_folder_named_for_the_data(rendered, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["check", "--data", "lsp", "--root", str(rendered)])
    assert (tmp_path / "runs" / "check-lsp-set" / "check.png").exists()


def test_check_of_a_set_of_which_a_split_cannot_be_read(real_data, tmp_path, capsys):
    shutil.copy(real_data / "mpii" / "annot" / "valid.h5", tmp_path)
    assert main(["check", "--data", "mpii", "--root", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr().out
    assert "BAD   train  people              " in printed
    assert "expected one of" in printed
    assert "OK    valid  people              2,958; as many as published" in printed


def test_check_of_a_folder_without_annotation_is_an_error_of_one_line(tmp_path, capsys):
    assert main(["check", "--data", "lsp", "--root", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "joints.mat: no such file" in error


# convert


def test_convert_to_coco_says_what_it_wrote(rendered, tmp_path, capsys):
    out = tmp_path / "people.json"
    assert main(["convert", "--data", "lsp", "--root", str(rendered), "--to", "coco", "--out", str(out)]) == 0
    assert f"{out}: 40 persons of lspet all" in capsys.readouterr().out
    read, truth = open_people("coco", out), open_people("lsp", rendered)
    np.testing.assert_allclose(read.joints, truth.joints, rtol=0, atol=1e-6)
    assert all(image["width"] for image in json.loads(out.read_text())["images"])


def test_convert_warns_of_photographs_without_a_size(rendered_copy, tmp_path, capsys):
    (rendered_copy / "images" / "im00007.jpg").unlink()
    out = str(tmp_path / "people.json")
    assert main(["convert", "--data", "lsp", "--root", str(rendered_copy), "--to", "coco", "--out", out]) == 0
    assert "warning: 1 photographs cannot be read: their width and height are 0" in capsys.readouterr().out


def test_convert_mpii_to_h5(tmp_path, capsys):
    main(["synthetic", "--out", str(tmp_path / "set"), "--people", "5", "--workers", "1"])
    argv = ["convert", "--data", "mpii", "--root", str(tmp_path / "set"), "--to", "h5", "--out", str(tmp_path / "train.h5")]
    assert main(argv) == 0
    assert "5 persons of mpii all" in capsys.readouterr().out
    read, truth = open_people("mpii", tmp_path / "train.h5"), open_people("mpii", tmp_path / "set")
    np.testing.assert_allclose(read.joints, truth.joints, rtol=0, atol=1e-6)
    np.testing.assert_allclose(read.head_sizes, truth.head_sizes)


@pytest.mark.parametrize(
    ("to", "name", "status", "message"),
    [
        ("h5", "a.h5", 2, "HDF5 holds MPII's 16 joints"),
        ("coco", "a.h5", 2, "must end in .json"),
        ("coco", "old.json", 1, "is there already"),
    ],
)
def test_convert_refuses_with_the_reason(rendered, tmp_path, capsys, to, name, status, message):
    (tmp_path / "old.json").write_text("precious")
    argv = ["convert", "--data", "lsp", "--root", str(rendered), "--to", to, "--out", str(tmp_path / name)]
    assert main(argv, prog="posekit prepare") == status
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]
    assert (tmp_path / "old.json").read_text() == "precious"


def test_converts_mpiis_mat_to_coco_without_losing_anything(tmp_path):
    assert main(["synthetic", "--out", str(tmp_path / "set"), "--people", "6", "--workers", "1"]) == 0
    out = tmp_path / "set" / "people.json"
    assert main(["convert", "--data", "mpii", "--root", str(tmp_path / "set"), "--to", "coco", "--out", str(out)]) == 0
    mat, coco = open_people("mpii", tmp_path / "set"), open_people("coco", out)
    assert coco.skeleton == MPII16
    for column in ("joints", "centres", "sides", "head_sizes"):
        np.testing.assert_allclose(getattr(coco, column), getattr(mat, column), atol=1e-6)
    np.testing.assert_array_equal(coco.labelled, mat.labelled)
    np.testing.assert_array_equal(coco.visible, mat.visible)
