"""The training loop on a toy task: resuming, interruption, failed samples, accumulation, checkpoints."""

import csv
import json
import os
import signal
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import nn

from posekit.data.crops import EpochBatches, Failure
from posekit.errors import DataError, OutputError, WeightsError
from posekit.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from posekit.training.config import TrainConfig
from posekit.training.engine import Engine
from posekit.training.interrupts import Interrupted, Stopped
from tests.fixtures.runs import assert_same_run, metrics_rows

PEOPLE, BATCH = 20, 4


@dataclass
class Points:
    x: torch.Tensor
    failures: tuple = ()

    def __len__(self):
        return len(self.x)

    def to(self, device):
        return self


class Loader:
    """Yields the batches of the sampler; calls `before` with (epoch, batch) first."""

    def __init__(self, before=lambda epoch, batch: None, bad=()):
        self.batch_sampler = EpochBatches(PEOPLE, BATCH, seed=0, shuffle=True)
        self.before = before
        self.bad = bad
        self.dataset = range(PEOPLE)
        self.features = torch.randn(PEOPLE, 3, generator=torch.Generator().manual_seed(5))

    def __iter__(self):
        for number, keys in enumerate(self.batch_sampler, self.batch_sampler.start):
            self.before(self.batch_sampler.epoch, number)
            chosen = [index for _, index in keys]
            failures = tuple(Failure(index, f"person {index}: gone.jpg") for index in chosen if index in self.bad)
            yield Points(self.features[chosen], failures)


class ToyTask:
    metric = "score"
    lower_is_better = False

    def __init__(self, loader, during_validation=lambda: None):
        self.loader = self.valid_loader = loader
        self.during_validation = during_validation
        self.epochs_seen = []

    def loss(self, model, batch, epoch):
        self.epochs_seen.append(epoch)
        error = model(batch.x) - batch.x.sum(1, keepdim=True)
        loss = error.square().mean()
        people = torch.tensor(len(batch))
        large = (error.abs() > 1).sum()
        return loss, {"loss": torch.stack([loss.detach() * people, people]), "large": torch.stack([large, people])}

    def evaluate(self, model, check_stop):
        self.during_validation()
        check_stop()
        model.eval()
        with torch.no_grad():
            error = (model(self.loader.features) - self.loader.features.sum(1, keepdim=True)).square().mean()
        return {"score": -error.item()}


def make_engine(folder, task, *, resume=False, epochs=3, ema=0.9, **options):
    settings = TrainConfig(epochs=epochs, ema=ema, **options)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    return Engine(
        task, model, torch.optim.RMSprop(model.parameters()), settings, accelerator=Accelerator(cpu=True),
        learning_rate=lambda epoch: 0.01 / (1 + epoch), folder=folder, save_weights=save_weights, resume=resume,
    )  # fmt: skip


def nan_loss(model, batch, epoch):
    loss = model(batch.x).sum() * float("nan")
    return loss, {"loss": torch.stack([loss.detach(), torch.ones(())])}


def save_weights(model, path, notes):
    path.parent.mkdir(exist_ok=True)
    save_file(model.state_dict(), path)


def interrupt_at(epoch, batch):
    def before(at_epoch, at_batch):
        if (at_epoch, at_batch) == (epoch, batch):
            os.kill(os.getpid(), signal.SIGTERM)

    return before


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("place", [(0, 0), (1, 2), (2, 4)])
def test_resuming_is_bit_identical(tmp_path, place, accumulate):
    whole = tmp_path / "whole"
    cut = tmp_path / "cut"
    make_engine(whole, ToyTask(Loader()), accumulate=accumulate).run()
    with pytest.raises(Interrupted, match="SIGTERM") as caught:
        make_engine(cut, ToyTask(Loader(interrupt_at(*place))), accumulate=accumulate).run()
    assert caught.value.exit_status == 143
    make_engine(cut, ToyTask(Loader()), resume=True, accumulate=accumulate).run()
    assert_same_run(whole, cut)
    assert len(metrics_rows(whole)) == 3


def test_interrupted_validation_is_repeated(tmp_path):
    whole = tmp_path / "whole"
    cut = tmp_path / "cut"
    make_engine(whole, ToyTask(Loader())).run()
    with pytest.raises(Interrupted, match="SIGINT"):
        make_engine(cut, ToyTask(Loader(), lambda: os.kill(os.getpid(), signal.SIGINT))).run()
    assert not (cut / "metrics.csv").exists()
    task = ToyTask(Loader())
    make_engine(cut, task, resume=True).run()
    assert 0 not in task.epochs_seen  # the first epoch is not trained again
    assert_same_run(whole, cut)


def test_training_learns_and_best_is_kept(tmp_path):
    engine = make_engine(tmp_path, ToyTask(Loader()), epochs=12)
    engine.run()
    scores = [float(row["score"]) for row in metrics_rows(tmp_path)]
    assert scores[-1] > 0.6 * scores[0]  # scores are negative: the error fell
    assert engine.progress.best == max(scores)
    assert (tmp_path / "best.safetensors").exists()
    assert float(metrics_rows(tmp_path)[1]["learning_rate"]) == pytest.approx(0.005)


def test_the_lowest_error_is_best(tmp_path, monkeypatch):
    errors = iter([40.0, 20.0, float("nan"), 30.0])
    task = ToyTask(Loader())
    task.lower_is_better = True
    monkeypatch.setattr(task, "evaluate", lambda model, check_stop: {"score": next(errors)})
    engine = make_engine(tmp_path, task, epochs=4)
    saved = []
    engine.save_weights = lambda model, path, notes: saved.append((path.name, notes.get("score")))
    engine.run()
    assert saved == [("best.safetensors", 40.0), ("best.safetensors", 20.0), ("final.safetensors", None)]
    assert engine.progress.best == -20


def test_weights_of_chosen_epochs_are_kept_as_validated(tmp_path):
    make_engine(tmp_path / "run", ToyTask(Loader()), epochs=4, keep_epochs=[1, 3, 4, 9]).run()
    kept = sorted(path.name for path in (tmp_path / "run" / "epochs").iterdir())
    assert kept == ["epoch-0001.safetensors", "epoch-0003.safetensors", "epoch-0004.safetensors"]
    make_engine(tmp_path / "short", ToyTask(Loader()), epochs=3).run()
    third = load_file(tmp_path / "run" / "epochs" / kept[1])
    last = load_file(tmp_path / "short" / "final.safetensors")
    assert all(torch.equal(third[name], last[name]) for name in last)  # the moving average, not the raw weights
    assert not (tmp_path / "short" / "epochs").exists()


def test_running_sums_are_added_up_within_each_epoch(tmp_path):
    task = ToyTask(Loader())
    plain = task.loss
    shares = []

    def loss(model, batch, epoch):
        value, sums = plain(model, batch, epoch)
        shares.append(float(sums["large"][0]))
        return value, sums

    task.loss = loss
    make_engine(tmp_path, task, epochs=2).run()
    assert 0 < sum(shares) < 2 * PEOPLE
    written = [float(row["large"]) for row in metrics_rows(tmp_path)]
    assert written == [sum(shares[:5]) / PEOPLE, sum(shares[5:]) / PEOPLE]


def test_accumulation_takes_fewer_steps_and_a_last_one_at_the_epochs_end(tmp_path):
    engine = make_engine(tmp_path, ToyTask(Loader()), epochs=1, accumulate=2)
    steps = []
    engine.optimizer.step = lambda: steps.append(engine.progress.batch)
    engine.run()
    assert steps == [1, 3, 4]  # five batches: two pairs and a single batch


def test_without_an_average_the_plain_model_is_validated(tmp_path):
    engine = make_engine(tmp_path, ToyTask(Loader()), ema=0.0, epochs=1)
    assert engine.best_model is engine.plain_model


def test_average_moves_slower_than_the_model(tmp_path):
    engine = make_engine(tmp_path, ToyTask(Loader()), ema=0.999, epochs=1)
    first = engine.plain_model[0].weight.detach().clone()
    engine.run()
    moved = (engine.plain_model[0].weight - first).norm()
    assert (engine.best_model[0].weight - first).norm() < moved


@pytest.mark.parametrize(("accumulate", "saved"), [(1, (1, 3)), (2, (1, 0))])
def test_after_a_workers_death_the_run_resumes_from_the_last_step(tmp_path, accumulate, saved):
    whole = tmp_path / "whole"
    cut = tmp_path / "cut"
    make_engine(whole, ToyTask(Loader()), accumulate=accumulate).run()

    def die(epoch, batch):
        if (epoch, batch) == (1, 3):
            raise RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly")

    with pytest.raises(Stopped, match=r"train\.workers"):
        make_engine(cut, ToyTask(Loader(die)), accumulate=accumulate).run()
    progress = load_checkpoint(cut / "last")[0]
    assert (progress.epoch, progress.batch) == saved
    make_engine(cut, ToyTask(Loader()), resume=True, accumulate=accumulate).run()
    assert_same_run(whole, cut)


def test_share_of_time_spent_waiting_for_data(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("posekit.training.engine.time", SimpleNamespace(perf_counter=lambda: now[0]))

    def pass_time(seconds):
        now[0] += seconds

    task = ToyTask(Loader(lambda epoch, batch: pass_time(1)), lambda: pass_time(50))  # validation does not count
    learn = task.loss
    task.loss = lambda *arguments: (pass_time(3), learn(*arguments))[1]
    make_engine(tmp_path, task, epochs=2).run()
    with (tmp_path / "metrics.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [float(row["data_wait"]) for row in table] == [25.0, 25.0]
    assert [float(row["images_per_s"]) for row in table] == [1.0, 1.0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")  # raised inside PyTorch when its compiler is imported
def test_a_compiled_model_learns_the_same_keeps_its_names_and_resumes_bit_for_bit(tmp_path):
    plain, whole, cut = (tmp_path / name for name in ("plain", "whole", "cut"))
    make_engine(plain, ToyTask(Loader())).run()
    make_engine(whole, ToyTask(Loader()), compile=True).run()
    with pytest.raises(Interrupted):
        make_engine(cut, ToyTask(Loader(interrupt_at(1, 2))), compile=True).run()
    for file in ("model", "average"):
        assert not [name for name in load_file(cut / "last" / f"{file}.safetensors") if "_orig_mod" in name]
    make_engine(cut, ToyTask(Loader()), compile=True, resume=True).run()
    assert_same_run(whole, cut)
    assert load_file(whole / "final.safetensors").keys() == load_file(plain / "final.safetensors").keys()
    for row, expected in zip(metrics_rows(whole), metrics_rows(plain), strict=True):
        assert float(row["loss"]) == pytest.approx(float(expected["loss"]), rel=1e-4)
        # The gradient of the bias before batch normalisation consists of rounding errors, which RMSprop scales up.
        assert float(row["score"]) == pytest.approx(float(expected["score"]), rel=0.05)


def test_too_many_failed_samples_stop_the_run(tmp_path):
    with pytest.raises(DataError, match=r"1 of 20 training .*1 %.*person 7: gone\.jpg"):
        make_engine(tmp_path, ToyTask(Loader(bad={7}))).run()


def test_few_failed_samples_are_skipped_and_counted_once(tmp_path, monkeypatch):
    monkeypatch.setattr("posekit.training.engine.require_few_failures", lambda failures, count, purpose: None)
    make_engine(tmp_path, ToyTask(Loader(bad={7, 3}))).run()
    assert metrics_rows(tmp_path)[-1]["bad_images"] == "2"  # not once per epoch


def test_loss_that_is_not_finite_stops_the_run(tmp_path):
    task = ToyTask(Loader())
    task.loss = nan_loss
    with pytest.raises(DataError, match=r"nan in epoch 1.*optimizer\.lr"):
        make_engine(tmp_path, task).run()


def test_resuming_from_nothing(tmp_path):
    with pytest.raises(WeightsError, match=str(tmp_path / "last")):
        make_engine(tmp_path, ToyTask(Loader()), resume=True)


def test_loss_that_is_not_finite_leaves_the_checkpoint_alone(tmp_path):
    make_engine(tmp_path, ToyTask(Loader()), epochs=1).run()
    before = (tmp_path / "last" / "model.safetensors").read_bytes()
    task = ToyTask(Loader(interrupt_at(1, 1)))
    task.loss = nan_loss
    with pytest.raises(DataError, match="nan in epoch 2"):
        make_engine(tmp_path, task, resume=True, epochs=2).run()
    assert (tmp_path / "last" / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("name", ["progress.json", "model.safetensors", "states.pt"])
def test_damaged_checkpoint(tmp_path, name):
    make_engine(tmp_path, ToyTask(Loader()), epochs=1).run()
    path = tmp_path / "last" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(WeightsError, match=f"{tmp_path / 'last'}: damaged"):
        make_engine(tmp_path, ToyTask(Loader()), resume=True)


def test_checkpoint_of_another_version_is_not_called_damaged(tmp_path):
    make_engine(tmp_path, ToyTask(Loader()), epochs=1).run()
    path = tmp_path / "last" / "progress.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"loss_sum": 1.0}))
    with pytest.raises(WeightsError, match=r"another version.*loss_sum"):
        make_engine(tmp_path, ToyTask(Loader()), resume=True)


def test_checkpoint_of_other_settings(tmp_path):
    make_engine(tmp_path, ToyTask(Loader()), epochs=1, ema=0.0).run()
    with pytest.raises(WeightsError, match=f"{tmp_path / 'last'}.*average"):
        make_engine(tmp_path, ToyTask(Loader()), resume=True, ema=0.9)


def test_checkpoint_survives_an_interrupted_save(tmp_path):
    folder = tmp_path / "last"
    save_checkpoint(folder, Progress(epoch=4), {}, {})
    folder.rename(folder.with_suffix(".old"))  # as before the second rename
    assert load_checkpoint(folder)[0].epoch == 4


def test_checkpoint_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=str(tmp_path / "file" / "last")):
        save_checkpoint(tmp_path / "file" / "last", Progress(), {}, {})


def test_checkpoint_loads_no_foreign_objects(tmp_path):
    save_checkpoint(tmp_path / "last", Progress(), {}, {})
    torch.save({"optimizer": SimpleNamespace()}, tmp_path / "last" / "states.pt")
    with pytest.raises(WeightsError, match=f"{tmp_path / 'last'}: damaged"):
        load_checkpoint(tmp_path / "last")


@pytest.mark.parametrize("accumulate, latest", [(1, 10), (3, 12), (7, 14), (16, 16), (32, 32)])
def test_several_processes_agree_to_stop_within_a_few_batches(tmp_path, accumulate, latest):
    engine = make_engine(tmp_path, ToyTask(Loader()), accumulate=accumulate)
    asked = []
    engine.batches = 1000
    engine.accelerator = SimpleNamespace(
        num_processes=2, set_trigger=lambda: None, check_trigger=lambda: asked.append(engine.progress.batch) or True
    )
    while not (engine._is_step(engine.progress.batch) and engine._asked_to_stop([signal.SIGTERM]) and engine.progress.batch):
        engine.progress.batch += 1
    assert asked[-1] == latest
