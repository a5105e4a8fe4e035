"""The training loop. It knows nothing of poses: what is learned is the task's business."""

import math
import signal
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from posekit.data.crops import require_few_failures
from posekit.data.sample import Failure
from posekit.errors import DataError, WeightsError
from posekit.training.average import MovingAverage
from posekit.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from posekit.training.distributed import mean_over_processes, share_statistics
from posekit.training.interrupts import Interrupted, catch_signals, is_dead_worker, readable_errors
from posekit.training.log import EpochLog

_SHOW_EVERY = 10  # batches; reading the loss waits for the device


class Task(Protocol):
    """What the engine needs to know of what is learned."""

    loader: DataLoader
    """Training batches; its ``batch_sampler`` has ``epoch`` and ``start``."""
    metric: str
    """The key of `evaluate` by which the best weights are chosen."""
    lower_is_better: bool
    """Of that figure."""

    def loss(self, model: nn.Module, batch, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss of a batch, to be minimised; and (2,) tallies, a sum and its divisor, of what is told of each epoch.

        The tally "loss" is the loss itself: its divisor is what the mean is over, the batch's weight among those of the
        processes.
        """

    def evaluate(self, model: nn.Module, check_stop: Callable[[], None]) -> dict[str, float]:
        """Validation figures; calls `check_stop` now and then, which may raise."""


class Engine:
    """Trains a model on a task, epoch by epoch.

    Parameters
    ----------
    task : Task
    model : nn.Module
    optimizer : torch.optim.Optimizer
    accelerator : Accelerator
        Device, precision, processes.
    learning_rate : callable
        Epochs done (a fraction too) -> rate.
    epochs : int
    accumulate : int
        Batches whose gradients are added up before each step.
    ema : float
        Decay of the weights' moving average; 0: none.
    compiled : bool
        Whether training runs the model through `torch.compile`.
    keep_epochs : collection of int
        Epochs after which the weights, as validated, are kept.
    folder : Path
        The run's: last/, best.safetensors, final.safetensors, epochs/, metrics.csv.
    save_weights : callable
        (model, path, notes) -> writes a weights file.
    resume : bool
        Go on from last/.
    """

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        accelerator: Accelerator,
        learning_rate: Callable[[float], float],
        epochs: int,
        accumulate: int,
        ema: float,
        compiled: bool,
        keep_epochs: Collection[int],
        folder: Path,
        save_weights: Callable[[nn.Module, Path, dict], None],
        resume: bool,
    ):
        self.task, self.accelerator, self.learning_rate = task, accelerator, learning_rate
        self.epochs, self.accumulate, self.keep_epochs = epochs, accumulate, keep_epochs
        self.folder, self.save_weights = folder, save_weights
        if accelerator.num_processes > 1:
            model = share_statistics(model, accelerator.device)
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        self.plain_model = accelerator.unwrap_model(self.model)
        # Beside the model, which stays as it is for validation and saving.
        self.trained_model = torch.compile(self.model) if compiled else self.model
        self.average = MovingAverage(self.plain_model, ema) if ema else None
        self.progress = Progress()
        if resume:
            self._load()
        self.bad = {index: Failure(index, message) for index, message in self.progress.bad}
        self.tallies = {
            name: torch.tensor(tally, dtype=torch.float64, device=accelerator.device)
            for name, tally in self.progress.tallies.items()
        }
        self.log = EpochLog(folder, self.progress.epoch) if accelerator.is_main_process else None

    @property
    def best_model(self) -> nn.Module:
        """The model that is validated and saved: the moving average where there is one."""
        return self.plain_model if self.average is None else self.average.module

    def run(self) -> None:
        """Train to the last epoch.

        Raises
        ------
        Stopped
            After SIGINT or SIGTERM, when the checkpoint is written; or when a process that it needs has died.
        DataError
            If more than 1 % of the samples cannot be read, or the loss is no longer finite.
        """
        with catch_signals() as received, readable_errors():
            while self.progress.epoch < self.epochs:
                self._train_epoch(received)
                self._finish_epoch(received)
        if self.accelerator.is_main_process:
            self.save_weights(self.best_model, self.folder / "final.safetensors", self._notes())
            self.log.close()

    def _train_epoch(self, received: list[int]) -> None:
        progress, sampler = self.progress, self.task.loader.batch_sampler
        sampler.epoch, sampler.start = progress.epoch, progress.batch
        self.batches = progress.batch + len(sampler)
        self.model.train()
        self.clock = time.perf_counter()
        with self._bar() as bar:
            for batch in self._batches() if len(sampler) else ():
                self._note_failures(batch.failures, bar)
                self._step(batch)
                progress.batch += 1
                self._note_time()
                bar.update()
                if progress.batch % _SHOW_EVERY == 0 or progress.batch == self.batches:
                    self._show(bar)
                if self._weights_settled() and self._asked_to_stop(received):
                    self._gather()
                    self._save()
                    self.accelerator.wait_for_everyone()
                    raise Interrupted(received[0] if received else signal.SIGTERM, self.folder / "last")

    def _batches(self) -> Iterator:
        """The loader's batches; the time that they are waited for is added up."""
        asked = time.perf_counter()
        batches = iter(self.task.loader)
        if hasattr(signal, "SIGCHLD"):
            # PyTorch's handler would report a worker's death in the middle of a step; the loader finds it out itself.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        while True:
            try:
                batch = next(batches, None)
            except RuntimeError as error:
                if is_dead_worker(error) and self._weights_settled() and self.accelerator.num_processes == 1:
                    self._save()
                raise
            self.progress.waited += time.perf_counter() - asked
            if batch is None:
                return
            yield batch
            asked = time.perf_counter()

    def _step(self, batch) -> None:
        rate = self.learning_rate(self.progress.epoch + self.progress.batch / self.batches)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        settles = self._settles(self.progress.batch + 1)
        with nullcontext() if settles else self.accelerator.no_sync(self.model):
            loss, tallies = self.task.loss(self.trained_model, batch.to(self.accelerator.device), self.progress.epoch)
            loss = mean_over_processes(loss, tallies["loss"][1], self.accelerator)
            self.accelerator.backward(loss / self.accumulate)
        if settles:
            self.optimizer.step()
            self.optimizer.zero_grad()
            if self.average is not None:
                self.average.update(self.plain_model)
        self.progress.people += len(batch) - len(batch.failures)
        for name, tally in tallies.items():
            self.tallies[name] = self.tallies.get(name, 0) + tally.double()

    def try_step(self, batch, model: nn.Module | None = None) -> None:
        """Take one optimisation step outside of the run, to time it; `model` may be a compiled form of the engine's."""
        loss, _ = self.task.loss(model or self.model, batch.to(self.accelerator.device), 0)
        self.accelerator.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _settles(self, batch: int) -> bool:
        return batch % self.accumulate == 0 or batch == self.batches

    def _weights_settled(self) -> bool:
        """Whether no gradient waits for a step: only then a checkpoint tells everything."""
        return self._settles(self.progress.batch)

    def _asked_to_stop(self, received: list[int]) -> bool:
        if self.accelerator.num_processes == 1:
            return bool(received)
        # Asking the others waits for the devices: once in ten batches, when no gradient waits for a step.
        if self.progress.batch % max(_SHOW_EVERY, self.accumulate) >= self.accumulate and self.progress.batch != self.batches:
            return False
        if received:
            self.accelerator.set_trigger()
        return self.accelerator.check_trigger()  # all processes stop at the same batch

    def _note_failures(self, failures, bar: tqdm) -> None:
        for failure in failures:
            if failure.index not in self.bad:
                self.bad[failure.index] = failure
                bar.write(f"skipped: {failure.message}")
        require_few_failures(list(self.bad.values()), len(self.task.loader.dataset), "training")

    def _finish_epoch(self, received: list[int]) -> None:
        progress = self.progress
        self._gather()
        if self.accelerator.is_main_process:
            self._save()  # so that nothing is lost if the validation is interrupted
        trained_s = progress.seconds
        figures = self.task.evaluate(self.best_model, lambda: self._check_validation(received))
        self._note_time()
        row = {
            "epoch": progress.epoch + 1,
            "learning_rate": self.learning_rate(progress.epoch),
            "loss": self._loss(),
            **{name: _mean(tally) for name, tally in self.tallies.items() if name != "loss"},
            **figures,
            "images_per_s": progress.people / trained_s,
            "data_wait": 100 * progress.waited / trained_s,
            "seconds": progress.seconds,
            "bad_images": len(self.bad),
        }
        score = figures[self.task.metric]
        improved = self._worth(score) > progress.best
        progress.best = self._worth(score) if improved else progress.best
        progress.next_epoch()
        self.tallies = {}
        if self.accelerator.is_main_process:
            self.log.add(row)
            notes = self._notes() | {self.task.metric: score}
            if improved:
                self.save_weights(self.best_model, self.folder / "best.safetensors", notes)
            if progress.epoch in self.keep_epochs:
                self.save_weights(self.best_model, self.folder / "epochs" / f"epoch-{progress.epoch:04d}.safetensors", notes)
            self._save()

    def _gather(self) -> None:
        """Add up what the processes saw in this epoch; nothing to do for a single one."""
        if self.accelerator.num_processes == 1:
            return
        self.progress.people = self._over_processes(self.progress.people, "sum")
        self.progress.waited = self._over_processes(self.progress.waited, "mean")
        self.tallies = {name: self.accelerator.reduce(tally) for name, tally in self.tallies.items()}
        self.bad = {failure.index: failure for failure in gather_object(list(self.bad.values()))}
        require_few_failures(list(self.bad.values()), len(self.task.loader.dataset), "training")

    def _over_processes(self, number: float, reduction: str) -> float:
        return self.accelerator.reduce(torch.tensor(number, device=self.accelerator.device), reduction=reduction).item()

    def _note_time(self) -> None:
        """Add what has passed since the last call."""
        now = time.perf_counter()
        self.progress.seconds, self.clock = self.progress.seconds + now - self.clock, now

    def _check_validation(self, received: list[int]) -> None:
        # One process of several must not leave the others waiting: they stop in the next epoch.
        if received and self.accelerator.num_processes == 1:
            raise Interrupted(received[0], self.folder / "last")

    def _loss(self) -> float:
        return _mean(self.tallies["loss"]) if "loss" in self.tallies else 0.0

    def _worth(self, score: float) -> float:
        """The higher, the better; and the way back."""
        return -score if self.task.lower_is_better else score

    def _notes(self) -> dict:
        return {"epochs": self.progress.epoch}

    def _bar(self) -> tqdm:
        return tqdm(
            total=self.batches,
            initial=self.progress.batch,
            desc=f"epoch {self.progress.epoch + 1}/{self.epochs}",
            unit="batch",
            disable=not self.accelerator.is_main_process,
            dynamic_ncols=True,
        )

    def _show(self, bar: tqdm) -> None:
        loss = self._loss()
        if not math.isfinite(loss):
            self._refuse_loss(loss)
        progress = self.progress
        speed = progress.people * self.accelerator.num_processes / progress.seconds
        waited = 100 * progress.waited / progress.seconds
        shown = {"loss": f"{loss:.3g}", "images/s": f"{speed:.0f}", "data": f"{waited:.0f}%"}
        if math.isfinite(self.progress.best):
            shown[f"best {self.task.metric}"] = f"{self._worth(self.progress.best):.1f}"
        bar.set_postfix(shown, refresh=False)

    def _refuse_loss(self, loss: float) -> None:
        raise DataError(f'the loss is {loss} in epoch {self.progress.epoch + 1}: lower optimizer.lr, or set train.precision "no"')

    def _save(self) -> None:
        if not self.accelerator.is_main_process:
            return
        self.progress.bad = [[f.index, f.message] for f in self.bad.values()]
        self.progress.tallies = {name: tally.tolist() for name, tally in self.tallies.items()}
        if not math.isfinite(self._loss()):
            self._refuse_loss(self._loss())  # and keep the checkpoint before it
        tensors = {"model": self.plain_model.state_dict()}
        states = {"optimizer": self.optimizer.state_dict()}
        if self.average is not None:
            tensors["average"] = self.average.state_dict()
        if self.accelerator.scaler is not None:
            states["scaler"] = self.accelerator.scaler.state_dict()
        save_checkpoint(self.folder / "last", self.progress, tensors, states)

    def _take_share(self) -> None:
        """A checkpoint holds what all processes saw; it must not count twice."""
        share = self.progress.people // self.accelerator.num_processes
        if self.accelerator.is_main_process:
            self.progress.people -= share * (self.accelerator.num_processes - 1)
        else:
            self.progress.people, self.progress.tallies = share, {name: [0.0, 0.0] for name in self.progress.tallies}

    def _load(self) -> None:
        self.progress, tensors, states = load_checkpoint(self.folder / "last")
        self._take_share()
        try:
            self.plain_model.load_state_dict(tensors["model"])
            self.optimizer.load_state_dict(states["optimizer"])
            if self.average is not None:
                self.average.load_state_dict(tensors["average"])
            if self.accelerator.scaler is not None:
                self.accelerator.scaler.load_state_dict(states["scaler"])
        except (RuntimeError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise WeightsError(
                f"{self.folder / 'last'}: the checkpoint is of another model, optimizer or precision ({reason}); "
                "resume with the settings it was made with"
            ) from error


def _mean(tally: Tensor) -> float:
    total, divisor = tally.tolist()
    return total / divisor if divisor else 0.0
