"""The issue text: upstream's headings, and text from outside that stays where it was put."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reports.extent import Extent, FieldExtent, Sighting
from reports.finding import Finding, ScriptRun
from reports.issue import title, write_issue
from reports.sanitizer import ReportedError, SanitizerReport
from reports.script import write_script
from reports.text import excerpt, one_line
from strategies.case import Activation, Case, Layout, Weight
from tests.reports.helpers import NASTY, RARE, SYSTEM, finding, hostile, rich_finding
from tests.reports.markdown import cells, lines_of, parse, rendered

HEADINGS = ["### System Info", "### Reproduction", "### Expected behavior", "### Also observed"]
AFFECTED = "### What is affected"
RICH_HEADINGS = [AFFECTED, *HEADINGS[:3], "### Memory safety", *HEADINGS[3:]]


def issue(script: str = "print(1)\n", **changes: Any) -> str:
    return write_issue(finding(**changes), script)


def headings(text: str) -> list[str]:
    outside, _ = parse(text)
    return [line for line in outside if re.match(r" {0,3}#", line)]


def test_the_headings_are_those_of_the_bug_form() -> None:
    text = issue()
    assert headings(text) == ["# functional.matmul_4bit: wrong value when " + title(finding()).split(" when ")[1], *HEADINGS]
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_what_is_affected_comes_before_the_headings_of_the_form() -> None:
    assert headings(write_issue(rich_finding(), ""))[1:] == RICH_HEADINGS


def test_other_paths_are_left_out_where_there_are_none() -> None:
    assert HEADINGS[3] not in issue(others={})
    assert headings(issue(others={}))[1:] == HEADINGS[:3]


def test_what_a_maintainer_needs_is_there() -> None:
    text = issue(how="ValueError", script=write_script(finding()))
    for part in ("bitsandbytes: 0.50.2", "PyTorch: 2.13.0", "Python: 3.11.9", "OS: Linux", "CPU: a processor"):
        assert f"- {part}" in text.splitlines()
    assert "It failed in 3 of 3 fresh processes." in text
    assert "out_features 6, in_features 64, activation of shape (2, 64)" in text
    assert "2.5 times the rounding error" in text
    assert "docstring of functional.quantize_4bit" in text
    assert "Output (exit status 1):" in text
    assert "| `gemm_4bit_op` | as expected |" in text


def test_the_script_and_its_output_are_blocks_that_can_be_copied() -> None:
    script = write_script(finding())
    _, (first, second) = parse(write_issue(finding(), script))
    assert first.info == "python"
    assert "\n".join(first.lines) + "\n" == script
    assert second.lines == ("expected: 1", "got:      3")


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (ScriptRun(exit_status=1, output=""), "Output (exit status 1):"),
        (ScriptRun(exit_status=-11, output=""), "Output (exit status -11):"),
        (ScriptRun(exit_status=None, output=""), "Output (no exit within the time limit):"),
    ],
)
def test_how_the_script_ended(run: ScriptRun, words: str) -> None:
    assert words in write_issue(finding(script=run), "").splitlines()


def test_a_script_that_was_not_run_has_no_output() -> None:
    text = write_issue(finding(script=None), "print(1)\n")
    assert "Output" not in text
    assert headings(text)[1:] == HEADINGS


@pytest.mark.parametrize(
    ("ruling", "words"),
    [("valid", "The call is valid"), ("invalid", "has to be refused with a Python exception"), ("unspecified", "leave this call open")],
)
def test_the_ruling_is_put_into_words(ruling: str, words: str) -> None:
    assert words in issue(ruling=ruling)


def test_a_gpu_is_described_as_far_as_it_is_known() -> None:
    system = {**SYSTEM, "device": "cuda", "gpu": "NVIDIA H100", "compute_capability": "9.0", "driver": "570.1", "cuda": "12.8"}
    lines = issue(system=system).splitlines()
    assert {"- GPU: NVIDIA H100", "- Compute capability: 9.0", "- Driver: 570.1", "- CUDA (PyTorch build): 12.8"} <= set(lines)


def test_the_title_says_what_triggers_the_failure() -> None:
    case = Case(weight=Weight(in_features=2, layout=Layout.IN_OUT), activation=Activation(leading=(7,)))
    assert title(finding(case=case, how="ValueError")) == (
        "functional.matmul_4bit: wrong value (ValueError) when weight layout is (in_features, out_features)"
    )
    assert title(finding(triggers={})) == "functional.matmul_4bit: wrong value"


def test_the_title_reads_like_a_sentence() -> None:
    triggers = {"activation.dtype": "bfloat16", "weight.out_features": "odd", "weight.fill": "normal"}
    assert title(finding(triggers=triggers)) == (
        "functional.matmul_4bit: wrong value for odd out_features "
        "when activation dtype is bfloat16 and weight values are not all ones (normal)"
    )
    sizes = {"weight.out_features": "odd+large", "activation.rows": "large"}
    assert title(finding(triggers=sizes)) == "functional.matmul_4bit: wrong value for odd and large out_features and many rows"


def test_the_title_names_a_broken_relation_once() -> None:
    triggers = {"execution.relation": "sign", "bias": True}
    assert title(finding(symptom="broken relation", how="sign", triggers=triggers)) == (
        "functional.matmul_4bit: broken relation (sign) when a bias is added"
    )
    assert "when relation is rerun" in title(finding(symptom="wrong value", how="", triggers={"execution.relation": "rerun"}))


def test_what_failed_in_some_processes_only_is_not_called_verified() -> None:
    text = issue(**RARE)
    assert "**Not verified:** it failed in 2 of 13 fresh processes, so it is flaky." in text.splitlines()
    assert "Under conditions that provoke races it failed in: side stream 3 of 10, busy device 0 of 10." in text.splitlines()
    assert "Not verified" not in issue()
    assert "provoke" not in issue()


def test_several_sightings_are_a_list_of_machines() -> None:
    lines = write_issue(rich_finding(), "").splitlines()
    place = lines.index("Seen on:")
    assert lines[place + 2 : place + 4] == [
        "- bitsandbytes 0.50.2, PyTorch 2.13.0, a processor: 17 cases",
        "- bitsandbytes 0.49.2, PyTorch 2.13.0, a processor: 1 case",
    ]
    assert lines.index("### System Info") < place < lines.index("### Reproduction")


@pytest.mark.parametrize("count", [0, 1])
def test_one_sighting_is_the_system_info(count: int) -> None:
    assert "Seen on" not in issue(sightings=(Sighting(system=SYSTEM, observed=17),) * count)


@pytest.mark.parametrize(
    ("system", "words"),
    [({"gpu": "H200", "cpu": "a processor"}, "H200"), ({"device": "cpu"}, "cpu"), ({}, "an unknown machine")],
)
def test_a_sighting_says_what_is_known(system: dict[str, str], words: str) -> None:
    assert f"- {words}: 2 cases" in issue(sightings=(Sighting(system=system, observed=2),) * 2).splitlines()


def test_a_reduction_that_was_cut_short_is_not_called_the_smallest() -> None:
    assert "cut short" in issue(minimal=False)
    assert "cut short" not in issue()


OUTSIDE = 22
"""Texts from outside that `with_texts` takes."""


def with_texts(texts: list[str]) -> Finding:
    """A finding that says these texts wherever something from outside can be."""
    take = iter("x" + text for text in texts)
    field = FieldExtent(name=next(take), trigger=True, fails=(next(take), next(take)), passes=(next(take),), rule=next(take))
    system = {**SYSTEM, "cpu": next(take), "torch": next(take)}
    return rich_finding(
        **RARE | {"provoked": {next(take): next(take)}},
        surface=next(take),
        symptom="wrong value",
        how=next(take),
        expected=next(take),
        got=next(take),
        source=next(take),
        arms=(next(take),),
        triggers={field.name: field.fails[0]},
        extent=Extent(fields=(field,), paths=("matmul_4bit", next(take)), linear4bit=f"no: {next(take)}"),
        others={next(take): next(take)},
        system=system,
        sightings=(Sighting(system=system), Sighting(system=system)),
        sanitizer=(SanitizerReport(tool="memcheck", errors=9, reported=(ReportedError(kind=next(take), kernel=next(take), count=5),)),),
        script=ScriptRun(exit_status=1, output=next(take)),
    )


def shown(text: str) -> list[str]:
    """What a reader sees outside of blocks: cells and lines, without the markup that belongs there."""
    outside, _ = parse(text)
    result: list[str] = []
    for line in outside:
        if line.startswith(("<details>", "</details>", "<!-- bnb4-fuzz ")):
            continue
        if line.startswith("|"):
            result += [rendered(cell.replace("**`", "`", 1).replace("`** (", "` (", 1), in_table=True) for cell in cells(line)]
        else:
            result.append(rendered(re.sub(r"^(#+ |- )", "", line).replace("**Not verified:**", "Not verified:", 1)))
    return result


PLAIN = [f"text{number}" for number in range(OUTSIDE)]


@given(st.lists(hostile, min_size=OUTSIDE, max_size=OUTSIDE), hostile)
@example([NASTY] * OUTSIDE, NASTY)
def test_text_from_outside_stays_in_its_place(texts: list[str], script: str) -> None:
    found = with_texts(texts)
    plain, text = write_issue(with_texts(PLAIN), "script"), write_issue(found, "x" + script)
    expected_lines, expected_blocks = parse(plain)
    lines, blocks = parse(text)
    assert len(lines) == len(expected_lines)
    assert len(blocks) == len(expected_blocks) == 2
    assert headings(text)[1:] == RICH_HEADINGS
    assert list(blocks[0].lines) == lines_of(("x" + script).rstrip())
    assert found.script is not None
    assert list(blocks[1].lines) == excerpt(found.script.output).split("\n")
    assert [len(cells(line)) for line in lines if line.startswith("|")] == [
        len(cells(line)) for line in expected_lines if line.startswith("|")
    ]


@given(st.lists(hostile, min_size=OUTSIDE, max_size=OUTSIDE))
@example([NASTY] * OUTSIDE)
def test_text_from_outside_is_shown_as_it_is_and_is_never_markup(texts: list[str]) -> None:
    found = with_texts([text.replace("\n", " ").replace("\r", " ") for text in texts])  # of `got` the first line is shown
    sight = shown(write_issue(found, ""))
    assert sight[0] == title(found)
    assert found.extent is not None
    (field,) = found.extent.fields
    (reported,) = found.sanitizer[0].reported
    for cell in (
        *(f"{one_line(field.name)} (trigger)", field.passes[0], field.rule),
        *(*found.others, *found.others.values(), reported.kind, reported.kernel),
    ):
        assert one_line(str(cell)) in sight
    for key, label in (("cpu", "CPU"), ("torch", "PyTorch")):
        assert f"{label}: {one_line(found.system[key])}" in sight
    assert f"Expected: {one_line(found.expected)}." in sight
    assert f"Kernel by the dispatch rule: {one_line(found.arms[0])}." in sight
    assert f"Reached through nn.Linear4bit: {one_line(found.extent.linear4bit)}." in sight
    assert f"Fails alike on {one_line(found.extent.paths[1])}." in sight


@given(hostile)
@example("a | b")
@example("raised ValueError: expected int | float")
def test_an_outcome_stays_in_its_cell(outcome: str) -> None:
    """GitHub drops what lies beyond the last column: half of the message would be lost."""
    (row,) = [line for line in lines_of(issue(others={"gemm_4bit_op": "x" + outcome})) if line.startswith("| `gemm")]
    assert len(cells(row)) == 2


@given(hostile.filter(lambda text: bool(one_line(text))))
def test_got_is_shown_as_far_as_its_first_line(got: str) -> None:
    text = issue(got=got + "\nsecond line")
    (line,) = [line for line in lines_of(text) if line.startswith("Expected `")]
    assert "second line" not in line


@given(hostile)
def test_the_title_is_one_line_whatever_the_failure_says(how: str) -> None:
    line = title(finding(how=how, surface=how, triggers={how: how}))
    assert len(lines_of(line)) == len(line.splitlines()) == 1
    assert line.isprintable()


@pytest.mark.parametrize(
    ("kernels", "named"),
    [
        (("void kGemv<float>(int)", "Memcpy DtoD (Device -> Device)", "void at::native::fill<4>(int)"), "`void kGemv<float>`"),
        (("Memcpy DtoD", "void cublasLt::splitKreduce<32>()"), "`Memcpy DtoD`, `void cublasLt::splitKreduce<32>`"),
    ],
)
def test_what_torch_launches_around_the_kernels_of_the_library_is_named_only_where_there_is_nothing_else(
    kernels: tuple[str, ...], named: str
) -> None:
    assert f"Kernels that were launched: {named}." in issue(kernels=kernels)
