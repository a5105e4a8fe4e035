"""What ends a training run before its time, and what is said of it."""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch

from posekit.errors import ConfigError, PosekitError
from posekit.machine import why_not_compiled

# How PyTorch's loader begins when one of its workers is gone; what a worker raised itself is told in other words.
_WORKER_GONE = re.compile(r"DataLoader worker \(pid|Pin memory thread exited")
_STORE_S = 5.0
_TWICE_S = 1.0  # torchrun passes on to its processes what a scheduler has sent them already


class Stopped(PosekitError):
    """Training ended before its time; it can be gone on with from the last checkpoint."""

    label = "stopped"


class Interrupted(Stopped):
    """Training was asked to stop, and its checkpoint is written."""

    def __init__(self, signum: int, folder: Path):
        super().__init__(f"{signal.Signals(signum).name}; the checkpoint is written to {folder}")
        self.exit_status = 128 + signum


def is_dead_worker(error: RuntimeError) -> bool:
    """Whether PyTorch's loader says that a worker is gone."""
    return bool(_WORKER_GONE.match(str(error)))


@contextmanager
def readable_errors() -> Iterator[None]:
    """Say in a line what PyTorch raises when another process has died, or where it cannot compile.

    Raises
    ------
    Stopped, ConfigError
        Instead of the RuntimeError.
    """
    try:
        yield
    except RuntimeError as error:
        if is_dead_worker(error):
            raise Stopped(
                "a process that reads photographs has died, perhaps killed for want of memory, or of shared memory "
                "(/dev/shm): lower train.workers or train.batch_size"
            ) from error
        if isinstance(error, torch.distributed.DistError) or "gloo" in str(error):
            # torchrun stops this process too, which is not to cut off what it says.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise Stopped("another training process has died, torchrun's report tells which and how") from error
        if isinstance(error, torch.OutOfMemoryError):
            raise Stopped("the GPU's memory is full: lower train.batch_size and raise train.accumulate") from error
        if reason := why_not_compiled(error):
            raise ConfigError(f"train.compile: PyTorch cannot compile the network here ({reason}); set it to false") from error
        raise


@contextmanager
def catch_signals() -> Iterator[list[int]]:
    """Note SIGINT and SIGTERM instead of dying of them; another one, a second later or more, interrupts at once."""
    received: list[int] = []
    first = 0.0

    def note(signum, frame):
        nonlocal first
        if received and time.monotonic() - first > _TWICE_S:
            raise KeyboardInterrupt
        first = first or time.monotonic()
        received.append(signum)

    before = {signum: signal.signal(signum, note) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for signum, handler in before.items():
            if signal.getsignal(signum) is note:  # and not ignored since
                signal.signal(signum, handler)


@contextmanager
def first_error_only() -> Iterator[None]:
    """Of the processes that torchrun has started, let the first one that fails say why; the others follow it silently.

    Raises
    ------
    SystemExit
        In place of a PosekitError, where another process has spoken.
    """
    try:
        yield
    except PosekitError as error:
        if _is_first_to_speak():
            raise
        raise SystemExit(error.exit_status) from None


def _is_first_to_speak() -> bool:
    if not torch.distributed.is_torchelastic_launched():
        return True
    address, attempt = os.environ["MASTER_ADDR"], os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)
    try:
        store = torch.distributed.TCPStore(address, int(os.environ["MASTER_PORT"]), timeout=timedelta(seconds=_STORE_S))
        return store.add(f"posekit/{attempt}/spoken", 1) == 1
    except torch.distributed.DistError:  # the process that kept the store is gone
        return True
