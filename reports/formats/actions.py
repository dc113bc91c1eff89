"""What a run tells GitHub Actions at its end, without being asked to: annotations, and a summary on the job's page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from reports.formats.step_summary import step_summary
from reports.formats.workflow import workflow_commands
from reports.outcomes import Outcomes


def tell(outcomes: Outcomes, environment: Mapping[str, str]) -> Iterator[str]:
    """Append the summary to the file that the runner names, and return the lines to be printed; nothing and none elsewhere.

    Args:
        outcomes: of the run.
        environment: of the process.
    """
    if environment.get("GITHUB_ACTIONS") != "true":
        return
    yield from workflow_commands(outcomes)
    if place := environment.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(place).open("a", encoding="utf-8") as file:
                file.write(step_summary(outcomes))
        except OSError as error:
            yield f"the summary could not be appended to {place}: {error.strerror}"
