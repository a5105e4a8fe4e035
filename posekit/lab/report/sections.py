"""Sections of the page: charts as inline SVG, and tables."""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup

from posekit.drawing import curves as draw
from posekit.lab.report import tables
from posekit.lab.report.tables import Table, spaced
from posekit.scoring.analysis import diagnosis_shares, double_shares
from posekit.scoring.compare import PairedComparison
from posekit.scoring.score import Scores

_CURVE_POINTS = 101
_MAX_GROUP_CURVES = 8  # with more groups, only the curve of the mean is drawn
# Matplotlib's colour -> CSS colour, because the page may be light or dark.
_COLOURS = {"#000000": "currentColor", "#ffffff": "var(--card)"}
_ID = re.compile(r'(id="|url\(#|href="#)')


@dataclass(frozen=True)
class Chart:
    """An SVG element with its caption."""

    svg: Markup
    caption: str


@dataclass(frozen=True)
class Section:
    """A section of the page; `id` is the target of links to the section."""

    id: str
    heading: str
    text: str = ""
    charts: list[Chart] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


def all_sections(models: Mapping[str, Scores], details: Mapping) -> list[Section]:
    """Return the sections of the page that have content, in order; for the parameters see `write_report`."""
    names = tuple(models)
    scores = models[names[0]]
    totals = [tables.totals(scores), tables.groups(scores), tables.joints(scores), tables.directions(scores)]
    sections = [
        Section("scores", "Scores", tables=totals),
        Section("errors", "Errors and confidence", charts=error_charts(scores)),
        _diagnosis(models, names[0]),
    ]
    if scores.double_counting is not None:
        sections.append(_double_counting(models, names[0]))
    if len(names) > 1:
        sections.append(_comparison(scores, models[names[1]], (names[0], names[1])))
    if "conventions" in details:
        sections.append(Section("conventions", "Conventions", tables=[tables.conventions(details["conventions"])]))
    if "oks" in details:
        sections.append(Section("oks", "COCO average precision", tables=[tables.facts("OKS", details["oks"])]))
    return sections


def _diagnosis(models: Mapping[str, Scores], name: str) -> Section:
    scores = models[name]
    threshold = scores.pck.threshold
    text = (
        f"Good: within {threshold:g} {tables.unit(scores)}s of the true joint. Inversion: within the same distance of the person's "
        f"opposite joint. Jitter: within {2 * threshold:g} {tables.unit(scores)}s of the true joint. Miss: all other errors. "
        f"{scores.diagnosis.n_mirrored:,} of {scores.n_persons:,} people would score better with left and right swapped. "
        f"The table shows {name}."
    )
    shares = {model: diagnosis_shares(scores) for model, scores in models.items()}
    chart = _chart(draw.diagnosis_bars(shares), "diagnosis", "Share of each kind of error in each joint group.")
    return Section("diagnosis", "Kinds of error", text, [chart], [tables.diagnosis(scores)])


def _double_counting(models: Mapping[str, Scores], name: str) -> Section:
    scores = models[name]
    text = (
        f"A heatmap has several peaks if a second peak is at least half as high as the highest peak and at least "
        f"{scores.pck.threshold:g} {tables.unit(scores)}s away from the highest peak. The table shows {name}."
    )
    shares = {}
    for model, model_scores in models.items():
        if model_scores.double_counting is not None:
            shares[model] = double_shares(model_scores, model_scores.double_counting)
    caption = "Heatmaps with several peaks, and which joints the peaks lie on."
    chart = _chart(draw.double_counting_bars(shares), "double-counting", caption)
    return Section("double-counting", "Double counting", text, [chart], [tables.double_counting(scores)])


def _comparison(first: Scores, second: Scores, names: tuple[str, str]) -> Section:
    paired = PairedComparison(first, second)
    text = (
        f"A is {names[0]}, B is {names[1]}, both evaluated on the same people. Intervals are from a paired bootstrap over people."
    )
    differences = {}
    for group, row in {**paired.groups, "Mean": paired.total}.items():
        differences[group] = (row.difference, row.low, row.high)
    curves = {name: _curve(scores, scores.mean_joints) for name, scores in zip(names, (first, second), strict=True)}
    figure = draw.pck_curves(curves, metric=first.metric, threshold=first.pck.threshold, reference=first.reference)
    charts = [
        _chart(draw.difference_bars(differences), "differences", f"{names[0]} minus {names[1]}, in percentage points."),
        _chart(figure, "both-curves", "Pooled mean of both models at each threshold."),
    ]
    return Section("comparison", "Comparison", text, charts, [tables.comparison(paired, names)])


def error_charts(scores: Scores) -> list[Chart]:
    """Draw the PCK curves, a bar per joint, the error histogram and, if predictions have scores, the reliability diagram."""
    pck = scores.pck
    mean_joints = list(scores.mean_joints)
    groups = scores.people.skeleton.group_indices
    curves = {"Mean": _curve(scores, scores.mean_joints)}
    if len(groups) <= _MAX_GROUP_CURVES:
        curves |= {name: _curve(scores, joints) for name, joints in groups.items()}
    joints = {spaced(joint): percent for joint, percent in scores.joints.items()}
    curve_figure = draw.pck_curves(curves, metric=scores.metric, threshold=pck.threshold, reference=scores.reference)
    error_figure = draw.error_histogram(pck.errors[:, mean_joints], threshold=pck.threshold, reference=scores.reference)
    charts = [
        _chart(curve_figure, "curves", "Score at each threshold, pooled over the joints of each curve."),
        _chart(draw.joint_bars({"": joints}, metric=scores.metric), "joints", f"{scores.metric} of each joint."),
        _chart(error_figure, "errors", "Distances to the true joints, for all joints that the means include."),
    ]
    counted = pck.counted[:, mean_joints]
    confidences = scores.predictions.scores[:, mean_joints][counted]
    if np.isfinite(confidences).any():
        figure = draw.reliability(confidences, pck.correct[:, mean_joints][counted])
        caption = "Reliability: share of correct joints in each bin of scores; all bins hold equally many joints."
        charts.append(_chart(figure, "reliability", caption))
    return charts


def _curve(scores: Scores, joints: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    thresholds = np.linspace(0, max(scores.pck.threshold, scores.pck.auc_thresholds[-1]), _CURVE_POINTS)
    return thresholds, scores.pck.curve(thresholds, joints)


def _chart(figure, name: str, caption: str) -> Chart:
    return Chart(inline_svg(figure, name), caption)


def inline_svg(figure, name: str) -> Markup:
    """Convert a matplotlib figure to an SVG element whose black and white follow the colour scheme of the page.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    name : str
        Prefix of the ids inside the SVG; must be unique on the page.
    """
    from matplotlib import rc_context

    text = io.StringIO()
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "posekit"}):
        figure.savefig(text, format="svg", transparent=True, metadata=no_metadata)
    svg = text.getvalue()
    svg = _ID.sub(rf"\g<1>{name}-", svg[svg.index("<svg") :])
    for colour, replacement in _COLOURS.items():
        svg = svg.replace(colour, replacement)
    return Markup(svg)
