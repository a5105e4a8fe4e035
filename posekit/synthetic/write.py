"""Write a synthetic dataset of rendered images and annotations; an interrupted run leaves no incomplete dataset."""

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

# Increment this number whenever a change makes the same seed produce different files.
GENERATOR = 3
_RECIPE = "synthetic.json"
# Fractions of images with 0, 1 and 2 annotated people.
_ANNOTATED = (0.03, 0.86, 0.11)
_CHUNK = 8  # images per task of a worker


@dataclass(frozen=True)
class _Format:
    """Properties of a dataset format: image names, function that writes the annotations, and people per image."""

    image_name: str
    write: Callable[[Path, Sequence[RenderedImage], np.random.Generator], None]
    whole: bool = False  # every subject is in the image from head to foot
    single: bool = True  # exactly one annotated person per image


_FORMATS = {
    "mpii": _Format("{:09d}.jpg", write_mpii, single=False),
    "lsp": _Format("im{:04d}.jpg", write_lsp, whole=True),
    "lspet": _Format("im{:05d}.jpg", write_lspet),
}
FORMATS = tuple(_FORMATS)


def write_synthetic(
    out: str | Path, *, people: int, seed: int, format: str = "mpii", workers: int | None = None, progress: bool = True
) -> Path:
    """Render people and write a synthetic dataset in the format of MPII, LSP or LSPET.

    Equal arguments give bitwise equal files, for any number of workers. The dataset is written to a temporary folder, which
    is renamed to `out` when complete. If `out` already contains the same dataset, nothing is written.

    Parameters
    ----------
    out : str or Path
        Output folder. The files are ``images/``, ``annot/mpii_human_pose_v1_u12_1.mat`` (MPII) or ``joints.mat`` (LSP,
        LSPET), and ``synthetic.json`` with the arguments.
    people : int
        Number of annotated people. In format ``mpii``, some images have two annotated people and a few have none.
    seed : int
        Random seed, >= 0.
    format : {"mpii", "lsp", "lspet"}
        Dataset whose format is written.
    workers : int, optional
        Number of processes; by default, the number of processors.
    progress : bool
        Whether to show a progress bar on a terminal.

    Returns
    -------
    Path
        The output folder.

    Raises
    ------
    ConfigError
        If an argument is out of range.
    OutputError
        If the output folder contains other files or cannot be written.
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
        raise ConfigError(f"format {format!r} of the synthetic dataset: choose from {', '.join(_FORMATS)}")
    if people < 1:
        raise ConfigError(f"synthetic dataset of {people} people: expected at least 1")
    if seed < 0:
        raise ConfigError(f"seed {seed}: expected 0 or more")
    if workers is not None and workers < 1:
        raise ConfigError(f"{workers} workers: expected at least 1")


def _is_complete(out: Path, recipe: dict) -> bool:
    """Return whether the folder contains this dataset; raise `OutputError` if the folder contains anything else."""
    try:
        if not out.exists() or not any(out.iterdir()):
            return False
        existing = json.loads((out / _RECIPE).read_text(encoding="utf-8"))
        image_count = existing.pop("pictures")
        complete = len(list((out / "images").iterdir())) == image_count
    except (OSError, ValueError, TypeError, AttributeError, LookupError):
        raise OutputError(f"{out}: the folder is not empty and not a complete synthetic dataset; choose another folder") from None
    if existing != recipe:
        raise OutputError(
            f"{out}: contains a different synthetic dataset ({_describe(existing)}; requested: {_describe(recipe)}); "
            "choose another folder or delete it"
        )
    if not complete:
        raise OutputError(f"{out}: images of the synthetic dataset are missing; delete the folder and run the command again")
    return True


def _describe(recipe: dict) -> str:
    return ", ".join(f"{name} {value}" for name, value in recipe.items())


@contextmanager
def _atomic_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder to write to; rename the folder to `out` at the end, or delete it after an error."""
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
    """Return the number of annotated people in each image."""
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
    bar = partial(tqdm, total=len(jobs), desc="rendering images", unit="image", disable=None if progress else True)
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
    # Forked workers need not import torch again, which would take longer than the rendering. The workers use neither torch
    # nor threads, so Python's warning about forking a process with several threads does not apply.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return context.Pool(workers, initializer=_leave_signals_to_parent)


def _leave_signals_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
