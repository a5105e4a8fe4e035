"""The report's figures, ready for the page."""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from posekit.drawing import curves as draw
from posekit.scoring.analysis import diagnosis_shares, double_shares
from posekit.scoring.compare import PairedComparison
from posekit.scoring.score import Scores

_CURVE_POINTS = 101
# Of groups of joints, beside the mean's: more cannot be told apart.
_MOST_CURVES = 8
# What the page decides, by the scheme that the reader prefers.
_COLOURS = {"#000000": "currentColor", "#ffffff": "var(--card)"}
_NAMED = re.compile(r'(id="|url\(#|href="#)')


@dataclass(frozen=True)
class Chart:
    """A figure: its SVG, which stands in the page's text, and its caption."""

    svg: Markup
    caption: str


def of_errors(scores: Scores, name: str) -> list[Chart]:
    """Curves, bars, the histogram of errors, and the reliability of the scores where there are any."""
    pck, chosen = scores.pck, list(scores.mean_joints)
    size = {"threshold": pck.threshold, "reference": scores.reference}
    groups = scores.people.skeleton.group_indices
    together = {"Mean": scores.mean_joints, **(groups if len(groups) <= _MOST_CURVES else {})}
    curves = {group: _curve(scores, joints) for group, joints in together.items()}
    joints = {joint.replace("_", " "): percent for joint, percent in scores.joints.items()}
    charts = [
        _chart(draw.pck_curves(curves, metric=scores.metric, **size), "curves", "Against the threshold, pooled."),
        _chart(draw.joint_bars({name: joints}, metric=scores.metric), "joints", f"{scores.metric} of each joint."),
        _chart(draw.error_histogram(pck.errors[:, chosen], **size), "errors", "Distances of the means' joints from the truth."),
    ]
    counted = pck.counted[:, chosen]
    seen = scores.predictions.scores[:, chosen][counted]
    if np.isfinite(seen).any():
        figure = draw.reliability(seen, pck.correct[:, chosen][counted])
        caption = "Does the score mean accuracy? Share of correct joints among those of like score, in bins of equal count."
        charts.append(_chart(figure, "reliability", caption))
    return charts


def of_diagnosis(models: Mapping[str, Scores]) -> Chart:
    """Shares of the kinds of error in each group."""
    shares = {name: diagnosis_shares(scores, scores.diagnosis) for name, scores in models.items()}
    return _chart(draw.diagnosis_bars(shares), "diagnosis", "What became of the joints of each group.")


def of_double_counting(models: Mapping[str, Scores]) -> Chart:
    """How often maps of each group have several peaks, and what lies under them; of the models that tell their peaks."""
    found = {name: scores.double_counting for name, scores in models.items()}
    shares = {name: double_shares(models[name], double) for name, double in found.items() if double is not None}
    caption = "Maps with several peaks, and what lies under the peaks."
    return _chart(draw.double_counting_bars(shares), "double-counting", caption)


def of_comparison(found: PairedComparison, names: tuple[str, str]) -> list[Chart]:
    """Both models' curves, and the differences with their intervals."""
    first = found.first
    both = zip(names, (first, found.second), strict=True)
    curves = {name: _curve(scores, scores.mean_joints) for name, scores in both}
    size = {"metric": first.metric, "threshold": first.pck.threshold, "reference": first.reference}
    rows = {**found.groups, "Mean": found.total}
    differences = {group: (row.difference, row.low, row.high) for group, row in rows.items()}
    return [
        _chart(draw.difference_bars(differences), "differences", f"{names[0]} minus {names[1]}, in percentage points."),
        _chart(draw.pck_curves(curves, **size), "both-curves", "The pooled mean against the threshold."),
    ]


def _curve(scores: Scores, joints: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    thresholds = np.linspace(0, max(scores.pck.threshold, scores.pck.auc_thresholds[-1]), _CURVE_POINTS)
    return thresholds, scores.pck.curve(thresholds, joints)


def _chart(figure, name: str, caption: str) -> Chart:
    return Chart(inline_svg(figure, name), caption)


def inline_svg(figure, name: str) -> Markup:
    """A matplotlib figure as an SVG element in the page's own black and white.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    name : str
        Differs from that of every other figure in the page: ids are made from it.
    """
    from matplotlib import rc_context

    text = io.StringIO()
    nameless = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "posekit"}):
        figure.savefig(text, format="svg", transparent=True, metadata=nameless)
    svg = text.getvalue()
    svg = _NAMED.sub(rf"\g<1>{name}-", svg[svg.index("<svg") :])
    for fixed, chosen in _COLOURS.items():
        svg = svg.replace(fixed, chosen)
    return Markup(svg)
