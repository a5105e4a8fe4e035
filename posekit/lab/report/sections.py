"""Sections of the page with charts and tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from posekit.lab.report import charts, tables
from posekit.lab.report.charts import Chart
from posekit.lab.report.tables import Table
from posekit.metrics import DoubleCounting
from posekit.scoring.compare import PairedComparison
from posekit.scoring.score import Scores


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
        Section("errors", "Errors and confidence", charts=charts.error_charts(scores)),
        _diagnosis(models, names[0]),
    ]
    if scores.double_counting is not None:
        sections.append(_double_counting(models, names[0], scores.double_counting))
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
    table = tables.diagnosis(scores, scores.diagnosis)
    return Section("diagnosis", "Kinds of error", text, [charts.diagnosis_chart(models)], [table])


def _double_counting(models: Mapping[str, Scores], name: str, double: DoubleCounting) -> Section:
    scores = models[name]
    text = (
        f"A heatmap has several peaks if a second peak is at least half as high as the highest peak and at least "
        f"{scores.pck.threshold:g} {tables.unit(scores)}s away from the highest peak. The table shows {name}."
    )
    table = tables.double_counting(scores, double)
    return Section("double-counting", "Double counting", text, [charts.double_counting_chart(models)], [table])


def _comparison(first: Scores, second: Scores, names: tuple[str, str]) -> Section:
    paired = PairedComparison(first, second)
    text = (
        f"A is {names[0]}, B is {names[1]}, both evaluated on the same people. Intervals are from a paired bootstrap over people."
    )
    table = tables.comparison(paired, names)
    return Section("comparison", "Comparison", text, charts.comparison_charts(paired, names), [table])
