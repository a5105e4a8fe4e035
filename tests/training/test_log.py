"""What a run has written is read again as it was, and damage is told in one line."""

import json

import pytest

from posekit.errors import DataError, PosekitError
from posekit.training.log import EpochLog, read_metrics, read_run

ROWS = [{"epoch": 1, "loss": 0.25, "pck": 10.5, "bad_images": 0}, {"epoch": 2, "loss": 0.125, "pck": 30.0, "bad_images": 3}]
CONFIG = """
model: {stacks: 2, input_size: 128}
targets: {sigma: 1.0}
loss: {name: anchor, gamma: 2.0, ohkm: 0, warmup_epochs: 5}
"""


def written(folder, rows=ROWS, config=None, metrics=None):
    log = EpochLog(folder)
    for row in rows:
        log.add(row)
    log.close()
    if config is not None:
        (folder / "config.yaml").write_text(config)
    if metrics is not None:
        (folder / "metrics.json").write_text(metrics)
    return folder


def refused(call, *arguments):
    with pytest.raises(DataError) as stop:
        call(*arguments)
    message = str(stop.value)
    assert "\n" not in message and len(message) < 400
    return message


def test_rows_come_back_as_they_were(tmp_path):
    found = read_metrics(written(tmp_path) / "metrics.csv")
    assert found == ROWS
    assert [type(value) for value in found[0].values()] == [int, float, float, int]


def test_rows_may_have_columns_of_their_own(tmp_path):
    rows = [{"epoch": 1, "pck": 10.5}, {"epoch": 2, "hard_pixels": 3.25}]
    assert read_metrics(written(tmp_path, rows) / "metrics.csv") == rows


def test_a_resumed_log_keeps_the_epochs_that_were_done(tmp_path):
    log = EpochLog(written(tmp_path), epochs_done=1)
    log.close()
    assert log.rows == ROWS[:1]


def test_a_finished_run_tells_its_loss_and_metric(tmp_path):
    run = read_run(written(tmp_path, config=CONFIG, metrics='{"metric": "PCK@0.2"}'))
    assert run.rows == ROWS
    assert (run.loss, run.scale, run.warmup_epochs) == ("anchor, γ = 2", "2 stacks, 128 px, σ = 1", 5)
    assert run.metric == "PCK@0.2"


def test_of_an_unfinished_run_the_threshold_is_not_known(tmp_path):
    run = read_run(written(tmp_path, config=CONFIG))
    assert run.metric == "PCK" and run.loss == "anchor, γ = 2"


@pytest.mark.parametrize(
    ("config", "loss", "scale"),
    [
        ("loss: {name: bce, gamma: 2.0, ohkm: 8}\nmodel: {stacks: 1}", "BCE, OHKM 8", "1 stack"),
        ("loss: {name: mse, gamma: 2.0}\ntargets: {sigma: 1.75}", "MSE", "σ = 1.75"),
        ("loss: {name: focal, gamma: 3}", "focal, γ = 3", ""),
        ("loss: {name: anchor}", "anchor", ""),
        ("loss: anchor", "", ""),
        ("[1, 2]", "", ""),
        ("", "", ""),
        (None, "", ""),
    ],
)
def test_losses_are_told_as_far_as_they_are_known(tmp_path, config, loss, scale):
    run = read_run(written(tmp_path, config=config))
    assert (run.loss, run.scale, run.warmup_epochs) == (loss, scale, 0)


def test_a_classifiers_results_have_no_metric(tmp_path):
    assert read_run(written(tmp_path, metrics=json.dumps({"top1": 71.0}))).metric == "PCK"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"epoch,loss\n1,0.5\n2,0.x\n", "line 3, column loss: '0.x' is not a number; mend or delete the line"),
        (b"epoch,loss\n1,0.5\n2\n", "line 3 has not as many cells as the header"),
        (b"epoch,loss\n1,0.5,7\n", "line 2 has not as many cells as the header"),
        (b"step,loss\n1,0.5\n", "line 2: expected an epoch of 1 or more; is it a training run's metrics.csv?"),
        (b"epoch,loss\n0,0.5\n", "expected an epoch of 1 or more"),
        (b"epoch,loss\nnan,0.5\n", "expected an epoch of 1 or more"),
        (b"epoch,loss\ninf,0.5\n", "expected an epoch of 1 or more"),
        (b"epoch,loss\n" + b"9" * 400 + b",0.5\n", "expected an epoch of 1 or more"),
        (b'epoch,loss\n1,"0.5\n', "cannot be read as a table"),
        (b"epoch,loss\n1," + b"5" * 200_000, "cannot be read as a table"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "cannot be read as a table"),
    ],
)
def test_damage_is_told_by_its_line(tmp_path, content, message):
    (tmp_path / "metrics.csv").write_bytes(content)
    for found in (
        refused(read_metrics, tmp_path / "metrics.csv"), refused(read_run, tmp_path), refused(EpochLog, tmp_path, 1)
    ):  # fmt: skip
        assert str(tmp_path / "metrics.csv") in found and message in found


def test_a_folder_without_a_run_is_told(tmp_path):
    assert "no metrics.csv here; name the folder of a training run" in refused(read_run, tmp_path)
    assert "no metrics.csv here" in refused(read_run, tmp_path / "nowhere")
    assert "cannot be read" in refused(read_metrics, tmp_path)
    assert EpochLog(tmp_path).rows == [], "a new run has none yet"


@pytest.mark.parametrize("content", ["", "epoch,loss\n"])
def test_a_run_without_an_epoch_is_told(tmp_path, content):
    (tmp_path / "metrics.csv").write_text(content)
    assert "no epoch is finished yet; wait for the first" in refused(read_run, tmp_path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("loss: {name: [", "cannot be read"),
        ("loss: !!python/object/apply:os.getcwd []", "cannot be read"),
        ("loss: {gamma: !!int ''}", "cannot be read"),
        ("loss: {gamma: !!timestamp x}", "cannot be read"),
        ("[" * 1000, "cannot be read"),
        ("loss: {name: 7}", "loss.name: expected a word, got '7'"),
        ("loss: {name: anchor, gamma: two}", "loss.gamma: expected a number of at least 0, got 'two'"),
        ("loss: {name: anchor, warmup_epochs: -1}", "loss.warmup_epochs: expected a whole number of at least 0, got '-1'"),
        ("loss: {name: anchor, gamma: .nan}", "loss.gamma: expected a number of at least 0, got 'nan'"),
        ("loss: {name: anchor, warmup_epochs: 2.5}", "loss.warmup_epochs: expected a whole number"),
    ],
)
def test_a_damaged_configuration_is_told_and_never_executed(tmp_path, config, message):
    found = refused(read_run, written(tmp_path, config=config))
    assert str(tmp_path / "config.yaml") in found and message in found


@pytest.mark.parametrize(("metrics", "message"), [("{", "cannot be read"), ('{"metric": 7}', "metric: expected a word, got '7'")])
def test_damaged_results_are_told(tmp_path, metrics, message):
    assert message in refused(read_run, written(tmp_path, metrics=metrics))


def test_errors_are_the_users():
    assert issubclass(DataError, PosekitError)
