"""`posekit visualize`: the files it writes for images and for people of a data set, and the arguments it rejects."""

import json
import shutil

import numpy as np
import pytest
import torch

from posekit.cli.visualize import build_parser, main
from posekit.cli.visualize.people import load_models
from posekit.images import read_image, write_image
from posekit.models import ModelInfo, save_weights
from posekit.skeletons import LSP14, MPII16
from posekit.synthetic.write import write_synthetic
from posekit.weights import DEFAULT, FOLDER


def save_random(path, skeleton=MPII16, **notes):
    torch.manual_seed(len(str(path)))
    info = ModelInfo(skeleton, 64, 1, 8, 2, "sigmoid", (0.5,) * 3, (0.2,) * 3, notes=notes)
    save_weights(path, info.build(), info)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of epochs 1 and 5 of one run."""
    folder = tmp_path_factory.mktemp("run") / "epochs"
    return [save_random(folder / f"epoch-000{epoch}.safetensors", epochs=epoch) for epoch in (1, 5)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "synthetic"
    write_synthetic(folder, people=6, seed=0, workers=1, progress=False)
    return "--data", "mpii", "--root", folder, "--split", "all"


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "some one.png"
    write_image(path, np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8))
    return path


@pytest.fixture
def run(tmp_path, capsys):
    """Runs the command; returns exit status, stdout, stderr and the names of the files in --out."""

    def run(*arguments):
        out = tmp_path / "figures"
        status = main([*map(str, arguments), "--out", str(out), "--device", "cpu"], prog="posekit visualize")
        output = capsys.readouterr()
        return status, output.out, output.err, sorted(path.name for path in out.glob("*"))

    return run


@pytest.fixture
def unrendered(monkeypatch):
    """Write empty files instead of figures, which saves most of the time."""
    monkeypatch.setattr("posekit.cli.visualize.people.save_figure", lambda figure, path: path.touch())


def test_penalty_of_epochs_side_by_side(run, weights, data, tmp_path):
    person = (*data, "--person", 0, "--joint", "left_wrist")
    status, stdout, _, files = run("penalty", *person, "--weights", weights[0])
    assert status == 0 and files == ["person-0.penalty.png"]
    assert stdout == f"wrote {tmp_path / 'figures' / files[0]}\n"
    narrow = read_image(tmp_path / "figures" / files[0]).shape[1]
    run("penalty", *person, "--weights", *weights, "--gamma", 1, 2)
    assert read_image(tmp_path / "figures" / files[0]).shape[1] > 1.5 * narrow  # four columns instead of one


def test_every_person_has_a_file(run, weights, data, unrendered):
    _, _, _, files = run("penalty", *data, "--person", 0, 3, "--weights", weights[0], "--joint", "pelvis")
    assert files == ["person-0.penalty.png", "person-3.penalty.png"]


def test_penalty_over_a_data_set_is_measured(run, weights, data, tmp_path, unrendered):
    status, stdout, _, files = run("penalty", *data, "--weights", *weights, "--gamma", 3)
    assert status == 0
    plots = [f"penalty-{name}.{suffix}" for name in ("opposite", "regions") for suffix in ("pdf", "png", "svg")]
    assert files == sorted(["penalty.json", *plots])
    numbers = json.loads((tmp_path / "figures" / "penalty.json").read_text())
    assert numbers["models"].keys() == numbers["weights"].keys() == {"epoch 1", "epoch 5"}
    assert numbers["models"]["epoch 1"]["gamma"] == 3 and numbers["models"]["epoch 1"]["n_persons"] == 6
    first, second = (model["groups"]["All"]["opposite"]["mean_penalty"]["value"] for model in numbers["models"].values())
    assert numbers["difference"]["All"]["opposite"]["mean_penalty"]["value"] == pytest.approx(first - second)
    assert "A (epoch 1) minus B (epoch 5)" in stdout


def test_limit_keeps_the_first_people_of_a_data_set(run, weights, data, tmp_path, unrendered):
    assert run("penalty", *data, "--weights", weights[0], "--limit", 1)[0] == 0
    numbers = json.loads((tmp_path / "figures" / "penalty.json").read_text())
    (model,) = numbers["models"].values()
    assert 1 <= model["n_persons"] < 6 and "difference" not in numbers


def test_peaks_serve_as_the_truth_only_without_annotation(run, weights, image, unrendered):
    status, stdout, _, files = run("penalty", image, "--weights", *weights)
    assert status == 0 and files == ["some one.penalty.png"]
    assert "peaks of epoch 5" in stdout
    _, stdout, _, _ = run("penalty", image, "--weights", *weights, "--keypoint", "left_wrist=50,40", "--box", "10,10,90,70")
    assert "peaks of" not in stdout


def test_the_modulator_is_another_view(run, weights, image, unrendered):
    assert run("penalty", image, "--weights", weights[0], "--view", "modulator")[3] == ["some one.modulator.png"]


def test_targets_and_heatmaps_are_written(run, weights, data):
    person = (*data, "--person", 1, "--weights", weights[0], "--joint", "pelvis")
    assert run("targets", *person)[3] == ["person-1.targets.png"]
    assert run("heatmaps", *person)[3] == ["person-1.heatmaps.png", "person-1.targets.png"]


def test_targets_of_an_image_use_the_peaks_as_the_truth(run, weights, image, unrendered):
    _, stdout, _, _ = run("targets", image, "--weights", weights[0], "--joint", "pelvis")
    assert f"peaks of {weights[0].parent.parent.name}" in stdout


def test_each_model_has_its_own_heatmaps(run, weights, image, unrendered):
    files = run("heatmaps", image, "--weights", *weights, "--joint", "pelvis")[3]
    assert files == ["some one.epoch-1.heatmaps.png", "some one.epoch-5.heatmaps.png"]


def test_images_of_one_name_do_not_overwrite_each_other(run, weights, image, tmp_path, unrendered):
    (tmp_path / "other").mkdir()
    others = [shutil.copy(image, tmp_path / "other" / name) for name in (image.name, f"{image.stem}-2{image.suffix}")]
    files = run("heatmaps", image, *others, "--weights", weights[0], "--joint", "pelvis")[3]
    assert files == ["some one-2-2.heatmaps.png", "some one-2.heatmaps.png", "some one.heatmaps.png"]


def test_predictions_of_images_and_people(run, weights, image, data, tmp_path):
    status, _, _, files = run("predictions", image, image, "--weights", *weights)
    assert status == 0 and files == ["predictions.png"]
    path = tmp_path / "figures" / "predictions-mpii.png"
    status, stdout, _, _ = run("predictions", *data, "--count", 3, "--weights", *weights)
    assert status == 0 and f"wrote {path}" in stdout
    shape = read_image(path).shape
    run("predictions", *data, "--count", 3, "--pick", "difference", "--weights", *weights)
    assert read_image(path).shape == shape
    run("predictions", *data, "--person", 5, "--weights", *weights)
    assert read_image(path).shape[0] < shape[0]


def test_models_are_named_by_what_differs(weights, tmp_path):
    others = [save_random(tmp_path / name / "best.safetensors") for name in ("al", "bce")]
    run_name = weights[0].parent.parent.name

    def names(*paths):
        return list(load_models(list(map(str, paths)), "cpu"))

    assert names(*weights) == ["epoch 1", "epoch 5"]
    assert names(weights[0]) == [run_name]
    assert names(*others) == ["al", "bce"]
    assert names(*weights, others[0]) == [f"{run_name} epoch-0001", f"{run_name} epoch-0005", "al best"]


def test_weights_that_come_with_posekit_are_known_by_name():
    assert build_parser("").parse_args(["heatmaps", "x.jpg"]).weights == [DEFAULT]
    assert list(load_models(["lspet-hg2", "lspet-small"], "cpu")) == ["lspet-hg2", "lspet-small"]


def rejected_arguments(weights, image, data, folder):
    """Arguments, and a part of the message that names the culprit."""
    model = ("--weights", weights[0])
    other_skeleton = save_random(folder / "lsp" / "a.safetensors", LSP14)
    return {
        ("penalty", *model): "--person",
        ("penalty", image, *data, *model): "--person",
        ("penalty", *data[:2], *model): "--data, --root and --split",
        ("penalty", *data, "--view", "modulator", *model): "--view",
        ("penalty", *data, "--gamma", 1, 2, *model): "--gamma",
        ("penalty", image, "--limit", 3, *model): "--limit",
        ("targets", *data, *model): "mpii all with --person: 0 to 5",
        ("targets", *data, "--person", 6, *model): "--person 6: mpii all has people 0 to 5",
        ("predictions", *data, "--person", 6, *model): "--person 6: mpii all has people 0 to 5",
        ("targets", image, "--person", 1, *model): "--person",
        ("heatmaps", *data, "--person", 1, "--box", "1,1,5,5", *model): "--box",
        ("predictions", *data, "--box", "1,1,5,5", *model): "--box",
        ("heatmaps", image, "--joint", "tail", *model): "'tail'",
        ("penalty", image, "--keypoint", "tail=1,2", *model): "'tail'",
        ("penalty", image, "--box", "500,5,20,20", *model): "120x90",
        ("penalty", folder / "gone.jpg", *model): "gone.jpg",
        ("penalty", "--weights", weights[0], image): f"--weights {image}",
        ("penalty", image, "--weights", weights[0], weights[0]): "--weights",
        ("penalty", image, "--weights", "lspet-small", FOLDER / "lspet-small.safetensors"): "--weights",
        ("penalty", image, "--weights", weights[0], other_skeleton): "--weights",
        ("penalty", image, "--weights", folder / "none.safetensors"): "none.safetensors",
    }


def test_rejected_arguments_are_named_in_one_line(run, weights, image, data, tmp_path):
    for arguments, culprit in rejected_arguments(weights, image, data, tmp_path).items():
        status, _, stderr, _ = run(*arguments)
        assert status in (1, 2) and culprit in stderr, (arguments, stderr)
        assert stderr.count("\n") == 1, stderr


@pytest.mark.parametrize(
    "option, value",
    [("--keypoint", "left_wrist"), ("--keypoint", "left_wrist=1,inf"), ("--gamma", "-1"), ("--gamma", "nan"), ("--box", "1,2,3")],
)
def test_malformed_values_are_named(capsys, option, value):
    with pytest.raises(SystemExit) as caught:
        main(["penalty", "someone.png", f"{option}={value}"])
    assert caught.value.code == 2
    last_line = capsys.readouterr().err.splitlines()[-1]
    assert option in last_line and repr(value) in last_line


@pytest.mark.parametrize("command", ["penalty", "loss", "targets", "predictions", "training", "comparison", "heatmaps", "explore"])
def test_help_shows_examples(capsys, command):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"], prog="posekit visualize")
    stdout = capsys.readouterr().out
    assert caught.value.code == 0 and "examples:" in stdout and f"posekit visualize {command} " in stdout
