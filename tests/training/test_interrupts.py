"""Errors and signals that end a run early."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from posekit.errors import ConfigError, DataError
from posekit.training import interrupts
from posekit.training.interrupts import Stopped, catch_signals, first_error_only, readable_errors


@pytest.mark.parametrize(
    "message",
    [
        "DataLoader worker (pid 7) is killed by signal: Killed. ",
        "DataLoader worker (pid(s) 7, 8) exited unexpectedly",
        "Pin memory thread exited unexpectedly",
    ],
)
def test_a_dead_worker_is_reported_in_one_line(message):
    with pytest.raises(Stopped, match=r"memory.*train\.workers") as caught, readable_errors():
        raise RuntimeError(message)
    assert "\n" not in str(caught.value)


def test_errors_raised_in_a_worker_and_other_errors_pass_unchanged():
    for message in ("Caught RuntimeError in DataLoader worker process 0.", "mat1 and mat2 shapes cannot be multiplied"):
        with pytest.raises(RuntimeError, match=message[:20]) as caught, readable_errors():
            raise RuntimeError(message)
        assert not isinstance(caught.value, Stopped)


@pytest.mark.parametrize(
    "error", [RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed"), torch.distributed.DistBackendError("NCCL")]
)
def test_a_dead_process_is_reported_and_sigterm_is_then_ignored(error):
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(Stopped, match="torchrun"), catch_signals(), readable_errors():
            raise error
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_failed_compilation_is_reported_in_one_line():
    from torch._dynamo.exc import BackendCompilerFailed

    class Failed(BackendCompilerFailed):
        def __init__(self):
            RuntimeError.__init__(self, "No working C++ compiler\n\nSet TORCHDYNAMO_VERBOSE=1")

    with pytest.raises(ConfigError, match=r"^train\.compile: .*\(No working C\+\+ compiler\).*false$"), readable_errors():
        raise Failed


def test_a_missing_compiler_and_full_memory_of_a_gpu_are_reported_in_one_line():
    from torch._inductor.exc import TritonMissing

    with pytest.raises(ConfigError, match=r"^train\.compile: .*triton.*false$"), readable_errors():
        raise TritonMissing(None)
    with pytest.raises(Stopped, match=r"train\.batch_size.*train\.accumulate"), readable_errors():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


def test_a_repeated_signal_counts_once_and_a_later_one_interrupts(monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    with catch_signals() as received:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # the same signal, forwarded by torchrun
        assert received[0] == signal.SIGTERM
        monkeypatch.setattr(interrupts, "_SAME_SIGNAL_S", 0.0)
        time.sleep(0.01)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.slow
def test_the_first_of_several_processes_to_fail_reports_its_error(monkeypatch):
    """The processes share a store, which the first process of torchrun hosts."""
    keeper = (
        "import torch, sys\n"
        "store = torch.distributed.TCPStore('localhost', 0, is_master=True)\n"
        "print(store.port, flush=True)\nsys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", keeper], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "run")
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", process.stdout.readline().strip())
    with pytest.raises(DataError), first_error_only():
        raise DataError("gone")
    with pytest.raises(SystemExit) as caught, first_error_only():
        raise ConfigError("wrong")
    assert caught.value.code == 2
    process.communicate("")
    monkeypatch.setattr(interrupts, "_STORE_TIMEOUT_S", 0.1)
    with pytest.raises(DataError), first_error_only():  # the store is gone, so every process reports its error
        raise DataError("gone")


def test_a_single_process_always_reports_its_error(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    for _ in range(2):
        with pytest.raises(DataError), first_error_only():
            raise DataError("gone")
