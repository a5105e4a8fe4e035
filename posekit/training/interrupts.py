"""Handle everything that ends training early: signals, dead processes, and errors that another process reports."""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch

from posekit.command_line import handle_signals
from posekit.errors import ConfigError, PosekitError
from posekit.machine import why_not_compiled

# Matches PyTorch's message about a dead DataLoader worker; errors raised inside a worker have other messages.
_WORKER_DIED = re.compile(r"DataLoader worker \(pid|Pin memory thread exited")
_STORE_TIMEOUT_S = 5.0
# A scheduler and torchrun may both send the same signal to a process; repeats within this time are ignored.
_SAME_SIGNAL_S = 1.0


class Stopped(PosekitError):
    """Training ended early; the run can be resumed from the last checkpoint."""

    label = "stopped"


class Interrupted(Stopped):
    """A signal stopped training; a checkpoint was written first."""

    def __init__(self, signum: int, folder: Path):
        super().__init__(f"received {signal.Signals(signum).name}; the checkpoint is in {folder}")
        self.exit_status = 128 + signum


@contextmanager
def catch_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in a list. A signal more than a second after the first raises KeyboardInterrupt."""
    received: list[int] = []
    first = 0.0

    def collect(signum, frame):
        nonlocal first
        if not received:
            first = time.monotonic()
        elif time.monotonic() - first > _SAME_SIGNAL_S:
            raise KeyboardInterrupt
        received.append(signum)

    with handle_signals(collect, signal.SIGINT, signal.SIGTERM):
        yield received


def let_loader_report_deaths() -> None:
    """Remove PyTorch's SIGCHLD handler, which raises in the middle of a step if a worker dies.

    Without the handler, the data loader reports the dead worker when the next batch is requested.
    """
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def is_dead_worker(error: RuntimeError) -> bool:
    """Whether the error is PyTorch's report of a dead data loader worker."""
    return bool(_WORKER_DIED.match(str(error)))


@contextmanager
def readable_errors() -> Iterator[None]:
    """Convert PyTorch's errors about dead processes, full GPU memory and failed compilation to `Stopped` or `ConfigError`."""
    try:
        yield
    except RuntimeError as error:
        if is_dead_worker(error):
            raise Stopped(
                "a data loading process died, possibly because memory or shared memory (/dev/shm) ran out: "
                "lower train.workers or train.batch_size"
            ) from error
        if isinstance(error, torch.distributed.DistError) or "gloo" in str(error):
            # torchrun is about to terminate this process too: ignore SIGTERM until the error message is printed.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise Stopped("another training process died; see torchrun's report for its rank and exit code") from error
        if isinstance(error, torch.OutOfMemoryError):
            raise Stopped("the GPU's memory is full: lower train.batch_size and raise train.accumulate") from error
        if reason := why_not_compiled(error):
            raise ConfigError(
                f"train.compile: PyTorch cannot compile the network on this machine ({reason}); set train.compile to false"
            ) from error
        raise


@contextmanager
def first_error_only() -> Iterator[None]:
    """Report a `PosekitError` only in the first process of a torchrun run that fails; others exit silently, by `SystemExit`."""
    try:
        yield
    except PosekitError as error:
        if _is_first_to_fail():
            raise
        raise SystemExit(error.exit_status) from None


def _is_first_to_fail() -> bool:
    if not torch.distributed.is_torchelastic_launched():
        return True
    address = os.environ["MASTER_ADDR"]
    port = int(os.environ["MASTER_PORT"])
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)
    try:
        store = torch.distributed.TCPStore(address, port, timeout=timedelta(seconds=_STORE_TIMEOUT_S))
        return store.add(f"posekit/{attempt}/failed", 1) == 1
    except torch.distributed.DistError:  # the process that hosts the store has ended
        return True
