"""Writing a rendered data set: pictures and annotation, whole or not at all."""

import json
import multiprocessing.pool
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from posekit.errors import ConfigError, OutputError
from posekit.machine import processors
from posekit.opencv import cv2
from posekit.synthetic.annotations import Picture, write_lsp, write_lspet, write_mpii
from posekit.synthetic.scene import render_scene

# To be raised whenever the same seed gives other files.
GENERATOR = 3
_RECIPE = "synthetic.json"
# Shares of pictures in which 0, 1 and 2 people are annotated.
_ANNOTATED = (0.03, 0.86, 0.11)
_AT_ONCE = 8


@dataclass(frozen=True)
class _Format:
    """How a kind of data set names its pictures, and who writes its annotation."""

    picture_name: str
    first: int
    write: Callable[[Path, Sequence[Picture], np.random.Generator], None]
    whole: bool = False
    single: bool = True


_FORMATS = {
    "mpii": _Format("{:09d}.jpg", 1, write_mpii, single=False),
    "lsp": _Format("im{:04d}.jpg", 1, write_lsp, whole=True),
    "lspet": _Format("im{:05d}.jpg", 1, write_lspet),
}
FORMATS = tuple(_FORMATS)


def write_synthetic(
    out: str | Path, *, people: int, seed: int, format: str = "mpii", workers: int | None = None, progress: bool = True
) -> Path:
    """Render people and write them as a genuine MPII, LSP or LSPET data set.

    The same arguments give the same files, to the bit, whatever the number of workers. The folder
    appears when it is complete; a folder that holds the very same set already is left as it is.

    Parameters
    ----------
    out : str or Path
        Folder to write: ``images/`` and ``annot/mpii_human_pose_v1_u12_1.mat``, or ``joints.mat``;
        and ``synthetic.json``, which says what was asked for.
    people : int
        How many people to annotate. In ``mpii`` some share a picture, and a few pictures have nobody annotated.
    seed : int
    format : {"mpii", "lsp", "lspet"}
    workers : int, optional
        Processes; as many as there are processors if None.
    progress : bool
        Whether to show a bar on a terminal.

    Returns
    -------
    Path : the folder.

    Raises
    ------
    ConfigError
        If an argument is out of range.
    OutputError
        If the folder holds anything else, or cannot be written.
    """
    out = Path(out)
    _require_arguments(people, seed, format, workers)
    recipe = {"generator": GENERATOR, "format": format, "people": people, "seed": seed}
    if _is_there(out, recipe):
        return out
    with _appearing(out) as folder:
        pictures = _render(folder, _plan(people, seed, format), seed, format, workers or processors(), progress)
        _FORMATS[format].write(folder, pictures, np.random.default_rng([seed, len(pictures), 1]))
        (folder / _RECIPE).write_text(json.dumps({**recipe, "pictures": len(pictures)}) + "\n", encoding="utf-8")
    return out


def _require_arguments(people: int, seed: int, format: str, workers: int | None) -> None:
    if format not in _FORMATS:
        raise ConfigError(f"no format {format!r} for a synthetic set; there are {', '.join(_FORMATS)}")
    if people < 1:
        raise ConfigError(f"a synthetic set of {people} people: give 1 or more")
    if seed < 0:
        raise ConfigError(f"seed {seed}: give 0 or more")
    if workers is not None and workers < 1:
        raise ConfigError(f"{workers} workers: give 1 or more")


def _is_there(out: Path, recipe: dict) -> bool:
    """Whether the folder holds this very set. Raises `OutputError` if it holds anything else."""
    try:
        if not out.exists() or not any(out.iterdir()):
            return False
        found = json.loads((out / _RECIPE).read_text(encoding="utf-8"))
        pictures = found.pop("pictures")
        complete = len(list((out / "images").iterdir())) == pictures
    except (OSError, ValueError, TypeError, AttributeError, LookupError):
        raise OutputError(f"{out}: holds something other than a complete synthetic set; choose another folder") from None
    if found != recipe:
        asked, there = (", ".join(f"{name} {value}" for name, value in each.items()) for each in (recipe, found))
        raise OutputError(f"{out}: holds another synthetic set ({there}; asked for: {asked}); choose another folder or delete it")
    if not complete:
        raise OutputError(f"{out}: the synthetic set there has lost pictures; delete the folder to have it written again")
    return True


@contextmanager
def _appearing(out: Path) -> Iterator[Path]:
    """Give a folder to write into, and move it to `out` once it is whole."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
            folder = Path(temporary) / out.name
            (folder / "images").mkdir(parents=True)
            yield folder
            if out.exists():
                out.rmdir()
            folder.replace(out)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error.strerror or error}); choose another folder") from error


def _plan(people: int, seed: int, format: str) -> list[int]:
    """How many people are annotated in each picture."""
    if _FORMATS[format].single:
        return [1] * people
    rng = np.random.default_rng(seed)
    plan, left = [], people
    while left:
        plan.append(min(int(rng.choice(len(_ANNOTATED), p=_ANNOTATED)), left))
        left -= plan[-1]
    return plan


def _render(folder: Path, plan: Sequence[int], seed: int, format: str, workers: int, progress: bool) -> list[Picture]:
    render = partial(_render_picture, folder / "images", seed, format)
    jobs = list(enumerate(plan))
    bar = partial(tqdm, total=len(jobs), desc="rendering people", unit="picture", disable=None if progress else True)
    workers = min(workers, -(-len(jobs) // _AT_ONCE))
    if workers == 1:
        return list(bar(map(render, jobs)))
    with _pool(workers) as pool:
        return list(bar(pool.imap(render, jobs, chunksize=_AT_ONCE)))


def _render_picture(folder: Path, seed: int, format: str, job: tuple[int, int]) -> Picture:
    index, annotated = job
    rules = _FORMATS[format]
    scene = render_scene(np.random.default_rng([seed, index]), subjects=max(annotated, 1), whole=rules.whole)
    name = rules.picture_name.format(index + rules.first)
    _, data = cv2.imencode(".jpg", scene.image, [cv2.IMWRITE_JPEG_QUALITY, scene.jpeg_quality])
    (folder / name).write_bytes(data)
    return Picture(name, scene.people[:annotated], scene.people[annotated:])


def _pool(workers: int) -> multiprocessing.pool.Pool:
    # Forked workers need not import torch again, which would take longer than the rendering; they run
    # neither torch nor threads, so what Python warns of when threads are around does not concern them.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return context.Pool(workers, initializer=_leave_signals_to_parent)


def _leave_signals_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
