import json
import shutil
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from posekit.cli.eval import main
from posekit.data import open_people
from posekit.prediction.test_time import PLAIN, PYRAMID, TestTimeAugmentation
from posekit.scoring.io.files import read_predictions, write_predictions
from posekit.scoring.io.predictions import Predictions
from posekit.scoring.mean_pose import mean_pose

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
    assert lines[0].endswith("valid-ours.h5: pixels count from 1, given")
    printed = dict(zip(lines[4].split(), map(float, lines[5].split()), strict=True))
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
    assert lines[8].startswith("mean, plain over 14 kinds of joint") and lines[8].split("95 %")[0].split()[-1] == "87.56"
    data = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert data["pooled_mean"] == pytest.approx(88.035, abs=0.001) and data["protocol"]["predictions_base"] == 1
    assert data["n_persons"] == 2958 and data["weights"] is None


def test_what_it_writes_can_be_scored_again(real_data, capsys):
    tompson = real_data / "mpii" / "annot" / "detections_our_format.mat"
    assert mpii_eval(real_data, "--predictions", tompson, "--base", 1, "--out", "out") == 0
    first = capsys.readouterr().out
    assert " 82.34 " in first and " 81.46" in first
    assert mpii_eval(real_data, "--predictions", "out/predictions.h5") == 0
    second = capsys.readouterr().out.splitlines()
    assert second[0] == "out/predictions.h5: pixels count from 0, stated by the file or its format"
    assert second[1:-1] == first.splitlines()[1:-1]


def test_without_the_base_it_is_detected_and_told(real_data, tmp_path, capsys):
    assert mpii_eval(real_data, "--predictions", real_data / "mpii" / "predictions" / "valid-ours.h5", "--out", "out") == 0
    assert "valid-ours.h5: pixels count from 1, as detected: AUC 59.69, against 59.50 if from 0" in capsys.readouterr().out
    protocol = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))["protocol"]
    assert protocol["predictions_base"] == 1 and protocol["predictions_base_source"] == "detected on the truth"


def test_a_base_that_the_scores_do_not_tell_must_be_given(real_data, capsys):
    with h5py.File("rubbish.h5", "w") as rubbish:
        rubbish["preds"] = np.random.default_rng(0).uniform(0, 900, (2958, 16, 2))
    assert mpii_eval(real_data, "--predictions", "rubbish.h5") == 1
    error = capsys.readouterr().err
    assert "Give --base 1" in error and error.count("\n") == 1 and "Traceback" not in error


@pytest.fixture
def published(real_data):
    """The hourglass authors' predictions, and Tompson et al.'s as pytorch-pose would store them."""
    file = loadmat(real_data / "mpii" / "annot" / "detections_our_format.mat", variable_names=["pos_pred_src"])
    savemat("tompson.mat", {"preds": file["pos_pred_src"].transpose(2, 0, 1)})
    return str(real_data / "mpii" / "predictions" / "valid-ours.h5"), "tompson.mat"


def test_two_files_are_compared_as_a_pair_and_the_numbers_kept(real_data, published, tmp_path, capsys):
    ours, theirs = published
    assert mpii_eval(real_data, "--predictions", ours, "--against", theirs, "--base", 1, "--analyse", "--oks", "--out", "out") == 0
    text = capsys.readouterr().out
    assert "A (valid-ours.h5) and B (tompson.mat)" in text and "+5.70   +5.23 to +6.16" in text
    assert text.count("kinds of error in percent") == 2 and "AP75" in text
    data = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert data["comparison"]["predictions_base"] == 1 and data["comparison"]["predictions"] == "tompson.mat"
    assert data["comparison"]["first_minus_second"]["Mean"]["difference"] == pytest.approx(5.6987, abs=0.001)
    assert data["analysis"]["tompson.mat"]["persons_mirrored"] == 84 and data["oks"]["persons"] == 2958
    assert (tmp_path / "out" / "analysis" / "diagnosis.csv").is_file()


def test_where_both_tell_peaks_they_are_asked_about_the_same_double_maps(real_data, lsp, tmp_path, capsys):
    for name, missed in (("a.h5", 0), ("b.h5", 10)):  # of 1,000 heads whose maps are double in both, b.h5 misses 10
        peaks = np.repeat(lsp.joints[:, :, None], 2, axis=2)
        heights = np.full(peaks.shape[:3], [0.9, np.nan])
        peaks[:, 13, 1] += 1000
        heights[:, 13, 1] = 0.8
        peaks[:missed, 13] = peaks[:missed, 13, ::-1]
        write_predictions(
            name, Predictions(peaks[:, :, 0], heights[..., 0], np.arange(1000), lsp.skeleton, peaks=peaks, heights=heights)
        )
    assert lsp_eval(real_data, "--predictions", "a.h5", "--against", "b.h5", "--analyse", "--out", "out") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("both"))
    assert line.split()[:6] == ["both", "(1,000", "joints)", "100.00", "99.00", "+1.00"]
    found = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))["comparison"]["on_double_maps"]
    assert found["both"]["joints"] == 1000 and found["both"]["second"] == 99 and found["neither"]["difference"] == 0


def test_files_of_one_name_in_folders_of_one_name_are_told_apart(real_data, stored, tmp_path, capsys):
    for model in ("mse", "bce"):
        folder = tmp_path / model / "seed-0"
        folder.mkdir(parents=True)
        shutil.copy(stored, folder / "predictions.h5")
    assert lsp_eval(real_data, "--predictions", "mse/seed-0/predictions.h5", "--against", "bce/seed-0/predictions.h5") == 0
    assert "A (mse) and B (bce)" in capsys.readouterr().out


def test_protocols_are_told_side_by_side_and_kept(real_data, published, tmp_path, capsys):
    assert mpii_eval(real_data, "--predictions", published[1], "--base", 1, "--protocols", "--out", "out") == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if "pooled over all 16" in line]
    assert lines[0][0] == "71.524"
    rows = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))["conventions"]
    assert {"pytorch-pose", "later mmpose, as PCKh@0.1"} <= {row["used_by"] for row in rows} and len(rows) == 12


def test_predictions_are_saved_in_every_form_and_score_alike(real_data, published, capsys):
    saved = ["--save", "a.json", "--save", "a.csv", "--save", "a.mat", "--save", "a.h5"]
    assert mpii_eval(real_data, "--predictions", published[1], "--base", 1, *saved) == 0
    first = capsys.readouterr().out.splitlines()
    assert first[-1] == "wrote a.json, a.csv, a.mat, a.h5"
    for name in ("a.json", "a.h5"):
        assert mpii_eval(real_data, "--predictions", name) == 0
        assert capsys.readouterr().out.splitlines()[2:-1] == first[2:-1]


def test_another_threshold_and_another_size(real_data, published, capsys):
    assert mpii_eval(real_data, "--predictions", published[1], "--base", 1, "--threshold", 0.11) == 0
    assert capsys.readouterr().out.splitlines()[2].startswith("PCKh@0.11 in percent")
    assert mpii_eval(real_data, "--predictions", published[1], "--base", 1, "--normalise", "torso") == 0
    assert capsys.readouterr().out.splitlines()[2].startswith("PCK@0.2 in percent, mpii valid, 2,875")
    assert lsp_eval(real_data, "--predictions", published[1], "--base", "1", "--normalise", "head") == 1
    assert "lsp14" in capsys.readouterr().err


def test_a_file_against_itself_is_refused(real_data, stored, capsys):
    assert lsp_eval(real_data, "--predictions", stored, "--against", stored) == 2
    assert "is the file that is scored" in capsys.readouterr().err


def test_what_is_compared_with_is_not_overwritten(real_data, predictor, stored, tmp_path, capsys):
    before = (tmp_path / stored).read_bytes()
    assert lsp_eval(real_data, "--weights", "w.safetensors", "--against", stored, "--save", stored, "--out", "out") == 2
    assert "would be overwritten before it is compared with" in capsys.readouterr().err
    assert (tmp_path / stored).read_bytes() == before


def test_what_cannot_be_scored_replaces_nothing(real_data, stored, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "predictions.h5").write_bytes(b"of another run")
    argv = ["--data", "lsp", "--root", str(real_data / "lsp"), "--split", "train", "--predictions", stored, "--out", "out"]
    assert main(argv) == 1
    assert (tmp_path / "out" / "predictions.h5").read_bytes() == b"of another run"


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--against", "absent.h5"], 1, "absent.h5"),
        (["--save", "p.xlsx"], 1, "predictions are written as .h5, .json, .csv, .mat"),
    ],
)
def test_what_cannot_be_done_is_found_before_the_work(real_data, predictor, options, status, message, capsys):
    predictor.last = None
    assert lsp_eval(real_data, "--weights", "w.safetensors", *options) == status
    assert message in capsys.readouterr().err and predictor.last is None


def test_limit_does_not_hide_that_the_file_is_of_other_people(real_data, capsys):
    with h5py.File("long.h5", "w") as file:
        file["preds"] = np.ones((1001, 14, 2))
    assert lsp_eval(real_data, "--predictions", "long.h5", "--base", "0", "--limit", "10") == 1
    assert "long.h5: has a person 1000, but lsp test has 1000" in capsys.readouterr().err


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
        self.choices = {"decode": options["decode"], "views": str(options["views"])}
        type(self).last = self

    def predict_people(self, people, *, progress):
        predictions = mean_pose(people, people)
        predictions.joints[:] = people.joints
        predictions.joints[0] = np.nan
        return predictions


@pytest.fixture
def predictor(monkeypatch):
    monkeypatch.setattr("posekit.prediction.predictor.load", FakePredictor)
    return FakePredictor


def test_a_model(real_data, predictor, tmp_path, capsys):
    status = lsp_eval(
        real_data, "--weights", "runs/lspet/best.safetensors", "--limit", "10", "--decode", "dark", "--batch-size", "7"
    )
    printed = capsys.readouterr().out
    assert status == 0 and predictor.last.weights == "runs/lspet/best.safetensors"
    others = {"device": "auto", "workers": 0, "backend": "auto", "precision": "no"}
    assert predictor.last.options == {"views": PLAIN, "decode": "dark", "batch_size": 7, **others}
    assert "90.00" in printed and "predicted as NaN, so wrong: 14 of 140 joints" in printed
    out = tmp_path / "runs" / "eval-lspet-best-lsp-test-decode-dark-limit-10"
    assert f"wrote {out.relative_to(tmp_path) / 'predictions.h5'}, " in printed
    data = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert data["pooled_mean"] == 90 and data["weights"] == "runs/lspet/best.safetensors" and data["protocol"]["decode"] == "dark"
    assert data["protocol"]["box_source"].startswith("labelled joints") and data["protocol"]["limit"] == 10
    assert np.isnan(read_predictions(out / "predictions.h5").joints[0]).all()


def test_of_what_comes_with_posekit_the_folder_has_the_name_and_every_choice(real_data, predictor, capsys):
    assert lsp_eval(real_data, "--weights", "lspet-hg2", "--threshold", "0.1", "--precision", "bf16", "--normalise", "torso") == 0
    assert "wrote runs/eval-lspet-hg2-lsp-test-precision-bf16-threshold-0.1-torso/predictions.h5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "views"),
    [
        (["--flip"], TestTimeAugmentation(flip=True)),
        (["--pyramid"], PYRAMID),
        (["--pyramid", "0.9,1,1.2"], TestTimeAugmentation((0.9, 1.0, 1.2), flip=True)),
    ],
)
def test_views_are_chosen_and_named(real_data, predictor, tmp_path, options, views):
    assert lsp_eval(real_data, "--weights", "w.safetensors", "--limit", "3", *options) == 0
    assert predictor.last.options["views"] == views
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.endswith("limit-3-" + "-".join(options).removeprefix("--").replace(",", "-"))
    assert json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["protocol"]["views"] == str(views)


def test_a_base_that_no_file_needs_is_refused(real_data, stored, capsys):
    assert lsp_eval(real_data, "--predictions", stored, "--base", "0") == 2
    assert f"--base 0 would have no effect: {stored} or the format says the base" in capsys.readouterr().err


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
    def lose(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("posekit.cli.eval.score", lose)
    assert lsp_eval(real_data, "--weights", "w.safetensors", "--limit", "3", "--out", "out") == 130
    assert len(read_predictions("out/predictions.h5")) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--weights", "w", "--base", "0"], "--base goes with --predictions"),
        (["--predictions", "p", "--protocols", "--threshold", "0.3"], "--protocols has thresholds and sizes of its own"),
        (["--predictions", "p", "--pyramid"], "--pyramid would have no effect"),
        (["--predictions", "p", "--flip"], "--flip would have no effect"),
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
        (["--predictions", "p", "--threshold", "-0.5"], "expected a number above 0"),
        (["--weights", "w", "--pyramid", "0.8,big"], "'big': expected a number above 0"),
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


def test_mpii_without_head_boxes_says_so(real_data, published, tmp_path, capsys):
    shutil.copy(real_data / "mpii" / "annot" / "mpii_annotations.json.gz", tmp_path)
    argv = ["--data", "mpii", "--root", str(tmp_path), "--split", "valid", "--predictions", published[1], "--base", "1"]
    assert main(argv) == 0
    printed = capsys.readouterr().out
    assert "\nPCK@0.2 in percent" in printed and "holds no head boxes, so the torso is the measure" in printed
    assert main([*argv, "--normalise", "head"]) == 1
    assert "nobody has a head size" in capsys.readouterr().err


def test_limit_holds_for_every_kind_of_file_and_for_both_of_a_pair(real_data, stored, capsys):
    assert lsp_eval(real_data, "--predictions", stored, "--save", "mean.json", "--save", "again.h5") == 0
    capsys.readouterr()
    assert lsp_eval(real_data, "--predictions", "mean.json", "--against", "again.h5", "--limit", "50") == 0
    printed = capsys.readouterr().out
    assert "lsp test, 50 persons" in printed and "+0.00" in printed


def test_people_of_ones_own_skeleton_without_sigmas_are_scored_without_ap(tmp_path, capsys):
    joints = ["left_shoulder", "right_hip", "tail"]
    annotation = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 50], "keypoints": [9, 9, 2, 40, 40, 2, 5, 30, 2]}
        ],
        "categories": [{"id": 1, "name": "hound", "keypoints": joints, "skeleton": []}],
    }
    (tmp_path / "hounds.json").write_text(json.dumps(annotation))
    hounds = open_people("coco", tmp_path / "hounds.json")
    write_predictions(tmp_path / "p.h5", Predictions(hounds.joints, np.ones((1, 3)), np.arange(1), hounds.skeleton))
    argv = ["--data", "coco", "--root", str(tmp_path / "hounds.json"), "--split", "all", "--predictions", "p.h5"]
    assert main(argv) == 0
    assert "100.00" in capsys.readouterr().out
    assert main([*argv, "--oks"]) == 1
    assert "hound has no OKS sigmas" in capsys.readouterr().err
