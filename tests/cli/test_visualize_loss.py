"""`posekit visualize loss`."""

import pytest
from PIL import Image

from posekit.cli.visualize import main


def loss(*options):
    return main(["loss", *map(str, options)])


def test_writes_both_figures(tmp_path, capsys):
    out = tmp_path / "new" / "figures"
    assert loss("--out", out) == 0
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
    assert loss("--out", tmp_path, "--gamma", 2, 0, 2.0, "--anchor", 1, 0, 0.5, 1) == 0
    assert drawn == {"curves": ([2, 0], [1, 0, 0.5]), "surface": ([2, 0],)}


@pytest.mark.parametrize("option, maximum", [("--gamma", 10), ("--anchor", 1)])
@pytest.mark.parametrize("value", ["-0.1", "10.5", "nan", "inf", "x"])
def test_wrong_numbers_are_named_with_the_range(option, maximum, value, tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        loss("--out", tmp_path / "out", option, value)
    assert error.value.code == 2
    last_line = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {option}: {value!r}: " in last_line and f"0 to {maximum}" in last_line
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_named_in_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert loss("--out", tmp_path / "file") != 0
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "file") in line
