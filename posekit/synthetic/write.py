"""Write a rendered data set, images and annotation, completely or not at all."""

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
from posekit.synthetic.annotations import RenderedImage, write_lsp, write_lspet, write_mpii
from posekit.synthetic.scene import render_scene

# Raise this whenever the same seed gives other files.
GENERATOR = 3
_RECIPE = "synthetic.json"
# Shares of images in which 0, 1 and 2 people are annotated.
_ANNOTATED = (0.03, 0.86, 0.11)
_CHUNK = 8  # images that a worker renders at a time


@dataclass(frozen=True)
class _Format:
    """File names, annotation writer and people of one kind of data set."""

    image_name: str
    write: Callable[[Path, Sequence[RenderedImage], np.random.Generator], None]
    whole: bool = False  # every subject from head to foot
    single: bool = True  # one annotated person in each image


_FORMATS = {
    "mpii": _Format("{:09d}.jpg", write_mpii, single=False),
    "lsp": _Format("im{:04d}.jpg", write_lsp, whole=True),
    "lspet": _Format("im{:05d}.jpg", write_lspet),
}
FORMATS = tuple(_FORMATS)


def write_synthetic(
    out: str | Path, *, people: int, seed: int, format: str = "mpii", workers: int | None = None, progress: bool = True
) -> Path:
    """Render people and write them as an MPII, LSP or LSPET data set.

    The same arguments give the same files, to the bit, for any number of workers. The folder
    appears when it is complete; a folder that holds the same set already is left unchanged.

    Parameters
    ----------
    out : str or Path
        Folder to write: ``images/`` and ``annot/mpii_human_pose_v1_u12_1.mat``, or ``joints.mat``;
        and ``synthetic.json`` with the arguments.
    people : int
        Number of annotated people. In ``mpii`` some share an image, and a few images have no annotated person.
    seed : int
    format : {"mpii", "lsp", "lspet"}
    workers : int, optional
        Processes; by default one for each processor.
    progress : bool
        Whether to show a progress bar on a terminal.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ConfigError
        If an argument is out of range.
    OutputError
        If the folder holds other files, or cannot be written.
    """
    out = Path(out)
    _require_arguments(people, seed, format, workers)
    recipe = {"generator": GENERATOR, "format": format, "people": people, "seed": seed}
    if _is_complete(out, recipe):
        return out
    with _atomic_folder(out) as folder:
        images = _render(folder, _people_per_image(people, seed, format), seed, format, workers or processors(), progress)
        _FORMATS[format].write(folder, images, np.random.default_rng([seed, len(images), 1]))
        (folder / _RECIPE).write_text(json.dumps({**recipe, "pictures": len(images)}) + "\n", encoding="utf-8")
    return out


def _require_arguments(people: int, seed: int, format: str, workers: int | None) -> None:
    if format not in _FORMATS:
        raise ConfigError(f"format {format!r} of a synthetic set: choose from {', '.join(_FORMATS)}")
    if people < 1:
        raise ConfigError(f"a synthetic set of {people} people: give 1 or more")
    if seed < 0:
        raise ConfigError(f"seed {seed}: give 0 or more")
    if workers is not None and workers < 1:
        raise ConfigError(f"{workers} workers: give 1 or more")


def _is_complete(out: Path, recipe: dict) -> bool:
    """Whether the folder holds this set. Raises `OutputError` if it holds anything else."""
    try:
        if not out.exists() or not any(out.iterdir()):
            return False
        existing = json.loads((out / _RECIPE).read_text(encoding="utf-8"))
        image_count = existing.pop("pictures")
        complete = len(list((out / "images").iterdir())) == image_count
    except (OSError, ValueError, TypeError, AttributeError, LookupError):
        raise OutputError(f"{out}: not empty, and no complete synthetic set; choose another folder") from None
    if existing != recipe:
        raise OutputError(
            f"{out}: holds another synthetic set ({_describe(existing)}; requested: {_describe(recipe)}); "
            "choose another folder or delete it"
        )
    if not complete:
        raise OutputError(f"{out}: images of the synthetic set are missing; delete the folder to write it again")
    return True


def _describe(recipe: dict) -> str:
    return ", ".join(f"{name} {value}" for name, value in recipe.items())


@contextmanager
def _atomic_folder(out: Path) -> Iterator[Path]:
    """Yield a folder to write into, and move it to `out` when it is complete."""
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


def _people_per_image(people: int, seed: int, format: str) -> list[int]:
    """Number of annotated people in each image."""
    if _FORMATS[format].single:
        return [1] * people
    rng = np.random.default_rng(seed)
    counts: list[int] = []
    remaining = people
    while remaining:
        count = min(int(rng.choice(len(_ANNOTATED), p=_ANNOTATED)), remaining)
        counts.append(count)
        remaining -= count
    return counts


def _render(
    folder: Path, people_per_image: Sequence[int], seed: int, format: str, workers: int, progress: bool
) -> list[RenderedImage]:
    render = partial(_render_image, folder / "images", seed, format)
    jobs = list(enumerate(people_per_image))
    bar = partial(tqdm, total=len(jobs), desc="rendering people", unit="image", disable=None if progress else True)
    workers = min(workers, -(-len(jobs) // _CHUNK))
    if workers == 1:
        return list(bar(map(render, jobs)))
    with _pool(workers) as pool:
        return list(bar(pool.imap(render, jobs, chunksize=_CHUNK)))


def _render_image(folder: Path, seed: int, format: str, job: tuple[int, int]) -> RenderedImage:
    index, subjects = job
    rules = _FORMATS[format]
    scene = render_scene(np.random.default_rng([seed, index]), subjects=max(subjects, 1), whole=rules.whole)
    name = rules.image_name.format(index + 1)
    _, data = cv2.imencode(".jpg", scene.image, [cv2.IMWRITE_JPEG_QUALITY, scene.jpeg_quality])
    (folder / name).write_bytes(data.tobytes())
    return RenderedImage(name, scene.people[:subjects], scene.people[subjects:])


def _pool(workers: int) -> multiprocessing.pool.Pool:
    # Forked workers start without importing torch again, which would take longer than the rendering. They use
    # neither torch nor threads, so Python's warning about forking with threads does not apply.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return context.Pool(workers, initializer=_leave_signals_to_parent)


def _leave_signals_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
