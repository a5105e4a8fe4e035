"""The parts of the page above the persons: figures and tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from posekit.lab.report import charts, tables
from posekit.lab.report.charts import Chart
from posekit.lab.report.tables import Table
from posekit.metrics import Diagnosis, DoubleCounting
from posekit.scoring.compare import PairedComparison
from posekit.scoring.score import Scores


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Parameters
    ----------
    id : str
        What links call it.
    heading, text : str
    charts : list of Chart
    tables : list of Table
    """

    id: str
    heading: str
    text: str = ""
    charts: list[Chart] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


def all_sections(
    models: Mapping[str, Scores], diagnosis: Diagnosis, double: DoubleCounting | None, details: Mapping
) -> list[Section]:
    """Every section that there is something for, in order; parameters as for `write_report`."""
    (name, scores), *_ = models.items()
    sections = [
        Section(
            "scores",
            "Scores",
            tables=[tables.totals(scores), tables.groups(scores), tables.joints(scores), tables.directions(scores)],
        ),
        Section("errors", "Errors and confidence", charts=charts.of_errors(scores, name)),
        _diagnosis(models, diagnosis),
    ]
    if double is not None:
        sections.append(_double_counting(models, double))
    if len(models) > 1:
        sections.append(_comparison(PairedComparison(*models.values()), tuple(models)))
    if "conventions" in details:
        sections.append(Section("conventions", "Conventions", tables=[tables.conventions(details["conventions"])]))
    if "oks" in details:
        sections.append(Section("oks", "COCO's average precision", tables=[tables.facts("OKS", details["oks"])]))
    return sections


def _diagnosis(models: Mapping[str, Scores], found: Diagnosis) -> Section:
    (name, scores), *_ = models.items()
    threshold, unit = scores.pck.threshold, tables.unit(scores)
    text = (
        f"Good: within {threshold:g} {unit}s of the truth. Inversion: within as much of the same person's opposite joint. "
        f"Jitter: within {2 * threshold:g}. Miss: anything else. {found.n_mirrored:,} of {scores.n_persons:,} persons would be "
        f"better with left and right exchanged. The table is of {name}."
    )
    figures, rows = [charts.of_diagnosis(models)], [tables.diagnosis(scores, found)]
    return Section("diagnosis", "Kinds of error", text, figures, rows)


def _double_counting(models: Mapping[str, Scores], found: DoubleCounting) -> Section:
    (name, scores), *_ = models.items()
    distance = f"{scores.pck.threshold:g} {tables.unit(scores)}s or more"
    text = (
        f"A map has several peaks if another lies {distance} away from the highest and is at least half as high. "
        f"The table is of {name}."
    )
    figures, rows = [charts.of_double_counting(models)], [tables.double_counting(scores, found)]
    return Section("double-counting", "Double counting", text, figures, rows)


def _comparison(found: PairedComparison, names: tuple[str, str]) -> Section:
    text = f"A is {names[0]}, B is {names[1]}, on the same persons; the intervals are those of a paired bootstrap over persons."
    return Section("comparison", "PairedComparison", text, charts.of_comparison(found, names), [tables.comparison(found, names)])
