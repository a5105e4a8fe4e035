"""What a check of a data set found, and the table of it."""

from collections.abc import Sequence
from dataclasses import dataclass

OK, LOOK, BAD = "OK", "LOOK", "BAD"


@dataclass(frozen=True)
class CheckResult:
    """One thing that was looked at.

    Parameters
    ----------
    verdict : str
        "OK"; "LOOK": somebody should look, or it cannot be told; "BAD": training would fail or learn something wrong.
    subject : str
        What was looked at, in a word or two.
    message : str
        What was found, and what to do about it; one line.
    persons : tuple of int
        Whom it concerns: places in the split's `People`.
    split : str
        Whose people were looked at; several are joined by commas.
    """

    verdict: str
    subject: str
    message: str
    persons: tuple[int, ...] = ()
    split: str = ""


def results_table(findings: Sequence[CheckResult]) -> str:
    """The findings in columns, one line each."""
    rows = [(finding.verdict, finding.split, finding.subject, finding.message) for finding in findings]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def percent(part: float, whole: float) -> str:
    """A share as messages write it; "0 %" only where there is none."""
    share = 100 * part / whole if whole else 0.0
    return "under 0.1 %" if 0 < share < 0.1 else f"{share:.1f} %"


def some(items: Sequence, most: int = 3) -> str:
    """The first few items, and dots where there are more."""
    return ", ".join(map(str, items[:most])) + (" …" if len(items) > most else "")
