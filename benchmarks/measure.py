"""Time posekit and a yardstick in turn, with torch.utils.benchmark's synchronising timer.

`torch.utils.benchmark.Timer` runs a statement several times before each result, so it cannot alternate single executions.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.utils.benchmark import set_torch_threads, timer
from tqdm.auto import tqdm


def time_ms(work: Callable[[], object]) -> float:
    """Milliseconds that the work takes, until the device has finished it."""
    start = timer()
    work()
    return 1000 * (timer() - start)


def interleave(
    works: Mapping[str, Callable[[], object]], rounds: int, *, title: str, threads: int | None = None, per: int = 1
) -> dict[str, list[float]]:
    """Run every work once to warm up, then all in turn, and return by name the milliseconds of each round, divided by `per`.

    `threads` is the number of threads in which torch computes, if not the default.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    with set_torch_threads(threads or torch.get_num_threads()):
        for _ in tqdm(range(rounds + 1), desc=title, unit="round", leave=False):
            for name, work in works.items():
                times[name].append(time_ms(work) / per)
    return {name: values[1:] for name, values in times.items()}


def try_compile(part: str, function: Any, warm_up: Callable[[Any], object]) -> Any | None:
    """Compile a function or module and warm it up by one use; None, with a printed line, if torch.compile does not work here."""
    print(f"{part}: torch.compile ...", flush=True)
    try:
        compiled = torch.compile(function)
        warm_up(compiled)
    except RuntimeError as error:  # no compiler, or none that torch can use
        print(f"{part}: left out under torch.compile, which does not work here ({str(error).strip().splitlines()[0]})")
        return None
    return compiled
