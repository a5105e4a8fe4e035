"""The report: one HTML page with everything inside."""

from posekit.evaluation.report.write import write_report

__all__ = ["write_report"]
