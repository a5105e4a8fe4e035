"""Write the report as an HTML page."""

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
from posekit.images import cv2
from posekit.lab.report.people import (
    CLIPPED_AT,
    SMALL,
    THUMBNAIL,
    Gallery,
    PersonImages,
    gallery_cards,
    mean_errors,
    person_details,
    read_person_images,
    select_galleries,
)
from posekit.lab.report.sections import all_sections
from posekit.lab.report.tables import facts, interval, number, unit
from posekit.people import People
from posekit.scoring.score import Scores
from posekit.skeletons import Skeleton, joint_mapping

_ORIGIN = ("weights", "dataset", "split", "commit")  # keys of `details` shown in the protocol table
_PATHS = ("weights", "root", "predictions")  # keys of `details` whose values are paths


def write_report(
    folder: str | Path,
    models: Mapping[str, Scores],
    *,
    details: Mapping,
    heatmaps: Callable[[People], np.ndarray] | None = None,
    heatmap_skeleton: Skeleton | None = None,
) -> Path:
    """Write ``index.html``, a page that needs no network and no other file, and return the path of the page.

    The page shows scores, charts, and the worst, median and best people, ranked by mean error with each joint's error clipped
    at 1 reference size. If an image cannot be read, the page says so and draws the skeletons on a dark background.

    Parameters
    ----------
    folder : str or Path
        Output folder.
    models : mapping of str to Scores
        Model name as shown on the page -> scores. The first model is reported, and compared with the second model, if any.
    details : mapping
        The contents of ``metrics.json``.
    heatmaps : callable, optional
        Function from n people to the activated heatmaps of the reported model on each person's crop, (n, K, h, w) float32, at 1/4
        of the input resolution. Called once, with the people on the page whose images can be read.
    heatmap_skeleton : Skeleton, optional
        Skeleton with the K joints of the heatmaps; default: the people's skeleton.

    Raises
    ------
    PredictionsError
        If the two models are scored on different joints or people.
    OutputError
        If the page cannot be written.
    ValueError
        If the heatmaps do not have the shape (n, K, h, w).
    """
    name, scores = next(iter(models.items()))
    details = _strip_folders(details)
    errors = mean_errors(scores)
    galleries = select_galleries(scores, errors)
    images = _read_images(scores, galleries, heatmaps, heatmap_skeleton or scores.people.skeleton)
    views = {}
    for index in tqdm(images, desc="report", unit="person", disable=None):  # None: no bar unless stderr is a terminal
        views[index] = person_details(images[index], errors[index])
    protocol = {**details.get("protocol", {}), **{key: details.get(key) for key in _ORIGIN}}
    versions = {
        "posekit": __version__,
        "Python": platform.python_version(),
        "PyTorch": torch.__version__,
        "NumPy": np.__version__,
        "OpenCV": cv2.__version__,
    }
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(_asset("page.html")).render(
        name=name,
        scores=scores,
        headline=number(scores.pooled_mean),
        headline_interval=interval(scores.interval95),
        unit=unit(scores),
        n_joints=scores.n_joints,
        sections=all_sections(models, details),
        remarks=scores.remarks(),
        galleries=[(gallery, gallery_cards(gallery, views)) for gallery in galleries],
        views=views.values(),
        clipped_at=CLIPPED_AT,
        sizes={"small": SMALL, "thumbnail": THUMBNAIL},
        protocol=facts("Protocol", protocol),
        versions=facts("Versions", versions),
        json=json.dumps(details, indent=2, ensure_ascii=False, default=str),
        **_assets(),
    )
    path = Path(folder) / "index.html"
    with atomic_write(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8", errors="backslashreplace")  # file names can contain bytes that are not UTF-8
    return path


def _strip_folders(details: Mapping) -> dict:
    """Reduce paths to file names: the page may be published, so it must not contain folder names of this machine."""
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
    """Load the images and heatmaps of all people in the galleries, as a dictionary by person index in ascending order."""
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


def _assets() -> dict[str, Markup | str]:
    """Load the style sheet and the script, with the script's SHA-256 digest for the page's content security policy."""
    script = _asset("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {"style": Markup(_asset("style.css")), "script": Markup(script), "digest": digest}


def _asset(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
