"""The issue text: upstream's headings, and text from outside that stays where it was put."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reports.finding import ScriptRun
from reports.issue import title, write_issue
from reports.script import write_script
from reports.text import block, code, one_line
from strategies.case import Activation, Case, Layout, Weight
from tests.reports.helpers import SYSTEM, finding
from tests.reports.markdown import cells, code_spans, lines_of, parse

HEADINGS = ["### System Info", "### Reproduction", "### Expected behavior", "### Also observed"]

hostile = st.text(alphabet=st.sampled_from("`~#|<>*_[]()!&\\-=+ \t\n\r\x00\x0b\x0c\x1b\x7f\x85\u2028\u2029a1é"), max_size=40)
one_line_hostile = hostile.filter(lambda text: bool(one_line(text)))
NASTY = "x\n```\n# heading\n| a | b |\n<details>`` ` ```` @user #1"


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
    assert title(finding(case=case, how="ValueError")) == "functional.matmul_4bit: wrong value (ValueError) when weight.layout is in_out"
    assert title(finding(triggers={})) == "functional.matmul_4bit: wrong value"


def test_a_reduction_that_was_cut_short_is_not_called_the_smallest() -> None:
    assert "cut short" in issue(minimal=False)
    assert "cut short" not in issue()


@given(hostile)
def test_one_line_is_one_line_for_markdown(text: str) -> None:
    line = one_line(text)
    assert len(lines_of(line)) == 1
    assert not re.search(r"[\x00-\x1f\x7f]", line)
    assert line == line.strip()
    assert one_line(line) == line
    assert [char for char in line if not char.isspace()] == [
        char for char in text if char > "\x1f" and char != "\x7f" and not char.isspace()
    ]


@given(one_line_hostile)
@example("`")
@example("``")
@example("a`b")
@example(NASTY)
def test_inline_code_holds_exactly_its_text(text: str) -> None:
    spans, rest = code_spans(f"before {code(text)} after")
    assert spans == [one_line(text)]
    assert rest == "before 0 after"


@pytest.mark.parametrize("text", ["", " ", "\n", "\x00"])
def test_nothing_as_inline_code_does_not_swallow_what_follows(text: str) -> None:
    """Two backticks open a code span that ends at the next two."""
    line = f"Expected {code(text)}, got {code(text)}."
    _, rest = code_spans(line)
    assert ", got " in rest


@given(hostile)
@example(NASTY)
@example("```")
@example("````\n```")
def test_a_block_holds_exactly_its_text(text: str) -> None:
    outside, blocks = parse(f"before\n\n{block(text, 'python')}\n\nafter")
    assert outside == ["before", "", "", "after"]
    (held,) = blocks
    assert held.info == "python"
    assert list(held.lines) == lines_of(text.rstrip())


@given(st.tuples(hostile, hostile, hostile, hostile, hostile, hostile))
@example((NASTY,) * 6)
def test_text_from_outside_stays_in_its_place(texts: tuple[str, ...]) -> None:
    got, how, cpu, output, outcome, script = texts
    plain = finding(how="how", got="got", system={**SYSTEM, "cpu": "cpu"}, others={"gemm_4bit_op": "outcome"})
    changed = finding(
        how="x" + how,
        got="x" + got,
        system={**SYSTEM, "cpu": "x" + cpu},
        others={"gemm_4bit_op": "x" + outcome},
        script=ScriptRun(exit_status=1, output="x" + output),
    )
    expected_lines, expected_blocks = parse(write_issue(plain, "script"))
    lines, blocks = parse(write_issue(changed, "x" + script))
    assert len(lines) == len(expected_lines)
    assert len(blocks) == len(expected_blocks)
    different = [old for old, new in zip(expected_lines, lines, strict=True) if old != new]
    assert different == [expected_lines[0], "Expected `1 within 2`, got `got`.", "- CPU: cpu", "| `gemm_4bit_op` | outcome |"]
    assert headings("\n".join(lines))[1:] == HEADINGS
    assert list(blocks[0].lines) == lines_of(("x" + script).rstrip())
    assert list(blocks[1].lines) == lines_of(("x" + output).rstrip())


@given(hostile)
@example("a | b")
@example("raised ValueError: expected int | float")
def test_an_outcome_stays_in_its_cell(outcome: str) -> None:
    """GitHub drops what lies beyond the last column: half of the message would be lost."""
    (row,) = [line for line in lines_of(issue(others={"gemm_4bit_op": "x" + outcome})) if line.startswith("| `gemm")]
    assert len(cells(row)) == 2


@given(one_line_hostile)
def test_got_is_shown_as_far_as_its_first_line(got: str) -> None:
    text = issue(got=got + "\nsecond line")
    (line,) = [line for line in lines_of(text) if line.startswith("Expected `")]
    assert "second line" not in line


@given(hostile)
def test_the_title_is_one_line_whatever_the_failure_says(how: str) -> None:
    assert len(lines_of(title(finding(how=how)))) == 1
