"""Training loop, the same for every task."""

import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import cast

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from tqdm.auto import tqdm

from posekit.data.crops import EpochBatches, Failure, require_few_failures
from posekit.errors import DataError, WeightsError
from posekit.training.average import MovingAverage
from posekit.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from posekit.training.config import TrainConfig
from posekit.training.distributed import mean_over_processes, share_statistics
from posekit.training.interrupts import Interrupted, catch_signals, is_dead_worker, let_loader_report_deaths, readable_errors
from posekit.training.log import EpochLog
from posekit.training.task import Task, TrainingBatch, count_samples

_SHOW_EVERY = 10  # batches between updates of the progress bar: reading the loss synchronises with the GPU


class Engine:
    """Trains a model on a task, epoch by epoch.

    Parameters
    ----------
    task : Task
    model : nn.Module
    optimizer : torch.optim.Optimizer
    settings : TrainConfig
        Number of epochs, gradient accumulation, moving average, compilation, and epochs to keep.
    accelerator : Accelerator
        Device, precision and processes.
    learning_rate : callable
        Maps the number of completed epochs, with a fraction, to the learning rate.
    folder : Path
        Folder of the run, to write last/, best.safetensors, final.safetensors, epochs/ and metrics.csv to.
    save_weights : callable
        Writes a weights file, called with (model, path, notes).
    resume : bool
        Whether to resume from the checkpoint in last/.
    """

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        settings: TrainConfig,
        *,
        accelerator: Accelerator,
        learning_rate: Callable[[float], float],
        folder: Path,
        save_weights: Callable[[nn.Module, Path, dict], None],
        resume: bool,
    ):
        self.task = task
        self.settings = settings
        self.accelerator = accelerator
        self.learning_rate = learning_rate
        self.folder = folder
        self.save_weights = save_weights
        if accelerator.num_processes > 1:
            model = share_statistics(model, accelerator.device)
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        self.plain_model = accelerator.unwrap_model(self.model)
        # Only training uses the compiled model; validation and saving use the original model.
        self.trained_model = cast(nn.Module, torch.compile(self.model)) if settings.compile else self.model
        self.average = MovingAverage(self.plain_model, settings.ema) if settings.ema else None
        self.progress = Progress()
        if resume:
            self._load()
        self.failures = {index: Failure(index, message) for index, message in self.progress.bad}
        self.sums: dict[str, Tensor] = {}
        for name, sums in self.progress.sums.items():
            self.sums[name] = torch.tensor(sums, dtype=torch.float64, device=accelerator.device)
        # Only the main process writes files.
        self.log = EpochLog(folder, self.progress.epoch) if accelerator.is_main_process else None

    @property
    def best_model(self) -> nn.Module:
        """Model to validate and save: the moving average if there is one, else the trained model."""
        return self.plain_model if self.average is None else self.average.module

    def run(self) -> None:
        """Train until the last epoch is complete.

        Raises
        ------
        Stopped
            After SIGINT or SIGTERM, once the checkpoint is written, or if another process of the run has died.
        DataError
            If more than 1 % of the samples cannot be read, or the loss is NaN or infinite.
        """
        with catch_signals() as received, readable_errors():
            while self.progress.epoch < self.settings.epochs:
                self._train_epoch(received)
                self._finish_epoch(received)
        if self.log is not None:
            self.save_weights(self.best_model, self.folder / "final.safetensors", {"epochs": self.progress.epoch})
            self.log.close()

    def try_step(self, batch: TrainingBatch) -> None:
        """Take one optimizer step on a batch without counting it as progress, for benchmarks."""
        loss, _ = self.task.loss(self.model, batch.to(self.accelerator.device), 0)
        self.accelerator.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _train_epoch(self, received: Sequence[int]) -> None:
        progress = self.progress
        sampler = cast(EpochBatches, self.task.loader.batch_sampler)
        sampler.epoch = progress.epoch
        sampler.start = progress.batch
        self.batches = progress.batch + len(sampler)
        self.model.train()
        self.clock = time.perf_counter()
        with tqdm(
            total=self.batches,
            initial=progress.batch,
            desc=f"epoch {progress.epoch + 1}/{self.settings.epochs}",
            unit="batch",
            disable=not self.accelerator.is_main_process,
            dynamic_ncols=True,
        ) as bar:
            for batch in self._load_batches() if len(sampler) else ():
                self._note_failures(batch.failures, bar)
                self._step(batch)
                progress.batch += 1
                self._note_time()
                bar.update()
                if progress.batch % _SHOW_EVERY == 0 or progress.batch == self.batches:
                    self._show(bar)
                if self._is_step(progress.batch) and self._asked_to_stop(received):
                    self._gather()
                    self._save()
                    self.accelerator.wait_for_everyone()
                    raise Interrupted(received[0] if received else signal.SIGTERM, self.folder / "last")

    def _load_batches(self) -> Iterator[TrainingBatch]:
        """Yield the batches of the loader, and add up the time spent waiting for data."""
        requested = time.perf_counter()
        batches = iter(self.task.loader)
        let_loader_report_deaths()
        while True:
            try:
                batch = next(batches, None)
            except RuntimeError as error:
                if is_dead_worker(error) and self._is_step(self.progress.batch) and self.accelerator.num_processes == 1:
                    self._save()
                raise
            self.progress.waited += time.perf_counter() - requested
            if batch is None:
                return
            yield batch
            requested = time.perf_counter()

    def _step(self, batch: TrainingBatch) -> None:
        rate = self.learning_rate(self.progress.epoch + self.progress.batch / self.batches)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        is_step = self._is_step(self.progress.batch + 1)
        with nullcontext() if is_step else self.accelerator.no_sync(self.model):
            loss, sums = self.task.loss(self.trained_model, batch.to(self.accelerator.device), self.progress.epoch)
            loss = mean_over_processes(loss, sums["loss"][1], self.accelerator)
            self.accelerator.backward(loss / self.settings.accumulate)
        if is_step:
            self.optimizer.step()
            self.optimizer.zero_grad()
            if self.average is not None:
                self.average.update(self.plain_model)
        self.progress.people += len(batch) - len(batch.failures)
        for name, pair in sums.items():
            self.sums[name] = self.sums.get(name, 0) + pair.double()

    def _is_step(self, batch: int) -> bool:
        """Whether the optimizer steps after this batch. Checkpoints, which hold no gradients, are written only after a step."""
        return batch % self.settings.accumulate == 0 or batch == self.batches

    def _asked_to_stop(self, received: Sequence[int]) -> bool:
        if self.accelerator.num_processes == 1:
            return bool(received)
        # check_trigger synchronises the processes, so call it only at the first optimizer step of every ten batches.
        batch = self.progress.batch
        accumulate = self.settings.accumulate
        if batch % max(_SHOW_EVERY, accumulate) >= accumulate and batch != self.batches:
            return False
        if received:
            self.accelerator.set_trigger()
        return self.accelerator.check_trigger()  # the same in all processes, so that they stop at the same batch

    def _note_failures(self, failures: Sequence[Failure], bar: tqdm) -> None:
        for failure in failures:
            if failure.index not in self.failures:
                self.failures[failure.index] = failure
                bar.write(f"skipped a sample that cannot be read: {failure.message}")
        self._require_few_failures()

    def _require_few_failures(self) -> None:
        require_few_failures(list(self.failures.values()), count_samples(self.task.loader.dataset), "training")

    def _finish_epoch(self, received: Sequence[int]) -> None:
        progress = self.progress
        self._gather()
        self._save()  # so that no training is lost if the validation is interrupted
        training_s = progress.seconds

        def check_stop() -> None:
            # With several processes, stopping here would leave the others waiting; all stop together in the next epoch.
            if received and self.accelerator.num_processes == 1:
                raise Interrupted(received[0], self.folder / "last")

        figures = self.task.evaluate(self.best_model, check_stop)
        self._note_time()
        if self.log is not None:
            self.log.add(self._row(figures, training_s))
        score = figures[self.task.metric]
        improved = self._signed(score) > progress.best
        if improved:
            progress.best = self._signed(score)
        self.progress = progress = Progress(progress.epoch + 1, best=progress.best, bad=progress.bad)
        self.sums = {}
        if self.log is not None:
            notes = {"epochs": progress.epoch, self.task.metric: score}
            if improved:
                self.save_weights(self.best_model, self.folder / "best.safetensors", notes)
            if progress.epoch in self.settings.keep_epochs:
                self.save_weights(self.best_model, self.folder / "epochs" / f"epoch-{progress.epoch:04d}.safetensors", notes)
            self._save()

    def _row(self, figures: dict[str, float], training_s: float) -> dict[str, float]:
        """Return the row of metrics.csv for the current epoch."""
        progress = self.progress
        return {
            "epoch": progress.epoch + 1,
            "learning_rate": self.learning_rate(progress.epoch),
            "loss": self._finite_loss(),
            **{name: _divide(sums) for name, sums in self.sums.items() if name != "loss"},
            **figures,
            "images_per_s": progress.people / training_s,
            "data_wait": 100 * progress.waited / training_s,
            "seconds": progress.seconds,
            "bad_images": len(self.failures),
        }

    def _gather(self) -> None:
        """Combine the counts of all processes."""
        accelerator = self.accelerator
        if accelerator.num_processes == 1:
            return
        people = torch.tensor(self.progress.people, device=accelerator.device)
        waited = torch.tensor(self.progress.waited, device=accelerator.device)
        self.progress.people = int(accelerator.reduce(people))
        self.progress.waited = float(accelerator.reduce(waited, "mean"))
        self.sums = {name: accelerator.reduce(sums) for name, sums in self.sums.items()}
        self.failures = {failure.index: failure for failure in gather_object(list(self.failures.values()))}
        self._require_few_failures()

    def _note_time(self) -> None:
        """Add the time since the previous call to the epoch's seconds."""
        now = time.perf_counter()
        self.progress.seconds += now - self.clock
        self.clock = now

    def _finite_loss(self) -> float:
        """Return the mean loss of the epoch so far; raises `DataError` if the loss is NaN or infinite."""
        loss = _divide(self.sums["loss"]) if "loss" in self.sums else 0.0
        if not math.isfinite(loss):
            epoch = self.progress.epoch + 1
            raise DataError(f'the loss is {loss} in epoch {epoch}: lower optimizer.lr, or set train.precision to "no"')
        return loss

    def _signed(self, score: float) -> float:
        """Return the score, negated if lower is better, so that higher is always better; the function is its own inverse."""
        return -score if self.task.lower_is_better else score

    def _show(self, bar: tqdm) -> None:
        progress = self.progress
        speed = progress.people * self.accelerator.num_processes / progress.seconds
        waited = 100 * progress.waited / progress.seconds
        shown = {"loss": f"{self._finite_loss():.3g}", "images/s": f"{speed:.0f}", "data": f"{waited:.0f}%"}
        if math.isfinite(progress.best):
            shown[f"best {self.task.metric}"] = f"{self._signed(progress.best):.1f}"
        bar.set_postfix(shown, refresh=False)

    def _save(self) -> None:
        if not self.accelerator.is_main_process:
            return
        self._finite_loss()  # raises if the loss is not finite, which keeps the previous checkpoint
        self.progress.bad = [[failure.index, failure.message] for failure in self.failures.values()]
        self.progress.sums = {name: sums.tolist() for name, sums in self.sums.items()}
        tensors = {"model": self.plain_model.state_dict()}
        states = {"optimizer": self.optimizer.state_dict()}
        if self.average is not None:
            tensors["average"] = self.average.state_dict()
        if self.accelerator.scaler is not None:
            states["scaler"] = self.accelerator.scaler.state_dict()
        save_checkpoint(self.folder / "last", self.progress, tensors, states)

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
                f"{self.folder / 'last'}: the checkpoint does not match the configured model, optimizer or precision ({reason}); "
                "resume with the settings that the run was started with"
            ) from error

    def _take_share(self) -> None:
        """Divide the counts of the checkpoint, which are totals over all processes, between the processes."""
        share = self.progress.people // self.accelerator.num_processes
        if self.accelerator.is_main_process:
            self.progress.people -= share * (self.accelerator.num_processes - 1)
        else:
            self.progress.people = share
            self.progress.sums = {name: [0.0, 0.0] for name in self.progress.sums}


def _divide(sums: Tensor) -> float:
    """Divide a sum by its divisor, given as a (2,) tensor; returns 0 if the divisor is 0."""
    total, divisor = sums.tolist()
    return total / divisor if divisor else 0.0
