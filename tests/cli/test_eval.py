import json
import sys
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from scipy.io import loadmat

from posekit.cli.eval import main
from posekit.datasets import open_people
from posekit.evaluation import mean_pose
from posekit.predictions import read_predictions, write_predictions

LSP = ("--data", "lsp", "--split", "test")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def lsp(real_data):
    return open_people("lsp", real_data / "lsp", "test")


@pytest.fixture
def stored(lsp, tmp_path):
    """The mean pose of LSP's test people, in a file."""
    write_predictions(tmp_path / "stored.h5", mean_pose(lsp, lsp))
    return "stored.h5"


def lsp_eval(real_data, *options):
    return main([*LSP, "--root", str(real_data / "lsp"), *options])


def mpii_eval(real_data, *options):
    return main(["--data", "mpii", "--root", str(real_data / "mpii"), "--split", "valid", *map(str, options)])


def test_prints_the_reference_figures_of_the_hourglass(real_data, tmp_path, capsys):
    assert (
        mpii_eval(real_data, "--predictions", real_data / "mpii" / "predictions" / "valid-ours.h5", "--base", "1", "--out", "out")
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    printed = dict(zip(lines[2].split(), map(float, lines[3].split()), strict=True))
    # computed with the public evaluation
    reference = {
        "Head": 95.941,
        "Shoulder": 94.684,
        "Elbow": 88.529,
        "Wrist": 83.382,
        "Hip": 87.485,
        "Knee": 83.094,
        "Ankle": 79.050,
    }
    reference["Mean"] = 88.035
    assert printed == pytest.approx(reference, abs=0.01)
    assert "mean, plain over 14 kinds of joint" in lines[6] and lines[6].endswith("87.56")
    data = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert data["pooled_mean"] == pytest.approx(88.035, abs=0.001) and data["protocol"]["predictions_base"] == 1
    assert data["n_persons"] == 2958 and data["weights"] is None


def test_what_it_writes_can_be_scored_again(real_data, capsys):
    file = loadmat(real_data / "mpii" / "annot" / "detections_our_format.mat", variable_names=["pos_pred_src"])
    with h5py.File("tompson.h5", "w") as tompson:
        tompson["preds"] = file["pos_pred_src"].transpose(2, 0, 1)
    assert mpii_eval(real_data, "--predictions", "tompson.h5", "--base", 1, "--out", "out") == 0
    first = capsys.readouterr().out
    assert " 82.34 " in first and " 81.46" in first
    assert mpii_eval(real_data, "--predictions", "out/predictions.h5") == 0
    assert capsys.readouterr().out.splitlines()[:-1] == first.splitlines()[:-1]


def test_without_the_base_it_says_how_to_find_out(real_data, capsys):
    assert mpii_eval(real_data, "--predictions", real_data / "mpii" / "predictions" / "valid-ours.h5") == 1
    error = capsys.readouterr().err
    assert "Give --base 1" in error and error.count("\n") == 1 and "Traceback" not in error


def test_limit_takes_the_first_people_and_keeps_the_input(real_data, stored, tmp_path, capsys):
    assert lsp_eval(real_data, "--predictions", stored, "--limit", "50") == 0
    assert "50 persons" in capsys.readouterr().out and not (tmp_path / "runs").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / stored).rename(tmp_path / "out" / "predictions.h5")
    assert lsp_eval(real_data, "--predictions", "out/predictions.h5", "--limit", "50", "--out", "out") == 0
    assert len(read_predictions("out/predictions.h5")) == 1000
    assert capsys.readouterr().out.splitlines()[-1] == "wrote out/metrics.json"


def test_predictions_for_another_split(real_data, stored, capsys):
    assert main(["--data", "lsp", "--root", str(real_data / "lsp"), "--split", "train", "--predictions", stored]) == 1
    assert "made for split 'test', not for 'train'" in capsys.readouterr().err


class FakePredictor:
    """Answers the truth, shifted out of everything for whoever cannot be read."""

    info = SimpleNamespace(input_size=128)

    def __init__(self, weights, **options):
        self.weights, self.options = weights, options
        type(self).last = self

    def predict_people(self, people, *, progress):
        predictions = mean_pose(people, people)
        predictions.joints[:] = people.joints
        predictions.joints[0] = np.nan
        return predictions


@pytest.fixture
def predictor(monkeypatch):
    monkeypatch.setitem(sys.modules, "posekit.inference", SimpleNamespace(load=FakePredictor))
    return FakePredictor


def test_a_model(real_data, predictor, tmp_path, capsys):
    status = lsp_eval(
        real_data, "--weights", "runs/lspet/best.safetensors", "--limit", "10", "--decode", "dark", "--batch-size", "7"
    )
    printed = capsys.readouterr().out
    assert status == 0 and predictor.last.weights == "runs/lspet/best.safetensors"
    assert predictor.last.options == {"decode": "dark", "device": "auto", "batch_size": 7, "workers": 0}
    assert "90.00" in printed and "predicted as NaN, so wrong: 14 of 140 joints" in printed
    out = tmp_path / "runs" / "eval-lspet-best-lsp-test-decode-dark-limit-10"
    assert f"wrote {out.relative_to(tmp_path) / 'predictions.h5'} and" in printed
    data = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert data["pooled_mean"] == 90 and data["weights"] == "runs/lspet/best.safetensors" and data["protocol"]["decode"] == "dark"
    assert data["protocol"]["box_source"].startswith("labelled joints") and data["protocol"]["limit"] == 10
    assert np.isnan(read_predictions(out / "predictions.h5").joints[0]).all()


def test_the_default_folder_has_no_odd_letters(real_data, predictor, tmp_path):
    options = [
        "--data",
        "lsp",
        "--root",
        str(real_data / "lsp"),
        "--split",
        "random:0.1:0",
        "--weights",
        "w.safetensors",
        "--limit",
        "2",
    ]
    assert main(options) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.endswith("-w-lsp-random-0.1-0-limit-2")


def test_an_output_folder_that_cannot_be_written_is_found_before_the_work(real_data, predictor, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    predictor.last = None
    assert lsp_eval(real_data, "--weights", "w.safetensors", "--out", "file") == 1
    assert "file: cannot be written" in capsys.readouterr().err and predictor.last is None


def test_what_is_predicted_is_kept_when_it_cannot_be_scored(real_data, predictor, tmp_path, monkeypatch):
    def lose(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("posekit.cli.eval.score", lose)
    assert lsp_eval(real_data, "--weights", "w.safetensors", "--limit", "3", "--out", "out") == 130
    assert len(read_predictions("out/predictions.h5")) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--weights", "w", "--base", "0"], "--base goes with --predictions"),
        (["--predictions", "p", "--decode", "dark", "--batch-size", "3"], "--decode, --batch-size would have no effect"),
    ],
)
def test_options_without_effect_are_refused(options, message, capsys):
    assert main([*LSP, "--root", ".", *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "one of the arguments --weights --predictions is required"),
        (["--weights", "w", "--predictions", "p"], "not allowed with"),
        (["--weights", "w", "--limit", "0"], "'0': expected a whole number of at least 1"),
        (["--weights", "w", "--workers", "-1"], "expected a whole number of at least 0"),
        (["--predictions", "p", "--base", "2"], "invalid choice: 2"),
    ],
)
def test_wrong_command_lines(options, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*LSP, "--root", ".", *options])
    assert stop.value.code == 2 and message in capsys.readouterr().err


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"], prog="posekit eval")
    text = capsys.readouterr().out
    assert stop.value.code == 0 and "posekit eval --predictions valid-ours.h5 --base 1 --data mpii" in text
