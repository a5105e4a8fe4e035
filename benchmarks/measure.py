"""Time posekit and a yardstick alternately.

`torch.utils.benchmark.Timer` repeats a statement for each result, so it cannot alternate single runs of two statements. This
module uses only `torch.utils.benchmark.timer`, which reads the clock after the GPU has finished.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.utils.benchmark import set_torch_threads, timer
from tqdm.auto import tqdm


def time_ms(work: Callable[[], object]) -> float:
    """Return the milliseconds that a call of `work` takes, including its computations on the GPU."""
    start = timer()
    work()
    return 1000 * (timer() - start)


def interleave(
    works: Mapping[str, Callable[[], object]], rounds: int, *, title: str, threads: int | None = None, per: int = 1
) -> dict[str, list[float]]:
    """Time several functions alternately, after one call of each to warm up.

    Parameters
    ----------
    works : mapping of str to callable
        Functions to time, by name.
    rounds : int
        Number of timed calls of each function.
    title : str
        Text of the progress bar.
    threads : int, optional
        Number of torch's threads; by default, the number is not changed.
    per : int
        Number by which the times are divided, e.g. people per call.

    Returns
    -------
    dict of str to list of float
        Milliseconds / `per` of each call, by name.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    with set_torch_threads(threads or torch.get_num_threads()):
        for _ in tqdm(range(rounds + 1), desc=title, unit="round", leave=False):
            for name, work in works.items():
                times[name].append(time_ms(work) / per)
    return {name: values[1:] for name, values in times.items()}


def try_compile(part: str, function: Any, warm_up: Callable[[Any], object]) -> Any | None:
    """Compile a function or module and call `warm_up` with it; if torch.compile fails, print a line and return None."""
    print(f"{part}: torch.compile ...", flush=True)
    try:
        compiled = torch.compile(function)
        warm_up(compiled)
    except RuntimeError as error:  # e.g. no C++ compiler is installed
        print(f"{part}: not measured with torch.compile, which does not work here ({str(error).strip().splitlines()[0]})")
        return None
    return compiled
