"""The benchmark's command: what it measures on, what it prints and writes, and how it compares."""

import json

import numpy as np
import pytest

from benchmarks import main
from benchmarks.figure import Measurement
from benchmarks.report import describe_run, write_json
from posekit.synthetic.write import write_synthetic


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A rendered MPII of 8 people."""
    folder = tmp_path_factory.mktemp("rendered") / "set"
    return write_synthetic(folder, people=8, seed=0, workers=1, progress=False)


def run(*argv):
    return main([*map(str, argv), "--size", "64", "--rounds", "1", "--device", "cpu"], prog="posekit benchmark")


def figures(path):
    return {figure["name"]: figure for figure in json.loads(path.read_text())["figures"]}


def earlier(path, *, settings=None, **ratios):
    """Write what an earlier run of the targets may have written."""
    run = describe_run({"device": "cpu", "size": 64, "batch": 4} | (settings or {}))
    write_json(path, run, [Measurement(name, "a yardstick", values, np.ones(len(values))) for name, values in ratios.items()])
    return path


def test_figures_are_told_written_and_put_in_a_table(rendered, tmp_path, capsys):
    argv = ("--data", "mpii", "--root", rendered, "--people", 6, "--only", "input", "--json", tmp_path / "b.json")
    assert run(*argv) == 0
    (figure,) = figures(tmp_path / "b.json").values()
    assert figure["facts"]["people"] == 6
    assert figure["facts"]["crops"] == 132  # 22 times 6: at least 128
    assert figure["ratio"] == np.median(np.divide(figure["ours"], figure["theirs"]))
    assert figure["met"] == (figure["ratio"] <= 1.1) and figure["target"] == {"ratio": 1.1, "ms": None}
    printed = capsys.readouterr().out
    assert printed.count(f"{figure['ratio']:.2f}") >= 2  # in its line and in the table
    assert "at most 1.1" in printed.splitlines()[-1]


def test_the_machine_is_told(tmp_path, capsys):
    assert run("--only", "scoring", "--json", tmp_path / "b.json") == 0
    written = json.loads((tmp_path / "b.json").read_text())
    machine, software = written["machine"], written["software"]
    assert set(machine) == {"processor", "cores", "threads", "gpu"} and machine["cores"] >= 1 and machine["processor"]
    assert {"torch", "opencv", "onnxruntime"} <= set(software)
    assert written["settings"] == {"device": "cpu", "size": 64, "batch": 4}
    assert capsys.readouterr().out.startswith(f"{machine['processor']}, {machine['cores']} cores, ")


def test_parts_come_in_their_own_order_and_the_file_grows_with_them(tmp_path):
    assert run("--only", "scoring", "targets", "decoding", "--json", tmp_path / "b.json") == 0
    assert list(figures(tmp_path / "b.json")) == ["decoding, quarter", "decoding, dark", "scoring", "targets"]


def test_without_photographs_the_other_parts_are_measured(monkeypatch, capsys):
    asked = []
    parts = {name: (lambda setting, name=name: asked.append(name) or iter(())) for name in ("input", "loss", "pyramid", "workers")}
    monkeypatch.setattr("benchmarks._PARTS", parts)
    assert run() == 0
    assert asked == ["loss"]
    assert "input, workers, pyramid and the wait for data are left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv, error",
    [
        (("--only", "workers"), "--only workers needs photographs: give --root DIR"),
        (("--predictions", "p.h5"), "--predictions needs --root DIR"),
        (("--only", "scoring", "--against", "missing.json"), "missing.json: cannot be read (No such file or directory)"),
    ],
)
def test_what_is_lacking_is_told_in_one_line(capsys, argv, error):
    assert run(*argv) != 0
    found = capsys.readouterr().err
    assert error in found and found.count("\n") == 1


def test_a_size_that_the_network_does_not_take_is_refused(capsys):
    assert main(["--size", "100"], prog="posekit benchmark") == 2
    assert "--size 100: the network takes multiples of 64" in capsys.readouterr().err


def test_people_without_photographs_are_left_out_and_counted(rendered, tmp_path, capsys):
    folder = write_synthetic(tmp_path / "set", people=8, seed=0, workers=1, progress=False)
    lost = sorted((folder / "images").iterdir())[0]
    lost.unlink()
    argv = ("--data", "mpii", "--root", folder, "--only", "input", "--json", tmp_path / "b.json")
    assert run(*argv) == 0
    people = figures(tmp_path / "b.json")["input, small photographs"]["facts"]["people"]
    assert people < 8
    assert f"{8 - people} of 8 people are left out: their photographs are not there" in capsys.readouterr().out
    for photograph in (folder / "images").iterdir():
        photograph.unlink()
    assert run(*argv) == 1
    assert "none of the photographs of its 8 people can be read" in capsys.readouterr().err


def test_large_photographs_are_measured_by_themselves(real_data, tmp_path, capsys):
    argv = ("--data", "mpii", "--root", real_data / "mpii", "--split", "valid", "--only", "input", "--json", tmp_path / "b.json")
    assert run(*argv) == 0
    assert "2,953 of 2,958 people are left out" in capsys.readouterr().out
    small, large = figures(tmp_path / "b.json").values()
    assert (small["name"], small["facts"]["people"], small["target"]["ratio"]) == ("input, small photographs", 1, 1.1)
    assert (large["name"], large["facts"]["people"], large["target"]["ratio"]) == ("input, large photographs", 4, 0.9)
    assert large["facts"]["crops"] == 128 and large["facts"]["photographs"] == "1280x720 px on average"


def test_an_output_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run("--only", "scoring", "--json", tmp_path / "file" / "b.json") == 1
    assert "cannot be written" in capsys.readouterr().err


def test_against_an_earlier_run_changes_beyond_both_spreads_are_told(tmp_path, capsys):
    path = earlier(tmp_path / "then.json", **{"targets": [1e6, 1.1e6, 1.2e6], "decoding, dark": [1e-6, 1.1e-6], "gone": [1.0]})
    assert run("--only", "targets", "decoding", "scoring", "--against", path) == 0
    told = capsys.readouterr().out
    rows = {row.split("  ")[0]: row for row in told[told.index("against then.json") :].splitlines()}
    assert rows["targets"].endswith("  yes, better") and "  -100 %  " in rows["targets"]
    assert rows["decoding, dark"].endswith("yes, worse")
    assert rows["scoring"].endswith("not measured then")
    assert "gone" not in rows
    assert "then.json was measured" not in told  # the same machine and settings


def test_against_its_own_figures_nothing_has_changed(tmp_path, capsys):
    wide = earlier(tmp_path / "then.json", scoring=[1e-6, 1e-6, 1e6, 1e6])
    assert run("--only", "scoring", "--against", wide) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("  no")


def test_another_machine_and_other_settings_are_told(tmp_path, capsys):
    path = earlier(tmp_path / "then.json", scoring=[1.0], settings={"size": 256, "data": "lsp"})
    written = json.loads(path.read_text())
    written["machine"]["processor"] = "Abacus 3"
    written["software"]["torch"] = "0.1"
    path.write_text(json.dumps(written))
    assert run("--only", "scoring", "--against", path) == 0
    told = capsys.readouterr().out
    assert "then.json was measured on another machine: processor Abacus 3, now " in told
    assert "then.json was measured with other software: torch 0.1, now " in told
    assert "then.json was measured with other settings: size 256, now 64; data lsp, now none" in told


def written(**figure):
    """Bytes of a file with one figure."""
    figures = [{"name": "targets", "ratio": 1.0, "quartiles": [1.0, 1.0]} | figure]
    return json.dumps({**describe_run({}), "figures": figures}).encode()


@pytest.mark.parametrize(
    "content, error",
    [
        (b'{"format": "posekit benchm', "no JSON, or a damaged file"),
        (b"\xff\xfe", "no JSON, or a damaged file"),
        (b"[1, 2]", "not a benchmark's figures"),
        (b'{"input": {"ratio": 1.4}}', "not a benchmark's figures"),
        (b'{"format": "posekit benchmark 1", "figures": []}', "not a benchmark's figures"),
        (written().replace(b"benchmark 1", b"benchmark 0"), "not a benchmark's figures"),
        (written(ratio="x"), "not a benchmark's figures"),
        (written(ratio=float("nan")), "not a benchmark's figures"),
        (written(ratio=0), "not a benchmark's figures"),
        (written(quartiles=[1]), "not a benchmark's figures"),
    ],
)
def test_a_broken_or_foreign_file_is_one_line_before_anything_is_measured(tmp_path, capsys, content, error):
    (tmp_path / "then.json").write_bytes(content)
    assert run("--only", "scoring", "--against", tmp_path / "then.json") == 1
    found = capsys.readouterr()
    assert error in found.err and found.err.count("\n") == 1
    assert found.out == ""
