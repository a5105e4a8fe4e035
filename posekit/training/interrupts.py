"""How training ends early: by a signal, by a process that died, or by an error that another process reports."""

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

# How PyTorch's loader reports that one of its workers has died; errors raised in a worker have other messages.
_WORKER_DIED = re.compile(r"DataLoader worker \(pid|Pin memory thread exited")
_STORE_TIMEOUT_S = 5.0
# torchrun forwards to its processes what a scheduler has sent them already.
_SAME_SIGNAL_S = 1.0


class Stopped(PosekitError):
    """Training ended early; it can be resumed from the last checkpoint."""

    label = "stopped"


class Interrupted(Stopped):
    """A signal stopped training, after its checkpoint was written."""

    def __init__(self, signum: int, folder: Path):
        super().__init__(f"{signal.Signals(signum).name}; the checkpoint is written to {folder}")
        self.exit_status = 128 + signum


@contextmanager
def catch_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in a list; a further one, more than a second after the first, raises KeyboardInterrupt."""
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
    """Remove PyTorch's handler of dead workers, which would raise in the middle of a step; the loader reports them itself."""
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def is_dead_worker(error: RuntimeError) -> bool:
    """Whether PyTorch's loader reports that a worker has died."""
    return bool(_WORKER_DIED.match(str(error)))


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn PyTorch's errors about dead processes, full memory and failed compilation into one line.

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
                "a data loading process died, perhaps for lack of memory or shared memory (/dev/shm): "
                "lower train.workers or train.batch_size"
            ) from error
        if isinstance(error, torch.distributed.DistError) or "gloo" in str(error):
            # torchrun is about to terminate this process too; its message must get out first.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            raise Stopped("another training process died; torchrun's report says which and how") from error
        if isinstance(error, torch.OutOfMemoryError):
            raise Stopped("the GPU's memory is full: lower train.batch_size and raise train.accumulate") from error
        if reason := why_not_compiled(error):
            raise ConfigError(f"train.compile: PyTorch cannot compile the network here ({reason}); set it to false") from error
        raise


@contextmanager
def first_error_only() -> Iterator[None]:
    """Let only the first of torchrun's processes that fails report its error; the others exit silently.

    Raises
    ------
    SystemExit
        Instead of a PosekitError, where another process has reported one.
    """
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
    except torch.distributed.DistError:  # the process that kept the store has ended
        return True
