"""Write a synthetic data set: rendered images, and an annotation file in the format of MPII, LSP or LSPET.

An interrupted run leaves no incomplete data set.
"""

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
from scipy.io import savemat
from tqdm import tqdm

from posekit.choices import SYNTHETIC_FORMATS
from posekit.errors import ConfigError, OutputError
from posekit.images import cv2
from posekit.machine import processors
from posekit.skeletons import LSP14, MPII16, joint_mapping
from posekit.synthetic.body import STANCES
from posekit.synthetic.scene import RenderedPerson, render_scene

# Increment this number whenever a change makes the same seed produce different files.
_GENERATOR = 3
_RECIPE = "synthetic.json"
# Fractions of images with 0, 1 and 2 annotated people.
_ANNOTATED = (0.03, 0.86, 0.11)
_CHUNK = 8  # images per task of a worker
_EMPTY = np.empty((0, 0))
# As in MPII's file, a person's scale (in units of 200 px) is exactly 4.8 times the diagonal of the head box.
_SCALE_PER_DIAGONAL = 4.8 / 200
_WITHOUT_VISIBILITY = (MPII16.index("upper_neck"), MPII16.index("head_top"))
_MEANINGLESS_PX = 130  # coordinates of joints that LSPET does not label are between minus this number and 0


@dataclass(frozen=True)
class _Image:
    """An image file in ``images/``, the people to annotate, and other people in the image, without annotated joints."""

    name: str
    subjects: tuple[RenderedPerson, ...]
    bystanders: tuple[RenderedPerson, ...]


# Annotation files


def _write_mpii(folder: Path, images: Sequence[_Image], rng: np.random.Generator) -> None:
    """Write MPII's ``.mat`` file, with 1-based pixel coordinates.

    The file has the irregularities of the original file: images without rectangles; test images, whose rectangles have only
    position and scale; rectangles without points; people with fewer than 16 points, since joints outside the image are
    missing; and ``is_visible`` as a number, a string, or empty (upper neck and head top).
    """
    training = np.array([bool(image.subjects) or rng.random() < 0.5 for image in images])
    elements = []
    single_person = []
    for image, train in zip(images, training, strict=True):
        rectangles = _rectangles(image, bool(train), rng)
        annotated = [i for i, rectangle in enumerate(rectangles, 1) if len(rectangle.get("annopoints", _EMPTY))]
        elements.append(
            {
                "image": _structs([{"name": image.name}]),
                "annorect": _structs(rectangles) if rectangles else _EMPTY,
                "frame_sec": _EMPTY,
                "vididx": 1.0,
            }
        )
        single_person.append(np.array(annotated, np.float64).reshape(-1, 1) if annotated else _EMPTY)
    release = {
        "annolist": _structs(elements),
        "img_train": training[None].astype(np.uint8),
        "version": "12",
        "single_person": _cells(single_person),
        "act": _structs([_activity(image) for image in images]).T,
        "video_list": _cells(["synthetic"]).T,
    }
    path = folder / "annot" / "mpii_human_pose_v1_u12_1.mat"
    path.parent.mkdir()
    savemat(path, {"RELEASE": _structs([release])}, do_compression=True, long_field_names=True)


def _rectangles(image: _Image, train: bool, rng: np.random.Generator) -> list[dict]:
    """Return the elements of an image's ``annorect``."""
    as_text = bool(rng.random() < 0.5)
    labelled = [_labelled(person, as_text, rng) for person in image.subjects]
    if not train:
        return [_position(person, rng) for person in image.bystanders[:1]]
    if not labelled:
        return []
    unlabelled = []
    for person in image.bystanders:
        if person.inside.any() and rng.random() < 0.4:
            unlabelled.append({**_head_box(person), "annopoints": _EMPTY, "scale": _EMPTY, "objpos": _EMPTY})
    return unlabelled + labelled if rng.random() < 0.3 else labelled + unlabelled


def _labelled(person: RenderedPerson, as_text: bool, rng: np.random.Generator) -> dict:
    points = []
    for joint in np.flatnonzero(person.inside).tolist():
        x, y = (person.joints[joint] + 1).tolist()
        visible = int(person.visible[joint])
        is_visible = _EMPTY if joint in _WITHOUT_VISIBILITY else str(visible) if as_text else visible
        points.append({"x": x, "y": y, "id": joint, "is_visible": is_visible})
    return {**_head_box(person), "annopoints": _structs([{"point": _structs(points)}]), **_position(person, rng)}


def _head_box(person: RenderedPerson) -> dict:
    return dict(zip(("x1", "y1", "x2", "y2"), (person.head_box + 1).tolist(), strict=True))


def _position(person: RenderedPerson, rng: np.random.Generator) -> dict:
    """Return scale and position: the centre of the joints inside the image, with noise of 1/20 of the extent of the joints."""
    joints = person.joints[person.inside] if person.inside.any() else person.joints
    low = joints.min(0)
    high = joints.max(0)
    x, y = (low + high) / 2 + 0.05 * (high - low).max() * rng.standard_normal(2) + 1
    diagonal = np.hypot(*(person.head_box[2:] - person.head_box[:2]))
    return {"scale": float(_SCALE_PER_DIAGONAL * diagonal), "objpos": _structs([{"x": float(x), "y": float(y)}])}


def _activity(image: _Image) -> dict:
    if not image.subjects:
        return {"act_name": _EMPTY, "cat_name": _EMPTY, "act_id": -1}
    stance = image.subjects[0].stance
    return {"act_name": stance, "cat_name": "synthetic", "act_id": list(STANCES).index(stance) + 1}


def _structs(entries: Sequence[dict]) -> np.ndarray:
    """Return a (1, N) MATLAB struct array; fields that are missing in an entry are empty."""
    names = list(dict.fromkeys(name for entry in entries for name in entry))
    array = np.empty((1, len(entries)), dtype=[(name, object) for name in names])
    for i, entry in enumerate(entries):
        array[0, i] = tuple(entry.get(name, _EMPTY) for name in names)
    return array


def _cells(values: Sequence) -> np.ndarray:
    """Return an (N, 1) MATLAB cell array."""
    array = np.empty((len(values), 1), dtype=object)
    for i, value in enumerate(values):
        array[i, 0] = value
    return array


def _write_lsp(folder: Path, images: Sequence[_Image], rng: np.random.Generator) -> None:
    """Write LSP's ``joints.mat``, (3, 14, N): x, y, occluded. Pixel coordinates are 0-based, as in the original file."""
    joints, visible, _ = _lsp_joints(images)
    savemat(folder / "joints.mat", {"joints": np.concatenate([joints.transpose(2, 1, 0), 1.0 - visible.T[None]])})


def _write_lspet(folder: Path, images: Sequence[_Image], rng: np.random.Generator) -> None:
    """Write LSPET's ``joints.mat``, (14, 3, N): x, y, labelled. Pixel coordinates are 0-based, as in the original file.

    Joints outside the image and half of the occluded joints are not labelled; the coordinates of unlabelled joints are meaningless.
    """
    joints, visible, inside = _lsp_joints(images)
    labelled = visible | (inside & (rng.random(inside.shape) < 0.5))
    meaningless = -rng.uniform(0, _MEANINGLESS_PX, joints.shape) * (rng.random(labelled.shape) < 0.5)[..., None]
    joints = np.where(labelled[..., None], joints, meaningless)
    table = np.concatenate([joints, labelled[..., None]], axis=2)
    savemat(folder / "joints.mat", {"joints": table.transpose(1, 2, 0)})


def _lsp_joints(images: Sequence[_Image]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the (N, 14, 2) joints in LSP's order, and two (N, 14) masks: visible joints, and joints inside the image."""
    order = joint_mapping(MPII16, LSP14)
    people = [image.subjects[0] for image in images]
    joints = np.stack([person.joints[order] for person in people])
    visible = np.stack([person.visible[order] for person in people])
    inside = np.stack([person.inside[order] for person in people])
    return joints, visible, inside


# The data set


@dataclass(frozen=True)
class _Format:
    """Properties of a data set format: image names, function that writes the annotations, and people per image."""

    image_name: str
    write: Callable[[Path, Sequence[_Image], np.random.Generator], None]
    whole: bool = False  # every subject is in the image from head to foot
    single: bool = True  # exactly one annotated person per image


_FORMATS = {
    "mpii": _Format("{:09d}.jpg", _write_mpii, single=False),
    "lsp": _Format("im{:04d}.jpg", _write_lsp, whole=True),
    "lspet": _Format("im{:05d}.jpg", _write_lspet),
}


def write_synthetic(
    out: str | Path, *, people: int, seed: int, format: str = "mpii", workers: int | None = None, progress: bool = True
) -> Path:
    """Render people and write a synthetic data set in the format of MPII, LSP or LSPET.

    Equal arguments give bitwise equal files, for any number of workers. The data set is written to a temporary folder, which
    is renamed to `out` when complete. If `out` already contains the same data set, nothing is written.

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
    workers : int, optional
        Number of processes; by default, the number of available CPU cores.
    progress : bool
        Whether to show a progress bar on a terminal.

    Returns
    -------
    Path : the output folder.

    Raises
    ------
    ConfigError
        If an argument is out of range.
    OutputError
        If the output folder contains other files or cannot be written.
    """
    out = Path(out)
    _require_arguments(people, seed, format, workers)
    recipe = {"generator": _GENERATOR, "format": format, "people": people, "seed": seed}
    if _is_complete(out, recipe):
        return out
    with _atomic_folder(out) as folder:
        images = _render(folder, _people_per_image(people, seed, format), seed, format, workers or processors(), progress)
        _FORMATS[format].write(folder, images, np.random.default_rng([seed, len(images), 1]))
        (folder / _RECIPE).write_text(json.dumps({**recipe, "pictures": len(images)}) + "\n", encoding="utf-8")
    return out


def _require_arguments(people: int, seed: int, format: str, workers: int | None) -> None:
    if format not in SYNTHETIC_FORMATS:
        raise ConfigError(f"format {format!r} of the synthetic data set: choose from {', '.join(SYNTHETIC_FORMATS)}")
    if people < 1:
        raise ConfigError(f"synthetic data set of {people} people: expected at least 1")
    if seed < 0:
        raise ConfigError(f"seed {seed}: expected 0 or more")
    if workers is not None and workers < 1:
        raise ConfigError(f"{workers} workers: expected at least 1")


def _is_complete(out: Path, recipe: dict) -> bool:
    """Return whether the folder contains this data set; raise `OutputError` if the folder contains anything else."""
    try:
        if not out.exists() or not any(out.iterdir()):
            return False
        existing = json.loads((out / _RECIPE).read_text(encoding="utf-8"))
        image_count = existing.pop("pictures")
        complete = len(list((out / "images").iterdir())) == image_count
    except (OSError, ValueError, TypeError, AttributeError, LookupError):
        raise OutputError(f"{out}: the folder is not empty and not a complete synthetic data set; choose another folder") from None
    if existing != recipe:
        raise OutputError(
            f"{out}: contains a different synthetic data set ({_describe(existing)}; requested: {_describe(recipe)}); "
            "choose another folder, or delete this folder"
        )
    if not complete:
        raise OutputError(f"{out}: images of the synthetic data set are missing; delete the folder and run the command again")
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


def _render(folder: Path, people_per_image: Sequence[int], seed: int, format: str, workers: int, progress: bool) -> list[_Image]:
    render = partial(_render_image, folder / "images", seed, format)
    jobs = list(enumerate(people_per_image))
    bar = partial(tqdm, total=len(jobs), desc="rendering images", unit="image", disable=None if progress else True)
    workers = min(workers, -(-len(jobs) // _CHUNK))
    if workers == 1:
        return list(bar(map(render, jobs)))
    with _pool(workers) as pool:
        return list(bar(pool.imap(render, jobs, chunksize=_CHUNK)))


def _render_image(folder: Path, seed: int, format: str, job: tuple[int, int]) -> _Image:
    index, subjects = job
    rules = _FORMATS[format]
    scene = render_scene(np.random.default_rng([seed, index]), subjects=max(subjects, 1), whole=rules.whole)
    name = rules.image_name.format(index + 1)
    _, data = cv2.imencode(".jpg", scene.image, [cv2.IMWRITE_JPEG_QUALITY, scene.jpeg_quality])
    (folder / name).write_bytes(data.tobytes())
    return _Image(name, scene.people[:subjects], scene.people[subjects:])


def _pool(workers: int) -> multiprocessing.pool.Pool:
    # Forked workers need not import torch again, which would take longer than rendering. The workers use neither torch nor
    # threads, so Python's warning about forking a process with several threads does not apply.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return context.Pool(workers, initializer=_leave_signals_to_parent)


def _leave_signals_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
