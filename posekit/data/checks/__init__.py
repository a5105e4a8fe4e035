"""Results of the checks of annotation files and images, and the printed table of these results."""

from collections.abc import Sequence
from dataclasses import dataclass

from posekit.tables import text_table

OK, LOOK, BAD = "OK", "LOOK", "BAD"


@dataclass(frozen=True)
class CheckResult:
    """Result of one check.

    The verdict is "OK", "LOOK" (you should look at the data, or the check cannot decide) or "BAD" (training would fail or learn
    something wrong).
    """

    verdict: str
    subject: str  # name of the check, one to three words
    message: str  # the finding, and what to do; one line
    persons: tuple[int, ...] = ()  # indices of the affected people in the `People` of the split
    split: str = ""  # name of the checked split; the names of two compared splits are joined by a comma


def results_table(results: Sequence[CheckResult]) -> str:
    """Format results as a table with one line per result."""
    return text_table([(result.verdict, result.split, result.subject, result.message) for result in results])


def percent(part: float, whole: float) -> str:
    """Format `part` / `whole` as a percentage; a small share becomes "under 0.1 %", so "0.0 %" always means exactly 0."""
    share = 100 * part / whole if whole else 0.0
    return "under 0.1 %" if 0 < share < 0.1 else f"{share:.1f} %"


def first_few(items: Sequence, most: int = 3) -> str:
    """List the first `most` items, followed by "…" if there are more."""
    return ", ".join(map(str, items[:most])) + (" …" if len(items) > most else "")
