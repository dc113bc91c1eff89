"""What the template is given."""

from __future__ import annotations

from reports.page.view import view
from reports.previous import Previous
from reports.severity import SENTENCES, Severity
from tests.reports.helpers import finding, rich_finding
from tests.reports.page.runs import entry, shown

DIED = finding("gemv_4bit", "process died", model=None)


def test_findings_are_in_groups_the_worst_first_and_numbered_throughout() -> None:
    page = view(shown([DIED, finding(), rich_finding()]))
    assert [(group.severity, len(group.findings)) for group in page.groups] == [(Severity.SILENT, 2), (Severity.FATAL, 1)]
    assert [group.sentence for group in page.groups] == [SENTENCES[Severity.SILENT], SENTENCES[Severity.FATAL]]
    assert [item.anchor for group in page.groups for item in group.findings] == ["finding-1", "finding-2", "finding-3"]
    assert page.groups[0].findings[0].finding == rich_finding()
    assert page.findings == 3


def test_the_sentence_is_said_once() -> None:
    (group,) = view(shown([rich_finding()])).groups
    (item,) = group.findings
    assert item.sentence.startswith("<p>Fails for activation dtype float16 and bfloat16")
    assert "Fails for activation dtype" not in item.sections["What is affected"]
    assert "<table>" in item.sections["What is affected"]


def test_sections_without_a_text_are_left_out() -> None:
    (group,) = view(shown([finding(others={})])).groups
    assert list(group.findings[0].sections) == ["Why this is wrong", "Versions"]


def test_the_replay_is_a_command_for_a_shell() -> None:
    (group,) = view(shown([DIED])).groups
    assert group.findings[0].replay == f"python -m fuzz replay out/findings/{DIED.slug}"


def test_findings_are_compared_with_those_of_the_run_before() -> None:
    gone = finding("dequantize_4bit", "wrong shape", model=None)
    previous = Previous(date="2026-01-01", findings=[entry(finding()), entry(gone)])
    page = view(shown([finding(), DIED], previous=previous))
    assert [page.state(item) for item in (finding(), DIED, gone)] == ["still there", "new", "not seen this time"]
    assert page.missed == f"python -m fuzz replay out/findings/{gone.slug}"
    assert page.anchors == {finding().signature: "finding-1", DIED.signature: "finding-2"}


def test_without_a_run_before_nothing_is_new() -> None:
    page = view(shown([DIED]))
    assert (page.changes, page.missed, page.state(DIED)) == (None, "", "")


def test_what_was_not_confirmed_is_flaky_or_not() -> None:
    entries = [
        {"signature": "a", "slug": "", "reason": "b", "rate": "1 of 3"},
        {"signature": "c", "slug": "", "reason": "d"},
    ]
    page = view(shown(unconfirmed=entries))
    assert (list(page.flaky), list(page.unconfirmed)) == (entries[:1], entries[1:])


def test_a_run_without_time_or_hardware_has_a_page() -> None:
    page = view(shown(seconds=0.0, system={}))
    assert (page.rate, page.place, page.findings) == (0.0, "unknown device: ", 0)
