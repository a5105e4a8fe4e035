"""Sections of the page above the people: charts and tables."""

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
    """A section of the page; links refer to its `id`."""

    id: str
    heading: str
    text: str = ""
    charts: list[Chart] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


def all_sections(models: Mapping[str, Scores], details: Mapping) -> list[Section]:
    """Return every section that has content, in order; parameters as for `write_report`."""
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
        f"Good: within {threshold:g} {tables.unit(scores)}s of the truth. Inversion: within that distance of the same person's "
        f"opposite joint. Jitter: within {2 * threshold:g}. Miss: anything else. {scores.diagnosis.n_mirrored:,} of "
        f"{scores.n_persons:,} people would score better with left and right swapped. Table: {name}."
    )
    table = tables.diagnosis(scores, scores.diagnosis)
    return Section("diagnosis", "Kinds of error", text, [charts.diagnosis_chart(models)], [table])


def _double_counting(models: Mapping[str, Scores], name: str, double: DoubleCounting) -> Section:
    scores = models[name]
    text = (
        f"A map has several peaks if another peak is at least half as high as the highest and {scores.pck.threshold:g} "
        f"{tables.unit(scores)}s or more away from it. Table: {name}."
    )
    table = tables.double_counting(scores, double)
    return Section("double-counting", "Double counting", text, [charts.double_counting_chart(models)], [table])


def _comparison(first: Scores, second: Scores, names: tuple[str, str]) -> Section:
    paired = PairedComparison(first, second)
    text = f"A is {names[0]}, B is {names[1]}, on the same people. Intervals: paired bootstrap over people."
    table = tables.comparison(paired, names)
    return Section("comparison", "Comparison", text, charts.comparison_charts(paired, names), [table])
