import json

import numpy as np
import pytest

from benchmarks import main
from benchmarks.ratio import Ratio
from benchmarks.report import describe_run, write_json
from posekit.synthetic.write import write_synthetic


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A rendered MPII of 8 people."""
    folder = tmp_path_factory.mktemp("rendered") / "set"
    return write_synthetic(folder, people=8, seed=0, workers=1, progress=False)


def run(*argv):
    return main([*map(str, argv), "--size", "64", "--rounds", "1", "--device", "cpu"], prog="tools/benchmark.py")


def figures(path):
    return {figure["name"]: figure for figure in json.loads(path.read_text())["figures"]}


def earlier(path, *, settings=None, **ratios):
    """Write the file of an earlier run with these ratios."""
    run = describe_run({"device": "cpu", "size": 64, "batch": 4} | (settings or {}))
    write_json(path, run, [Ratio(name, "a yardstick", values, np.ones(len(values))) for name, values in ratios.items()])
    return path


def test_ratios_are_printed_and_written(rendered, tmp_path, capsys):
    argv = ("--data", "mpii", "--root", rendered, "--people", 6, "--only", "input", "--json", tmp_path / "b.json")
    assert run(*argv) == 0
    (figure,) = figures(tmp_path / "b.json").values()
    assert figure["facts"]["people"] == 6
    assert figure["facts"]["crops"] == 132  # 22 times 6: at least 128
    assert figure["ratio"] == np.median(np.divide(figure["ours"], figure["theirs"]))
    assert figure["met"] == (figure["ratio"] <= 1.1) and figure["target"] == {"ratio": 1.1, "ms": None}
    printed = capsys.readouterr().out
    assert printed.count(f"{figure['ratio']:.2f}") >= 2, "in a line and in the table"
    assert "at most 1.1" in printed.splitlines()[-1]


def test_machine_and_software_are_described(tmp_path, capsys):
    assert run("--only", "scoring", "--json", tmp_path / "b.json") == 0
    written = json.loads((tmp_path / "b.json").read_text())
    machine = written["machine"]
    assert set(machine) == {"processor", "cores", "threads", "gpu"} and machine["cores"] >= 1 and machine["processor"]
    assert {"torch", "opencv", "onnxruntime"} <= set(written["software"])
    assert written["settings"] == {"device": "cpu", "size": 64, "batch": 4}
    assert capsys.readouterr().out.startswith(f"{machine['processor']}, {machine['cores']} cores, ")


def test_parts_come_in_their_own_order_and_the_file_grows_with_them(tmp_path):
    assert run("--only", "scoring", "targets", "decoding", "--json", tmp_path / "b.json") == 0
    assert list(figures(tmp_path / "b.json")) == ["decoding, quarter", "decoding, dark", "scoring", "targets"]


def test_without_images_the_other_parts_are_measured(monkeypatch, capsys):
    measured = []
    parts = {}
    for name in ("input", "loss", "pyramid", "workers"):
        parts[name] = lambda setting, name=name: measured.append(name) or iter(())
    monkeypatch.setattr("benchmarks._PARTS", parts)
    assert run() == 0
    assert measured == ["loss"]
    assert "input, workers, pyramid" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "facts"),
    [
        (("--only", "workers"), ("--only workers", "--root")),
        (("--predictions", "p.h5"), ("--predictions", "--root")),
        (("--only", "scoring", "--against", "missing.json"), ("missing.json", "No such file")),
    ],
)
def test_a_missing_option_or_file_is_an_error_in_one_line(capsys, argv, facts):
    assert run(*argv) != 0
    message = capsys.readouterr().err
    assert all(fact in message for fact in facts) and message.count("\n") == 1


def test_a_size_that_is_no_multiple_of_64_is_an_error(capsys):
    assert main(["--size", "100"], prog="tools/benchmark.py") == 2
    message = capsys.readouterr().err
    assert "--size 100" in message and "64" in message


def test_people_without_images_are_left_out_and_counted(rendered, tmp_path, capsys):
    folder = write_synthetic(tmp_path / "set", people=8, seed=0, workers=1, progress=False)
    sorted((folder / "images").iterdir())[0].unlink()
    argv = ("--data", "mpii", "--root", folder, "--only", "input", "--json", tmp_path / "b.json")
    assert run(*argv) == 0
    people = figures(tmp_path / "b.json")["input, small photographs"]["facts"]["people"]
    assert people < 8
    assert f"{8 - people} of 8 people" in capsys.readouterr().out
    for image in (folder / "images").iterdir():
        image.unlink()
    assert run(*argv) == 1
    message = capsys.readouterr().err
    assert str(folder) in message and "8 people" in message


def test_large_images_are_measured_separately(real_data, tmp_path, capsys):
    argv = ("--data", "mpii", "--root", real_data / "mpii", "--split", "valid", "--only", "input", "--json", tmp_path / "b.json")
    assert run(*argv) == 0
    assert "2,953 of 2,958 people" in capsys.readouterr().out
    small, large = figures(tmp_path / "b.json").values()
    assert (small["name"], small["facts"]["people"], small["target"]["ratio"]) == ("input, small photographs", 1, 1.1)
    assert (large["name"], large["facts"]["people"], large["target"]["ratio"]) == ("input, large photographs", 4, 0.9)
    assert large["facts"]["crops"] == 128 and large["facts"]["photographs"] == "1280x720 px on average"


def test_an_output_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run("--only", "scoring", "--json", tmp_path / "file" / "b.json") == 1
    message = capsys.readouterr().err
    assert str(tmp_path / "file") in message and message.count("\n") == 1


def test_changes_beyond_both_spreads_are_reported(tmp_path, capsys):
    path = earlier(tmp_path / "then.json", **{"targets": [1e6, 1.1e6, 1.2e6], "decoding, dark": [1e-6, 1.1e-6], "gone": [1.0]})
    assert run("--only", "targets", "decoding", "scoring", "--against", path) == 0
    printed = capsys.readouterr().out
    rows = {row.split("  ")[0]: row for row in printed[printed.index("compared with then.json") :].splitlines()}
    assert rows["targets"].endswith("  yes, better") and "  -100 %  " in rows["targets"]
    assert rows["decoding, dark"].endswith("yes, worse")
    assert rows["scoring"].endswith("not measured earlier")
    assert "gone" not in rows
    assert "then.json was measured" not in printed, "the same machine and settings"


def test_no_change_is_reported_within_the_spread(tmp_path, capsys):
    wide = earlier(tmp_path / "then.json", scoring=[1e-6, 1e-6, 1e6, 1e6])
    assert run("--only", "scoring", "--against", wide) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("  no")


def test_another_machine_and_other_settings_are_reported(tmp_path, capsys):
    path = earlier(tmp_path / "then.json", scoring=[1.0], settings={"size": 256, "data": "lsp"})
    written = json.loads(path.read_text())
    written["machine"]["processor"] = "Abacus 3"
    written["software"]["torch"] = "0.1"
    path.write_text(json.dumps(written))
    assert run("--only", "scoring", "--against", path) == 0
    printed = capsys.readouterr().out
    for change in ("processor Abacus 3, now ", "torch 0.1, now ", "size 256, now 64; data lsp, now none"):
        assert change in printed


def written(**figure):
    """Bytes of a file with one ratio."""
    ratio = Ratio("targets", "a yardstick", [1.0], [1.0]).to_dict()
    return json.dumps({**describe_run({}), "figures": [ratio | figure]}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b'{"format": "posekit benchm',
        b"\xff\xfe",
        b"[1, 2]",
        b'{"input": {"ratio": 1.4}}',
        b'{"format": "posekit benchmark 1", "figures": []}',
        written().replace(b"benchmark 1", b"benchmark 0"),
        written(ours=["x"]),
        written(ours=[float("nan")]),
        written(ours=[0]),
        written(ours=[]),
        written(theirs=[0]),
        written(theirs=[1, 2, 3], ours=[1, 2]),
    ],
)
def test_a_damaged_or_foreign_file_is_an_error_before_the_measurements(tmp_path, capsys, content):
    path = tmp_path / "then.json"
    path.write_bytes(content)
    assert run("--only", "scoring", "--against", path) == 1
    printed = capsys.readouterr()
    assert str(path) in printed.err and printed.err.count("\n") == 1
    assert printed.out == ""
