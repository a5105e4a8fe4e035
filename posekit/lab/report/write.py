"""Writes the report's HTML page."""

import base64
import hashlib
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import jinja2
import numpy as np
import torch
from markupsafe import Markup
from tqdm import tqdm

from posekit import __version__
from posekit.files import atomic_write
from posekit.lab.report.galleries import CLIPPED_AT, Gallery, mean_errors, select_galleries
from posekit.lab.report.images import SMALL, THUMBNAIL, PersonImages, read_person_images
from posekit.lab.report.sections import all_sections
from posekit.lab.report.tables import facts, interval, number, unit
from posekit.lab.report.views import Viewer
from posekit.opencv import cv2
from posekit.people import People
from posekit.scoring.score import Scores
from posekit.skeletons import Skeleton, joint_mapping

_ORIGIN = ("weights", "dataset", "split", "commit")  # details shown beside the protocol
_PATHS = ("weights", "root", "predictions")  # details that are paths


def write_report(
    folder: str | Path,
    models: Mapping[str, Scores],
    *,
    details: Mapping,
    heatmaps: Callable[[People], np.ndarray] | None = None,
    heatmap_skeleton: Skeleton | None = None,
) -> Path:
    """Write ``index.html``, a single page that needs no network and no other file.

    It shows the worst, median and best people by the mean of their errors, each clipped at 1 reference size. Where an image
    cannot be read, the skeletons are drawn on a dark background, and the page reports it.

    Parameters
    ----------
    folder : str or Path
    models : mapping of str to Scores
        Scores by the model's name on the page: the reported model first, then optionally one to compare it with.
    details : mapping
        The contents of ``metrics.json``.
    heatmaps : callable, optional
        n people -> (n, K, h, w) float32 activated maps of the reported model, in the frame of each person's crop and four times
        smaller. Called once, with the people shown whose image can be read.
    heatmap_skeleton : Skeleton, optional
        K joints of the maps; the people's skeleton by default.

    Returns
    -------
    Path : of the page.

    Raises
    ------
    PredictionsError
        If the second model is scored on other joints or people.
    OutputError
        If the page cannot be written.
    ValueError
        If the heatmaps are not (n, K, h, w).
    """
    name, scores = next(iter(models.items()))
    details = _strip_folders(details)
    errors = mean_errors(scores)
    galleries = select_galleries(scores, errors, scores.double_counting)
    images = _read_images(scores, galleries, heatmaps, heatmap_skeleton or scores.people.skeleton)
    viewer = Viewer(scores, errors, scores.diagnosis, scores.double_counting)
    views = {}
    for index in tqdm(images, desc="report", unit="person", disable=None):  # None: no bar if stderr is no terminal
        views[index] = viewer.details(images[index])
    protocol = {**details.get("protocol", {}), **{key: details.get(key) for key in _ORIGIN}}
    page = _template().render(
        name=name,
        scores=scores,
        headline=number(scores.pooled_mean),
        headline_interval=interval(scores.interval95),
        unit=unit(scores),
        n_joints=scores.n_joints,
        sections=all_sections(models, details),
        remarks=scores.remarks(),
        galleries=[(gallery, viewer.cards(gallery, images, views)) for gallery in galleries],
        views=views.values(),
        clipped_at=CLIPPED_AT,
        sizes={"small": SMALL, "thumbnail": THUMBNAIL},
        protocol=facts("Protocol", protocol),
        versions=facts("Versions", _versions()),
        json=json.dumps(details, indent=2, ensure_ascii=False, default=str),
        **_assets(),
    )
    path = Path(folder) / "index.html"
    with atomic_write(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8", errors="backslashreplace")  # file names may be any bytes
    return path


def _strip_folders(details: Mapping) -> dict:
    """Reduce paths to file names: the page may be published, and must not name folders of this machine."""
    stripped = {}
    for key, value in details.items():
        if isinstance(value, Mapping):
            value = _strip_folders(value)
        elif key in _PATHS and isinstance(value, str):
            value = Path(value).name
        stripped[key] = value
    return stripped


def _read_images(
    scores: Scores,
    galleries: Sequence[Gallery],
    heatmaps: Callable[[People], np.ndarray] | None,
    skeleton: Skeleton,
) -> dict[int, PersonImages]:
    """Images of all people in the galleries, by index in ascending order."""
    indices: set[int] = set()
    for gallery in galleries:
        indices.update(gallery.persons.tolist())
    images = {index: read_person_images(scores, index) for index in sorted(indices)}
    readable = [index for index, person in images.items() if person.problem is None]
    if heatmaps is None or not readable:
        return images
    maps = heatmaps(scores.people.select(np.array(readable)))
    if maps.ndim != 4 or maps.shape[:2] != (len(readable), len(skeleton)):
        expected = f"({len(readable)}, {len(skeleton)}, h, w) for skeleton {skeleton.name}"
        raise ValueError(f"heatmaps: expected {expected}, got {maps.shape}")
    source = joint_mapping(skeleton, scores.people.skeleton)
    maps = np.where((source >= 0)[:, None, None], maps[:, source], np.float32("nan"))
    for index, person_maps in zip(readable, maps, strict=True):
        images[index] = replace(images[index], maps=person_maps)
    return images


def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_asset("page.html"))


def _assets() -> dict[str, Markup | str]:
    """Style, script, and the digest of the only script that the page may run."""
    script = _asset("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {"style": Markup(_asset("style.css")), "script": Markup(script), "digest": digest}


def _asset(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _versions() -> dict[str, str]:
    return {
        "posekit": __version__,
        "Python": platform.python_version(),
        "PyTorch": torch.__version__,
        "NumPy": np.__version__,
        "OpenCV": cv2.__version__,
    }
