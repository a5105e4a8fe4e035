"""Taking times: interleaved, in milliseconds, when the device is done."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from tqdm.auto import tqdm

CPU = torch.device("cpu")


def settle(device: torch.device) -> None:
    """Wait until the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def time_ms(work: Callable[[], object], device: torch.device = CPU) -> float:
    """How long the work takes, until the device has done it."""
    settle(device)
    start = time.perf_counter()
    work()
    settle(device)
    return 1000 * (time.perf_counter() - start)


def per_second(work: Callable[[], object], seconds: float = 4.0) -> float:
    """How often the work is done in a second, measured over some, after once to warm up."""
    work()
    done, start = 0, time.perf_counter()
    while (taken := time.perf_counter() - start) < seconds:
        work()
        done += 1
    return done / taken


def interleave(
    works: Mapping[str, Callable[[], object]], rounds: int, *, title: str, device: torch.device = CPU
) -> dict[str, list[float]]:
    """Do each work once to warm up, then all of them in turn, round by round.

    Returns
    -------
    dict of str to (rounds,) list of float : milliseconds, under the names of the works.
    """
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in tqdm(range(rounds + 1), desc=title, unit="round", leave=False):
        for name, work in works.items():
            taken[name].append(time_ms(work, device))
    return {name: times[1:] for name, times in taken.items()}


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch compute in this many threads, for a while: yardsticks of one thread are for posekit in one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def try_compile(part: str, function: Callable, warm_up: Callable[[Callable], object]) -> Callable | None:
    """The function under torch.compile, warmed up by one use; or None, and a line that says why it does not work here."""
    print(f"{part}: torch.compile at work ...", flush=True)
    try:
        compiled = torch.compile(function)
        warm_up(compiled)
    except RuntimeError as error:  # no compiler, or none that torch can use
        print(f"{part}: left out under torch.compile, which does not work here ({str(error).strip().splitlines()[0]})")
        return None
    return compiled
