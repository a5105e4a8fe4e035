"""`posekit visualize`: what it writes for photographs and for persons of a data set, and what it refuses."""

import json
import shutil

import numpy as np
import pytest
import torch

from posekit.cli.visualize import main
from posekit.images import read_image
from posekit.models import ModelInfo, save_weights
from posekit.opencv import cv2
from posekit.skeletons import LSP14, MPII16
from posekit.synthetic.write import write_synthetic
from posekit.weights import FOLDER


def save_random(path, skeleton=MPII16, **notes):
    torch.manual_seed(len(str(path)))
    info = ModelInfo(skeleton, 64, 1, 8, 2, "sigmoid", (0.5,) * 3, (0.2,) * 3, notes=notes)
    save_weights(path, info.build(), info)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "epochs"
    return [save_random(folder / f"epoch-000{epoch}.safetensors", epochs=epoch) for epoch in (1, 5)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "synthetic"
    write_synthetic(folder, people=6, seed=0, workers=1, progress=False)
    return "--data", "mpii", "--root", folder, "--split", "all"


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "some one.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8))
    return path


@pytest.fixture
def run(tmp_path, capsys):
    """Runs the command; returns exit status, stdout, stderr and the files written."""

    def run(*arguments):
        out = tmp_path / "figures"
        status = main([*map(str, arguments), "--out", str(out), "--device", "cpu"], prog="posekit visualize")
        shown = capsys.readouterr()
        return status, shown.out, shown.err, sorted(path.name for path in out.glob("*"))

    return run


def test_penalty_of_epochs_side_by_side(run, weights, data, tmp_path):
    status, shown, _, files = run("penalty", *data, "--person", 0, 3, "--weights", *weights, "--joint", "left_wrist", "pelvis")
    assert status == 0 and files == ["person-0.penalty.png", "person-3.penalty.png"]
    assert shown.count("wrote ") == 2
    assert "stand for the truth" not in shown
    narrow = read_image(tmp_path / "figures" / files[0]).shape[1]
    run("penalty", *data, "--person", 0, "--weights", *weights, "--gamma", 1, 2)
    assert read_image(tmp_path / "figures" / files[0]).shape[1] > 1.5 * narrow  # four columns instead of two


def test_penalty_over_everybody_is_told_in_numbers(run, weights, data, tmp_path):
    status, shown, _, files = run("penalty", *data, "--weights", *weights, "--gamma", 3)
    assert status == 0
    plots = [f"penalty-{name}.{kind}" for name in ("opposite", "regions") for kind in ("pdf", "png", "svg")]
    assert files == sorted(["penalty.json", *plots])
    told = json.loads((tmp_path / "figures" / "penalty.json").read_text())
    assert told["models"].keys() == told["weights"].keys() == {"epoch 1", "epoch 5"}
    assert told["models"]["epoch 1"]["gamma"] == 3 and told["models"]["epoch 1"]["n_persons"] == 6
    of_one, of_other = (told["models"][name]["groups"]["All"]["opposite"]["mean_penalty"] for name in told["models"])
    assert told["difference"]["All"]["opposite"]["mean_penalty"]["value"] == pytest.approx(of_one["value"] - of_other["value"])
    assert "A (epoch 1) minus B (epoch 5)" in shown and shown.count("opposite: within the target") == 1
    _, shown, _, _ = run("penalty", *data, "--weights", weights[0], "--limit", 1)
    assert "minus" not in shown and "6 persons" not in shown


def test_the_picture_says_whose_peaks_stand_for_the_truth(run, weights, photo):
    status, shown, _, files = run("penalty", photo, "--weights", *weights)
    assert status == 0 and files == ["some one.penalty.png"]
    assert "some one.png: nothing is known of it, so the peaks of epoch 5 stand for the truth" in shown
    _, shown, _, _ = run("penalty", photo, "--weights", *weights, "--keypoint", "left_wrist=50,40", "--box", "10,10,90,70")
    assert "stand for the truth" not in shown


def test_the_modulator_is_another_view(run, weights, photo):
    assert run("penalty", photo, "--weights", weights[0], "--view", "modulator")[3] == ["some one.modulator.png"]


def test_targets_and_heatmaps(run, weights, photo, data):
    assert run("targets", *data, "--person", 1, "--weights", weights[0])[3] == ["person-1.targets.png"]
    assert f"the peaks of {weights[0].parent.parent.name} stand for the truth" in run("targets", photo, "--weights", weights[0])[1]
    files = run("heatmaps", photo, "--weights", *weights, "--joint", "pelvis")[3]
    assert {"some one.epoch-1.heatmaps.png", "some one.epoch-5.heatmaps.png"} <= set(files)


def test_photographs_of_one_name_do_not_overwrite_each_other(run, weights, photo, tmp_path):
    (tmp_path / "other").mkdir()
    others = [shutil.copy(photo, tmp_path / "other" / name) for name in (photo.name, f"{photo.stem}-2{photo.suffix}")]
    files = run("heatmaps", photo, *others, "--weights", weights[0], "--joint", "pelvis")[3]
    assert files == ["some one-2-2.heatmaps.png", "some one-2.heatmaps.png", "some one.heatmaps.png"]


def test_predictions_of_persons_and_photographs(run, weights, photo, data, tmp_path):
    status, _, _, files = run("predictions", photo, photo, "--weights", *weights)
    assert status == 0 and files == ["predictions.png"]
    status, _, _, files = run("predictions", *data, "--count", 3, "--weights", *weights)
    assert status == 0 and "predictions-mpii.png" in files
    few = read_image(tmp_path / "figures" / "predictions-mpii.png").shape
    run("predictions", *data, "--count", 3, "--pick", "difference", "--weights", *weights)
    assert read_image(tmp_path / "figures" / "predictions-mpii.png").shape == few
    run("predictions", *data, "--person", 5, "--weights", *weights)
    assert read_image(tmp_path / "figures" / "predictions-mpii.png").shape[0] < few[0]


def test_models_are_told_apart_by_what_differs(run, weights, photo, tmp_path):
    others = [save_random(tmp_path / name / "best.safetensors") for name in ("al", "bce")]
    files = run("heatmaps", photo, "--weights", *others, "--joint", "pelvis")[3]
    assert files == ["some one.al.heatmaps.png", "some one.bce.heatmaps.png"]
    files = run("heatmaps", photo, "--weights", *weights, others[0], "--joint", "pelvis")[3]
    assert f"some one.{weights[0].parent.parent.name}-epoch-0001.heatmaps.png" in files


def test_weights_that_come_with_posekit_are_known_by_name(run, photo):
    sheet = ("heatmaps", photo, "--joint", "head_top")
    assert run(*sheet)[3] == ["some one.heatmaps.png"]
    files = run(*sheet, "--weights", "lspet-hg2", "lspet-small")[3]
    assert files == ["some one.heatmaps.png", "some one.lspet-hg2.heatmaps.png", "some one.lspet-small.heatmaps.png"]


def refusals(weights, photo, data, folder):
    one = ("--weights", weights[0])
    return {
        ("penalty", *one): "nobody to look at: give a photograph",
        ("penalty", photo, *data, *one): "not both",
        ("penalty", *data[:2], *one): "all of --data, --root and --split",
        ("penalty", *data, "--view", "modulator", *one): "over a data set all joints are counted, with one --gamma",
        ("penalty", *data, "--gamma", 1, 2, *one): "over a data set all joints are counted, with one --gamma",
        ("penalty", photo, "--limit", 3, *one): "--limit goes with a data set without --person",
        ("targets", *data, *one): "name persons of mpii all with --person: 0 to 5",
        ("targets", *data, "--person", 6, *one): "--person 6: mpii all has persons 0 to 5",
        ("predictions", *data, "--person", 6, *one): "--person 6: mpii all has persons 0 to 5",
        ("targets", photo, "--person", 1, *one): "--person goes with --data",
        ("heatmaps", *data, "--person", 1, "--box", "1,1,5,5", *one): "--box and --keypoint go with photographs",
        ("predictions", *data, "--box", "1,1,5,5", *one): "do not go with a data set",
        ("heatmaps", photo, "--joint", "tail", *one): "has no joint 'tail'; it has right_ankle",
        ("penalty", photo, "--keypoint", "tail=1,2", *one): "has no joint 'tail'",
        ("penalty", photo, "--box", "500,5,20,20", *one): "wholly outside the picture of 120x90",
        ("penalty", folder / "gone.jpg", *one): "gone.jpg",
        ("penalty", "--weights", weights[0], photo): "lspet-small; name photographs before the options",
        ("penalty", photo, "--weights", weights[0], weights[0]): "names a file twice",
        ("penalty", photo, "--weights", "lspet-small", FOLDER / "lspet-small.safetensors"): "names a file twice",
        ("penalty", photo, "--weights", weights[0], save_random(folder / "lsp" / "a.safetensors", LSP14)): "different joints",
        ("penalty", photo, "--weights", folder / "none.safetensors"): "no such weights file",
    }


def test_what_cannot_be_done_is_one_line(run, weights, photo, data, tmp_path):
    for arguments, message in refusals(weights, photo, data, tmp_path).items():
        status, _, error, _ = run(*arguments)
        assert status in (1, 2) and message in error, (arguments, error)
        assert error.count("\n") == 1, error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--keypoint", "left_wrist"), "is not NAME=x,y, such as left_wrist=312,204"),
        (("--keypoint", "left_wrist=1,inf"), "must be finite"),
        (("--gamma", "-1"), "expected a number from 0 to 10"),
        (("--gamma", "nan"), "expected a number from 0 to 10"),
        (("--box", "1,2,3"), "is not x,y,w,h"),
    ],
)
def test_arguments_that_make_no_sense(weights, photo, capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        main(["penalty", str(photo), "--weights", str(weights[0]), *arguments])
    assert caught.value.code == 2 and message in capsys.readouterr().err


@pytest.mark.parametrize("command", ["penalty", "loss", "targets", "predictions", "training", "heatmaps", "explore"])
def test_help_teaches_with_examples(capsys, command):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"], prog="posekit visualize")
    shown = capsys.readouterr().out
    assert caught.value.code == 0 and "examples:" in shown and f"posekit visualize {command} " in shown
