"""From scores to the page."""

import base64
import hashlib
import json
import platform
from collections.abc import Callable, Mapping
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
from posekit.lab.report import persons
from posekit.lab.report.pictures import SMALL, THUMBNAIL, Pictures, read_pictures
from posekit.lab.report.sections import all_sections
from posekit.lab.report.tables import facts, interval, number, unit
from posekit.lab.report.views import Viewer
from posekit.opencv import cv2
from posekit.people import People
from posekit.scoring.score import Scores
from posekit.skeletons import Skeleton, joint_mapping

# Of the details, besides the protocol.
_ORIGIN = ("weights", "dataset", "split", "commit")
_PATHS = ("weights", "root", "predictions")


def write_report(
    folder: str | Path,
    models: Mapping[str, Scores],
    *,
    details: Mapping,
    heatmaps: Callable[[People], np.ndarray] | None = None,
    heatmap_skeleton: Skeleton | None = None,
) -> Path:
    """Write ``index.html``, one page with everything inside: it needs no network and no other file.

    It shows the worst, the median and the best persons by the mean of their errors, each clipped at 1
    reference size, whether or not their photograph can be read: where it cannot, the skeletons are drawn
    on a dark ground, and the page says so.

    Parameters
    ----------
    folder : str or Path
    models : mapping of str to Scores
        The model that is reported, by the name that the page prints; and, if there is a second, what it is compared with.
    details : mapping
        The contents of ``metrics.json``.
    heatmaps : callable, optional
        n people -> (n, K, h, w) float32 activated maps of the model that is reported, in the frame of each person's crop and
        four times smaller. It is asked once, for those shown whose photograph can be read.
    heatmap_skeleton : Skeleton, optional
        K joints: what the maps are of, if not of the joints of the people.

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
    (name, scores), *_ = models.items()
    details = _without_folders(details)
    viewer = Viewer(scores, persons.mean_errors(scores), scores.diagnosis, scores.double_counting)
    categories = persons.chosen(scores, viewer.errors, viewer.double)
    pictures = _pictures(scores, categories, heatmaps, heatmap_skeleton or scores.people.skeleton)
    # disable=None: no bar where stderr is no terminal.
    bar = tqdm(pictures.items(), desc="report", unit="person", disable=None)
    views = {index: viewer.details(one) for index, one in bar}
    page = _template().render(
        name=name,
        scores=scores,
        headline=number(scores.pooled_mean),
        headline_interval=interval(scores.interval95),
        unit=unit(scores),
        n_joints=scores.pck.counts[list(scores.mean_joints)].sum(),
        sections=all_sections(models, viewer.diagnosis, viewer.double, details),
        remarks=scores.remarks(),
        galleries=[(category, viewer.cards(category, pictures, views)) for category in categories],
        views=views.values(),
        clipped_at=persons.CLIPPED_AT,
        sizes={"small": SMALL, "thumbnail": THUMBNAIL},
        protocol=facts("Protocol", {**details.get("protocol", {}), **{key: details.get(key) for key in _ORIGIN}}),
        versions=facts("Versions", _versions()),
        json=json.dumps(details, indent=2, ensure_ascii=False, default=str),
        **_assets(),
    )
    path = Path(folder) / "index.html"
    with atomic_write(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8", errors="backslashreplace")  # names of files may be any bytes
    return path


def _without_folders(details: Mapping) -> dict:
    """The page may go anywhere, and the folders of this machine are nobody's business."""
    shown = {key: _without_folders(value) if isinstance(value, Mapping) else value for key, value in details.items()}
    return shown | {key: Path(shown[key]).name for key in _PATHS if isinstance(shown.get(key), str)}


def _pictures(
    scores: Scores,
    categories: list[persons.Category],
    heatmaps: Callable[[People], np.ndarray] | None,
    skeleton: Skeleton,
) -> dict[int, Pictures]:
    """By the persons' places, in ascending order."""
    indices = sorted({int(index) for category in categories for index in category.persons})
    pictures = {index: read_pictures(scores, index) for index in indices}
    readable = [index for index, one in pictures.items() if one.problem is None]
    if heatmaps is None or not readable:
        return pictures
    maps = heatmaps(scores.people.select(np.array(readable)))
    if maps.ndim != 4 or maps.shape[:2] != (len(readable), len(skeleton)):
        raise ValueError(
            f"heatmaps: expected ({len(readable)}, {len(skeleton)}, h, w) for skeleton {skeleton.name}, got {maps.shape}"
        )
    source = joint_mapping(skeleton, scores.people.skeleton)
    maps = np.where((source >= 0)[:, None, None], maps[:, source], np.float32("nan"))
    return pictures | {index: replace(pictures[index], maps=own) for index, own in zip(readable, maps, strict=True)}


def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_asset("page.html"))


def _assets() -> dict[str, Markup | str]:
    """Style and script, and the script's digest: the page runs no other."""
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
