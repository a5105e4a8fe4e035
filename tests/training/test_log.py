"""Tables of training runs read back as written; damaged files are reported in one line."""

import errno
import json

import pytest

from posekit.errors import DataError, OutputError
from posekit.training.log import EpochLog, read_metrics, read_run

ROWS = [{"epoch": 1, "loss": 0.25, "pck": 10.5, "bad_images": 0}, {"epoch": 2, "loss": 0.125, "pck": 30.0, "bad_images": 3}]
CONFIG = """
model: {stacks: 2, input_size: 128}
targets: {sigma: 1.0}
loss: {name: anchor, gamma: 2.0, ohkm: 0, warmup_epochs: 5}
"""


def write_run(folder, rows=ROWS, config=None, metrics=None):
    log = EpochLog(folder)
    for row in rows:
        log.add(row)
    log.close()
    if config is not None:
        (folder / "config.yaml").write_text(config)
    if metrics is not None:
        (folder / "metrics.json").write_text(metrics)
    return folder


def data_error(call, *arguments):
    """The message of the `DataError` that a call raises: one line, not too long."""
    with pytest.raises(DataError) as error:
        call(*arguments)
    message = str(error.value)
    assert "\n" not in message and len(message) < 400
    return message


def test_rows_come_back_as_they_were(tmp_path):
    table = read_metrics(write_run(tmp_path) / "metrics.csv")
    assert table == ROWS
    assert [type(value) for value in table[0].values()] == [int, float, float, int]


def test_rows_may_have_different_columns(tmp_path):
    rows = [{"epoch": 1, "pck": 10.5}, {"epoch": 2, "hard_pixels": 3.25}]
    assert read_metrics(write_run(tmp_path, rows) / "metrics.csv") == rows


def test_a_resumed_log_keeps_the_epochs_that_were_done(tmp_path):
    log = EpochLog(write_run(tmp_path), epochs_done=1)
    log.close()
    assert log.rows == ROWS[:1]


def test_an_epoch_is_kept_when_tensorboard_cannot_be_written(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    log = EpochLog(tmp_path)
    monkeypatch.setattr(log._board, "add_scalar", full)
    with pytest.raises(OutputError, match=r"tensorboard.*No space left"):
        log.add(ROWS[0])
    log.close()
    assert read_metrics(tmp_path / "metrics.csv") == ROWS[:1]


def test_a_finished_run_has_its_loss_and_metric(tmp_path):
    run = read_run(write_run(tmp_path, config=CONFIG, metrics='{"metric": "PCK@0.2"}'))
    assert run.rows == ROWS
    assert (run.loss, run.scale, run.warmup_epochs) == ("anchor, γ = 2", "2 stacks, 128 px, σ = 1", 5)
    assert run.metric == "PCK@0.2"


def test_an_unfinished_run_has_no_threshold(tmp_path):
    run = read_run(write_run(tmp_path, config=CONFIG))
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
def test_the_loss_is_described_from_the_available_settings(tmp_path, config, loss, scale):
    run = read_run(write_run(tmp_path, config=config))
    assert (run.loss, run.scale, run.warmup_epochs) == (loss, scale, 0)


def test_results_without_a_metric(tmp_path):
    assert read_run(write_run(tmp_path, metrics=json.dumps({"top1": 71.0}))).metric == "PCK"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"epoch,loss\n1,0.5\n2,0.x\n", "line 3, column loss: '0.x'"),
        (b"epoch,loss\n1,0.5\n2\n", "line 3"),
        (b"epoch,loss\n1,0.5,7\n", "line 2"),
        (b"step,loss\n1,0.5\n", "line 2: expected an epoch"),
        (b"epoch,loss\n0,0.5\n", "line 2: expected an epoch"),
        (b"epoch,loss\nnan,0.5\n", "line 2: expected an epoch"),
        (b"epoch,loss\ninf,0.5\n", "line 2: expected an epoch"),
        (b"epoch,loss\n" + b"9" * 400 + b",0.5\n", "line 2: expected an epoch"),
        (b'epoch,loss\n1,"0.5\n', "metrics.csv"),
        (b"epoch,loss\n1," + b"5" * 200_000, "metrics.csv"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "metrics.csv"),
    ],
)
def test_damage_is_reported_with_its_line(tmp_path, content, message):
    (tmp_path / "metrics.csv").write_bytes(content)
    path = tmp_path / "metrics.csv"
    for error in (data_error(read_metrics, path), data_error(read_run, tmp_path), data_error(EpochLog, tmp_path, 1)):
        assert str(path) in error and message in error


def test_a_folder_without_a_run_is_named(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert data_error(read_run, folder).startswith(f"{folder}: no metrics.csv")
    assert str(tmp_path) in data_error(read_metrics, tmp_path)
    assert EpochLog(tmp_path).rows == [], "a new run has no rows"


@pytest.mark.parametrize("content", ["", "epoch,loss\n"])
def test_a_run_without_an_epoch_is_refused(tmp_path, content):
    (tmp_path / "metrics.csv").write_text(content)
    assert data_error(read_run, tmp_path).startswith(f"{tmp_path / 'metrics.csv'}: no epoch")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("loss: {name: [", "config.yaml"),
        ("loss: !!python/object/apply:os.getcwd []", "config.yaml"),
        ("loss: {gamma: !!int ''}", "config.yaml"),
        ("loss: {gamma: !!timestamp x}", "config.yaml"),
        ("[" * 1000, "config.yaml"),
        ("loss: {name: 7}", "loss.name: expected a word, got '7'"),
        ("loss: {name: anchor, gamma: two}", "loss.gamma: expected a number of at least 0, got 'two'"),
        ("loss: {name: anchor, warmup_epochs: -1}", "loss.warmup_epochs: expected a whole number of at least 0, got '-1'"),
        ("loss: {name: anchor, gamma: .nan}", "loss.gamma: expected a number of at least 0, got 'nan'"),
        ("loss: {name: anchor, warmup_epochs: 2.5}", "loss.warmup_epochs: expected a whole number"),
    ],
)
def test_a_damaged_configuration_is_reported_and_never_executed(tmp_path, config, message):
    error = data_error(read_run, write_run(tmp_path, config=config))
    assert str(tmp_path / "config.yaml") in error and message in error


@pytest.mark.parametrize(("metrics", "message"), [("{", "metrics.json"), ('{"metric": 7}', "metric: expected a word, got '7'")])
def test_damaged_results_are_reported(tmp_path, metrics, message):
    assert message in data_error(read_run, write_run(tmp_path, metrics=metrics))
