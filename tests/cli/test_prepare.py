"""`posekit prepare`: `synthetic`, `convert-weights`, `check` and `convert`."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from posekit.cli import prepare
from posekit.cli.prepare import main
from posekit.data import open_people
from posekit.data.packing import Packing
from posekit.images import read_image
from posekit.models import ModelInfo
from posekit.skeletons import MPII16


def write_synthetic(folder, *options):
    assert main(["synthetic", "--out", str(folder), "--workers", "1", *options], prog="posekit prepare") == 0
    return folder


def require_one_line(text):
    """Text on stderr, which must be one line."""
    assert text.count("\n") == 1
    return text


def test_parser_names_what_the_modules_that_load_torch_define():
    assert Packing.side == prepare.PACK_SIDE
    assert Packing.margin == prepare.PACK_MARGIN
    assert Packing.quality == prepare.PACK_QUALITY


def test_a_synthetic_set_is_read_by_its_loader_and_named(tmp_path, capsys):
    out = write_synthetic(tmp_path / "set", "--people", "5", "--seed", "7")
    assert len(open_people("mpii", out)) == 5
    assert str(out) in capsys.readouterr().out


def test_synthetic_lspet(tmp_path):
    out = write_synthetic(tmp_path / "set", "--people", "3", "--format", "lspet")
    assert open_people("lsp", out).name == "lspet"


def test_a_folder_with_another_set_is_an_error_of_one_line(tmp_path, capsys):
    out = write_synthetic(tmp_path / "set", "--people", "2")
    capsys.readouterr()
    assert main(["synthetic", "--out", str(out), "--people", "3"], prog="posekit prepare") == 1
    error = require_one_line(capsys.readouterr().err)
    assert str(out) in error and "people 2" in error and "people 3" in error


@pytest.mark.parametrize(
    "argv", [[], ["synthetic"], ["synthetic", "--out", "x", "--people", "many"], ["synthetic", "--out", "x", "--format", "coco"]]
)
def test_a_wrong_command_line_exits_with_2(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv, prog="posekit prepare")
    assert stop.value.code == 2
    assert "usage: posekit prepare" in capsys.readouterr().err


def test_people_out_of_range_exit_with_2(tmp_path, capsys):
    assert main(["synthetic", "--out", str(tmp_path / "set"), "--people", "0"]) == 2
    assert "0 people" in capsys.readouterr().err


def test_help_lists_the_commands(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"], prog="posekit prepare")
    assert stop.value.code == 0
    words = capsys.readouterr().out.split()
    assert {"synthetic", "check", "convert", "pack", "release", "convert-weights"} <= set(words)


@pytest.mark.parametrize("command", ["synthetic", "check", "convert", "pack", "release"])
def test_help_of_a_command_shows_examples_and_files(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"], prog="posekit prepare")
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert f"posekit prepare {command} --" in text.partition("example")[2]
    assert "what is written:" in text


def test_convert_weights_prints_what_it_wrote(monkeypatch, capsys):
    calls = []

    def convert(source, target):
        calls.append((source, target))
        return ModelInfo(MPII16, 256, 2, 256, 4, "linear", (0, 0, 0), (1, 1, 1))

    monkeypatch.setattr("posekit.models.convert_weights", convert)
    assert main(["convert-weights", "hg.pth.tar", "hg.safetensors"]) == 0
    assert calls == [(Path("hg.pth.tar"), Path("hg.safetensors"))]
    assert "hg.safetensors: 2 stacks of 256 features, 16 joints, 256 px" in capsys.readouterr().out


def test_convert_weights_of_another_file_is_an_error_of_one_line(tmp_path, capsys):
    source = tmp_path / "notes.pth"
    source.write_text("no checkpoint")
    assert main(["convert-weights", str(source), str(tmp_path / "w.safetensors")], prog="posekit prepare") == 1
    assert str(source) in require_one_line(capsys.readouterr().err)
    assert not (tmp_path / "w.safetensors").exists()


# check


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A rendered LSPET of 40 people."""
    return write_synthetic(tmp_path_factory.mktemp("rendered") / "set", "--people", "40", "--format", "lspet")


@pytest.fixture
def rendered_copy(rendered, tmp_path):
    return shutil.copytree(rendered, tmp_path / "copy")


def check(root, out, *options):
    argv = ["check", "--data", "lsp", "--root", str(root), "--out", str(out), *options]
    return main(argv, prog="posekit prepare")


def rows(text):
    """Words of the rows of the printed table."""
    table, _, _ = text.partition("\n\n")
    return [line.split() for line in table.splitlines()]


def test_check_prints_a_row_for_each_check_and_draws_people(rendered, tmp_path, capsys):
    assert check(rendered, tmp_path) == 0
    printed = capsys.readouterr()
    table = rows(printed.out)
    assert {row[0] for row in table} == {"OK", "LOOK"}
    assert table[0][:4] == ["OK", "train", "people", "40"]  # not the published 10,000, as it is a rendered set
    assert f"wrote {tmp_path / 'check.png'}" in printed.out
    assert printed.err == ""
    assert read_image(tmp_path / "check.png").shape[1] > 1000


def test_check_with_missing_images_exits_with_1(rendered_copy, tmp_path, capsys):
    for path in list((rendered_copy / "images").iterdir())[3:]:
        path.unlink()
    assert check(rendered_copy, tmp_path) == 1
    printed = capsys.readouterr()
    (bad,) = (row for row in rows(printed.out) if row[0] == "BAD")
    assert bad[1:3] == ["train", "images"] and {"40", "37"} <= set(bad)
    assert (tmp_path / "check.png").exists()
    error = require_one_line(printed.err)
    assert str(rendered_copy) in error and "1 of 10 " in error


def test_check_without_any_image_draws_no_people(rendered_copy, tmp_path, capsys):
    shutil.rmtree(rendered_copy / "images")
    assert check(rendered_copy, tmp_path) == 1
    assert "wrote" not in capsys.readouterr().out
    assert not (tmp_path / "check.png").exists()


def test_check_names_truncated_images_and_draws_others(rendered_copy, tmp_path, capsys):
    for path in sorted((rendered_copy / "images").iterdir())[5:]:
        path.write_bytes(path.read_bytes()[:2000])
    assert check(rendered_copy, tmp_path) == 0
    assert "truncated" in capsys.readouterr().out
    assert (tmp_path / "check.png").exists()


def test_check_of_several_splits_looks_for_shared_images(rendered, tmp_path, capsys):
    assert check(rendered, tmp_path, "--split", "random:0.5:1", "random-rest:0.5:1") == 0
    last_row = rows(capsys.readouterr().out)[-1]
    assert last_row[:6] == ["OK", "random:0.5:1,", "random-rest:0.5:1", "splits", "apart", "0"]
    assert check(rendered, tmp_path, "--split", "random:0.5:1", "all") == 1
    last_row = rows(capsys.readouterr().out)[-1]
    assert last_row[:6] == ["BAD", "random:0.5:1,", "all", "splits", "apart", "20"]


def test_check_writes_into_a_folder_named_for_the_data(rendered, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["check", "--data", "lsp", "--root", str(rendered)])
    assert (tmp_path / "runs" / "check-lsp-set" / "check.png").exists()


def test_check_reports_a_split_that_cannot_be_read(real_data, tmp_path, capsys):
    shutil.copy(real_data / "mpii" / "annot" / "valid.h5", tmp_path)
    assert main(["check", "--data", "mpii", "--root", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    people = [row for row in rows(capsys.readouterr().out) if row[2] == "people"]
    assert [row[:2] for row in people] == [["BAD", "train"], ["OK", "valid"]]
    assert people[1][3] == "2,958,"


def test_check_of_a_folder_without_annotation_is_an_error_of_one_line(tmp_path, capsys):
    assert check(tmp_path, tmp_path / "out") == 1
    assert str(tmp_path / "joints.mat") in require_one_line(capsys.readouterr().err)


# convert


def convert(data, root, form, out):
    argv = ["convert", "--data", data, "--root", str(root), "--to", form, "--out", str(out)]
    return main(argv, prog="posekit prepare")


def test_convert_to_coco_prints_what_it_wrote(rendered, tmp_path, capsys):
    out = tmp_path / "people.json"
    assert convert("lsp", rendered, "coco", out) == 0
    printed = capsys.readouterr().out
    assert f"{out}: 40 people of lspet all" in printed and "warning" not in printed
    np.testing.assert_allclose(open_people("coco", out).joints, open_people("lsp", rendered).joints, rtol=0, atol=1e-6)
    assert all(image["width"] for image in json.loads(out.read_text())["images"])


def test_convert_warns_of_images_without_a_size(rendered_copy, tmp_path, capsys):
    (rendered_copy / "images" / "im00007.jpg").unlink()
    assert convert("lsp", rendered_copy, "coco", tmp_path / "people.json") == 0
    assert "warning: 1 images" in capsys.readouterr().out


@pytest.fixture(scope="module")
def rendered_mpii(tmp_path_factory):
    return write_synthetic(tmp_path_factory.mktemp("rendered") / "set", "--people", "6")


def test_convert_mpii_to_h5(rendered_mpii, tmp_path, capsys):
    out = tmp_path / "train.h5"
    assert convert("mpii", rendered_mpii, "h5", out) == 0
    assert f"{out}: 6 people of mpii all" in capsys.readouterr().out
    people = open_people("mpii", out)
    truth = open_people("mpii", rendered_mpii)
    np.testing.assert_allclose(people.joints, truth.joints, rtol=0, atol=1e-6)
    np.testing.assert_allclose(people.head_sizes, truth.head_sizes)


def test_converts_mpii_to_coco_without_loss(rendered_mpii):
    out = rendered_mpii / "people.json"
    assert convert("mpii", rendered_mpii, "coco", out) == 0
    mat = open_people("mpii", rendered_mpii)
    coco = open_people("coco", out)
    assert coco.skeleton == MPII16
    for column in ("joints", "centres", "sides", "head_sizes"):
        np.testing.assert_allclose(getattr(coco, column), getattr(mat, column), atol=1e-6)
    np.testing.assert_array_equal(coco.labelled, mat.labelled)
    np.testing.assert_array_equal(coco.visible, mat.visible)


@pytest.mark.parametrize(
    ("form", "name", "status", "culprit"),
    [("h5", "a.h5", 2, "16 joints"), ("coco", "a.h5", 2, "a.h5"), ("coco", "old.json", 1, "old.json")],
)
def test_convert_leaves_other_files_unchanged(rendered, tmp_path, capsys, form, name, status, culprit):
    (tmp_path / "old.json").write_text("precious")
    assert convert("lsp", rendered, form, tmp_path / name) == status
    assert culprit in require_one_line(capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]
    assert (tmp_path / "old.json").read_text() == "precious"
