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
from posekit.scoring.io.predictions import Predictions, mean_pose

LSP = ("--data", "lsp", "--split", "test")


@pytest.fixture(autouse=True)
def work_in_tmp_path(tmp_path, monkeypatch):
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


def read_metrics(folder):
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


@pytest.fixture
def hourglass(real_data):
    """The hourglass authors' predictions."""
    return str(real_data / "mpii" / "predictions" / "valid-ours.h5")


@pytest.fixture
def tompson(real_data):
    """Tompson et al.'s predictions, as pytorch-pose would store them."""
    file = loadmat(real_data / "mpii" / "annot" / "detections_our_format.mat", variable_names=["pos_pred_src"])
    savemat("tompson.mat", {"preds": file["pos_pred_src"].transpose(2, 0, 1)})
    return "tompson.mat"


def test_prints_the_published_scores_of_the_hourglass(real_data, hourglass, tmp_path, capsys):
    assert mpii_eval(real_data, "--predictions", hourglass, "--base", "1", "--out", "out") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "valid-ours.h5" in lines[0]
    printed = dict(zip(lines[4].split(), map(float, lines[5].split()), strict=True))
    # Computed with the public evaluation.
    reference = {
        "Head": 95.941,
        "Shoulder": 94.684,
        "Elbow": 88.529,
        "Wrist": 83.382,
        "Hip": 87.485,
        "Knee": 83.094,
        "Ankle": 79.050,
        "Mean": 88.035,
    }
    assert printed == pytest.approx(reference, abs=0.01)
    assert "14" in lines[8] and lines[8].split("95 %")[0].split()[-1] == "87.56"
    data = read_metrics(tmp_path / "out")
    assert data["pooled_mean"] == pytest.approx(88.035, abs=0.001)
    assert data["protocol"]["predictions_base"] == 1
    assert data["protocol"]["predictions_base_source"] == "given"
    assert data["n_persons"] == 2958
    assert data["weights"] is None


def test_written_predictions_get_the_same_scores(real_data, capsys):
    published = real_data / "mpii" / "annot" / "detections_our_format.mat"
    assert mpii_eval(real_data, "--predictions", published, "--base", 1, "--out", "out") == 0
    first = capsys.readouterr().out
    assert " 82.34 " in first and " 81.46" in first
    assert mpii_eval(real_data, "--predictions", "out/predictions.h5") == 0
    second = capsys.readouterr().out.splitlines()
    assert "out/predictions.h5" in second[0] and "base 0" in second[0]
    assert second[1:-1] == first.splitlines()[1:-1]


def test_a_missing_base_is_detected(real_data, hourglass, tmp_path, capsys):
    assert mpii_eval(real_data, "--predictions", hourglass, "--out", "out") == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert all(part in line for part in ("valid-ours.h5", "from 1", "59.69", "59.50"))
    protocol = read_metrics(tmp_path / "out")["protocol"]
    assert protocol["predictions_base"] == 1
    assert protocol["predictions_base_source"] == "detected on the truth"


def test_a_base_that_cannot_be_detected_must_be_given(real_data, capsys):
    with h5py.File("random.h5", "w") as file:
        file["preds"] = np.random.default_rng(0).uniform(0, 900, (2958, 16, 2))
    assert mpii_eval(real_data, "--predictions", "random.h5") == 1
    (error,) = capsys.readouterr().err.splitlines()
    assert "random.h5" in error and "--base" in error


def test_a_pair_of_files_is_compared(real_data, hourglass, tompson, tmp_path, capsys):
    options = ["--against", tompson, "--base", 1, "--analyse", "--oks", "--out", "out"]
    assert mpii_eval(real_data, "--predictions", hourglass, *options) == 0
    printed = capsys.readouterr().out
    assert "A (valid-ours.h5) and B (tompson.mat)" in printed
    assert "+5.70   +5.23 to +6.16" in printed
    assert "AP75" in printed
    data = read_metrics(tmp_path / "out")
    assert data["comparison"]["predictions_base"] == 1
    assert data["comparison"]["predictions"] == "tompson.mat"
    assert data["comparison"]["first_minus_second"]["Mean"]["difference"] == pytest.approx(5.6987, abs=0.001)
    assert data["analysis"].keys() == {"valid-ours.h5", "tompson.mat"}
    assert data["analysis"]["tompson.mat"]["persons_mirrored"] == 84
    assert data["oks"]["persons"] == 2958
    assert (tmp_path / "out" / "analysis" / "diagnosis.csv").is_file()


def test_files_with_peaks_are_compared_on_the_same_double_maps(real_data, lsp, tmp_path, capsys):
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
    double_maps = read_metrics(tmp_path / "out")["comparison"]["on_double_maps"]
    assert double_maps["both"]["joints"] == 1000
    assert double_maps["both"]["second"] == 99
    assert double_maps["neither"]["difference"] == 0


def test_files_of_the_same_name_are_named_by_their_folders(real_data, stored, tmp_path, capsys):
    for model in ("mse", "bce"):
        folder = tmp_path / model / "seed-0"
        folder.mkdir(parents=True)
        shutil.copy(stored, folder / "predictions.h5")
    assert lsp_eval(real_data, "--predictions", "mse/seed-0/predictions.h5", "--against", "bce/seed-0/predictions.h5") == 0
    assert "A (mse) and B (bce)" in capsys.readouterr().out


def test_protocols_are_printed_and_written(real_data, tompson, tmp_path, capsys):
    assert mpii_eval(real_data, "--predictions", tompson, "--base", 1, "--protocols", "--out", "out") == 0
    assert "71.524" in capsys.readouterr().out
    conventions = read_metrics(tmp_path / "out")["conventions"]
    assert len(conventions) == 12
    assert {"pytorch-pose", "later mmpose, as PCKh@0.1"} <= {convention["used_by"] for convention in conventions}


def test_every_format_is_saved_and_scores_alike(real_data, tompson, capsys):
    saved = ["--save", "a.json", "--save", "a.csv", "--save", "a.mat", "--save", "a.h5"]
    assert mpii_eval(real_data, "--predictions", tompson, "--base", 1, "--limit", 300, *saved) == 0
    first = capsys.readouterr().out.splitlines()
    assert "a.json, a.csv, a.mat, a.h5" in first[-1]
    for name in ("a.json", "a.h5"):
        assert mpii_eval(real_data, "--predictions", name, "--limit", 300) == 0
        assert capsys.readouterr().out.splitlines()[2:-1] == first[2:-1]


def test_threshold_and_reference_size_can_be_chosen(real_data, tompson, capsys):
    assert mpii_eval(real_data, "--predictions", tompson, "--base", 1, "--threshold", 0.11) == 0
    assert capsys.readouterr().out.splitlines()[2].startswith("PCKh@0.11 ")
    assert mpii_eval(real_data, "--predictions", tompson, "--base", 1, "--normalise", "torso") == 0
    line = capsys.readouterr().out.splitlines()[2]
    assert line.startswith("PCK@0.2 ") and "mpii valid" in line and "2,875" in line
    assert lsp_eval(real_data, "--predictions", tompson, "--base", "1", "--normalise", "head") == 1
    assert "lsp14" in capsys.readouterr().err


def test_a_file_against_itself_is_refused(real_data, stored, capsys):
    assert lsp_eval(real_data, "--predictions", stored, "--against", stored) == 2
    assert f"--against {stored}" in capsys.readouterr().err


def test_the_file_compared_against_is_not_overwritten(real_data, predictor, stored, tmp_path, capsys):
    before = (tmp_path / stored).read_bytes()
    assert lsp_eval(real_data, "--weights", "w.safetensors", "--against", stored, "--save", stored, "--out", "out") == 2
    error = capsys.readouterr().err
    assert stored in error and "--against" in error
    assert (tmp_path / stored).read_bytes() == before


def test_a_file_that_cannot_be_scored_replaces_nothing(real_data, stored, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "predictions.h5").write_bytes(b"of another run")
    argv = ["--data", "lsp", "--root", str(real_data / "lsp"), "--split", "train", "--predictions", stored, "--out", "out"]
    assert main(argv) == 1
    assert (tmp_path / "out" / "predictions.h5").read_bytes() == b"of another run"


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--against", "absent.h5"], 1, "absent.h5"),
        (["--save", "p.xlsx"], 1, "p.xlsx"),
    ],
)
def test_impossible_work_is_refused_before_predicting(real_data, predictor, options, status, message, capsys):
    predictor.last = None
    assert lsp_eval(real_data, "--weights", "w.safetensors", *options) == status
    assert message in capsys.readouterr().err and predictor.last is None


def test_limit_does_not_hide_a_file_of_more_people(real_data, capsys):
    with h5py.File("long.h5", "w") as file:
        file["preds"] = np.ones((1001, 14, 2))
    assert lsp_eval(real_data, "--predictions", "long.h5", "--base", "0", "--limit", "10") == 1
    error = capsys.readouterr().err
    assert "long.h5" in error and error.count("1000") == 2 and "lsp test" in error


def test_limit_scores_the_first_people_and_keeps_the_input(real_data, stored, tmp_path, capsys):
    assert lsp_eval(real_data, "--predictions", stored, "--limit", "50") == 0
    assert " 50 " in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / stored).rename(tmp_path / "out" / "predictions.h5")
    assert lsp_eval(real_data, "--predictions", "out/predictions.h5", "--limit", "50", "--out", "out") == 0
    assert len(read_predictions("out/predictions.h5")) == 1000
    last = capsys.readouterr().out.splitlines()[-1]
    assert "out/metrics.json" in last and "predictions.h5" not in last


def test_predictions_for_another_split_are_refused(real_data, stored, capsys):
    assert main(["--data", "lsp", "--root", str(real_data / "lsp"), "--split", "train", "--predictions", stored]) == 1
    error = capsys.readouterr().err
    assert "'test'" in error and "'train'" in error


class FakePredictor:
    """Predicts the ground truth, but NaN for the first person."""

    info = SimpleNamespace(input_size=128)

    def __init__(self, weights, **options):
        self.weights = weights
        self.options = options
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
    defaults = {"device": "auto", "workers": 0, "backend": "auto", "precision": "no"}
    assert predictor.last.options == {"views": PLAIN, "decode": "dark", "batch_size": 7, **defaults}
    assert "90.00" in printed and "NaN" in printed and "14 of 140" in printed
    out = tmp_path / "runs" / "eval-lspet-best-lsp-test-decode-dark-limit-10"
    assert str(out.relative_to(tmp_path) / "predictions.h5") in printed
    data = read_metrics(out)
    assert data["pooled_mean"] == 90
    assert data["weights"] == "runs/lspet/best.safetensors"
    assert data["protocol"]["decode"] == "dark"
    assert data["protocol"]["box_source"].startswith("labelled joints")
    assert data["protocol"]["limit"] == 10
    assert np.isnan(read_predictions(out / "predictions.h5").joints[0]).all()


def test_the_default_folder_names_the_weights_and_every_choice(real_data, predictor, capsys):
    assert lsp_eval(real_data, "--weights", "lspet-hg2", "--threshold", "0.1", "--precision", "bf16", "--normalise", "torso") == 0
    assert "runs/eval-lspet-hg2-lsp-test-precision-bf16-threshold-0.1-torso/predictions.h5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "views"),
    [
        (["--flip"], TestTimeAugmentation(flip=True)),
        (["--pyramid"], PYRAMID),
        (["--pyramid", "0.9,1,1.2"], TestTimeAugmentation((0.9, 1.0, 1.2), flip=True)),
    ],
)
def test_views_are_chosen_and_in_the_folder_name(real_data, predictor, tmp_path, options, views):
    assert lsp_eval(real_data, "--weights", "w.safetensors", "--limit", "3", *options) == 0
    assert predictor.last.options["views"] == views
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.endswith("limit-3-" + "-".join(options).removeprefix("--").replace(",", "-"))
    assert read_metrics(folder)["protocol"]["views"] == str(views)


def test_a_base_is_refused_for_a_file_that_states_it(real_data, stored, capsys):
    assert lsp_eval(real_data, "--predictions", stored, "--base", "0") == 2
    error = capsys.readouterr().err
    assert "--base 0" in error and stored in error


def test_the_default_folder_has_no_special_characters(real_data, predictor, tmp_path):
    options = ["--data", "lsp", "--root", str(real_data / "lsp"), "--split", "random:0.1:0", "--limit", "2"]
    assert main([*options, "--weights", "w.safetensors"]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.endswith("-w-lsp-random-0.1-0-limit-2")


def test_an_output_folder_that_cannot_be_written_is_refused_before_predicting(real_data, predictor, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    predictor.last = None
    assert lsp_eval(real_data, "--weights", "w.safetensors", "--out", "file") == 1
    assert "file" in capsys.readouterr().err
    assert predictor.last is None


def test_a_models_predictions_are_kept_when_scoring_fails(real_data, predictor, tmp_path, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("posekit.scoring.score.score", interrupt)
    assert lsp_eval(real_data, "--weights", "w.safetensors", "--limit", "3", "--out", "out") == 130
    assert len(read_predictions("out/predictions.h5")) == 3


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--weights", "w", "--base", "0"], "--base"),
        (["--predictions", "p", "--protocols", "--threshold", "0.3"], "--threshold"),
        (["--predictions", "p", "--pyramid"], "--pyramid"),
        (["--predictions", "p", "--flip"], "--flip"),
        (["--predictions", "p", "--backend", "onnx"], "--backend"),
        (["--predictions", "p", "--decode", "dark", "--batch-size", "3"], "--decode, --batch-size"),
    ],
)
def test_options_without_effect_are_refused(options, named, capsys):
    assert main([*LSP, "--root", ".", *options]) == 2
    assert named in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ([], "--weights --predictions"),
        (["--weights", "w", "--predictions", "p"], "--predictions"),
        (["--weights", "w", "--limit", "0"], "'0'"),
        (["--weights", "w", "--workers", "-1"], "'-1'"),
        (["--predictions", "p", "--base", "2"], "2"),
        (["--predictions", "p", "--threshold", "-0.5"], "'-0.5'"),
        (["--weights", "w", "--pyramid", "0.8,big"], "'big'"),
    ],
)
def test_wrong_command_lines_are_refused(options, named, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([*LSP, "--root", ".", *options])
    assert named in capsys.readouterr().err.splitlines()[-1]


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"], prog="posekit eval")
    assert "posekit eval --predictions valid-ours.h5 --base 1 --data mpii" in capsys.readouterr().out


def test_mpii_without_head_boxes_is_scored_by_torso_size(real_data, tompson, tmp_path, capsys):
    shutil.copy(real_data / "mpii" / "annot" / "mpii_annotations.json.gz", tmp_path)
    argv = ["--data", "mpii", "--root", str(tmp_path), "--split", "valid", "--predictions", tompson, "--base", "1"]
    assert main(argv) == 0
    printed = capsys.readouterr().out
    assert "\nPCK@0.2 " in printed
    assert "detections_our_format.mat" in printed


def test_pckh_without_head_sizes_is_refused(real_data, stored, capsys):
    assert lsp_eval(real_data, "--predictions", stored, "--normalise", "head") == 1
    assert "head size" in capsys.readouterr().err


def test_limit_applies_to_every_format_and_to_both_of_a_pair(real_data, stored, capsys):
    assert lsp_eval(real_data, "--predictions", stored, "--save", "mean.json", "--save", "again.h5") == 0
    capsys.readouterr()
    assert lsp_eval(real_data, "--predictions", "mean.json", "--against", "again.h5", "--limit", "50") == 0
    printed = capsys.readouterr().out
    assert "lsp test, 50 " in printed
    assert "+0.00" in printed


def test_people_of_a_custom_skeleton_without_sigmas_are_scored_without_ap(tmp_path, capsys):
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
    error = capsys.readouterr().err
    assert "hound" in error and "sigmas" in error
