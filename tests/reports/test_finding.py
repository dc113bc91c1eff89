"""The record of a finding: JSON both ways, a stable signature, a safe name."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.finding import Finding, RecordError, ScriptRun, read_json, signature
from strategies import fields
from strategies.case import CaseError, Layout
from strategies.cases import cases
from tests.reports.helpers import CASE, finding


def through_json(value: Finding) -> Any:
    return json.loads(json.dumps(value.to_json(), allow_nan=False))


def refusal(data: object) -> str:
    with pytest.raises(RecordError) as caught:
        Finding.from_json(data)
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"script": None},
        {"script": ScriptRun(exit_status=None, output="")},
        {"model": None, "error_over_bound": None, "arms": ()},
        {"known": "https://github.com/bitsandbytes-foundation/bitsandbytes/issues/1862", "how": 'quotes " and \n lines'},
        {"minimal": False, "others": {}, "triggers": {}},
    ],
)
def test_json_round_trip(changes: dict[str, Any]) -> None:
    original = finding(**changes)
    assert Finding.from_json(through_json(original)) == original


@given(cases(), cases())
def test_json_round_trip_of_any_case(case: Any, first: Any) -> None:
    original = finding(case=case, first_case=first)
    assert Finding.from_json(through_json(original)) == original


def test_json_says_what_it_is_called_and_whether_it_was_verified() -> None:
    data = finding().to_json()
    assert data["format_version"] == 1
    assert data["slug"] == finding().slug
    assert data["signature"] == finding().signature
    assert data["verified"] is True


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_format_version(version: object) -> None:
    assert refusal({**through_json(finding()), "format_version": version}) == (
        f"finding format_version is {version!r}, this program reads 1"
    )


@pytest.mark.parametrize("data", [None, [], "text", 3, {}])
def test_what_is_no_finding(data: object) -> None:
    assert refusal(data) == "finding format_version is None, this program reads 1"


@pytest.mark.parametrize("name", [item.name for item in dataclasses.fields(Finding) if item.init])
def test_a_missing_field_is_named(name: str) -> None:
    data = through_json(finding())
    del data[name]
    assert refusal(data) == f"the finding lacks {name!r}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("script", {"exit_status": 1}),
        ("script", {"output": "text"}),
        ("script", {"exit_status": 1, "output": "text", "colour": "red"}),
        ("script", "text"),
        ("arms", None),
        ("triggers", None),
        ("triggers", ["bias"]),
    ],
)
def test_a_malformed_part_is_a_record_error_too(name: str, value: object) -> None:
    assert name in refusal({**through_json(finding()), name: value})


def test_a_bad_case_is_a_case_error_that_names_the_field() -> None:
    data = through_json(finding())
    data["case"]["weight"]["in_features"] = 0
    with pytest.raises(CaseError, match=r"weight\.in_features"):
        Finding.from_json(data)


def test_what_a_later_program_adds_is_ignored() -> None:
    assert Finding.from_json({**through_json(finding()), "colour": "red"}) == finding()


def test_the_signature_has_no_shape_seed_or_measured_value() -> None:
    small = finding(case=CASE)
    changed = CASE
    for name, value in {"weight.in_features": 777, "weight.out_features": 555, "activation.leading": (9, 8), "seed": 321}.items():
        changed = fields.replace(changed, name, value)
    large = finding(case=changed, expected="7 within 8", got="9", error_over_bound=123.0, reproduced=1, observed=2)
    assert small.signature == large.signature
    assert small.slug == large.slug
    for number in ("777", "555", "321", "123"):
        assert number not in large.signature


def test_the_signature_tells_apart_what_has_to_be() -> None:
    variants = [
        finding(),
        finding(symptom="wrong shape"),
        finding(path="gemm_4bit_op"),
        finding(how="ValueError"),
        finding(surface="elsewhere"),
        finding(case=fields.replace(CASE, "weight.layout", Layout.IN_OUT)),
        finding(triggers={}),
    ]
    assert len({variant.signature for variant in variants}) == len(variants)
    assert len({variant.slug for variant in variants}) == len(variants)


def test_the_signature_reads_like_a_row_of_known_issues() -> None:
    triggers = {"weight.layout": "in_out", "bias": True}
    text = signature("functional.gemv_4bit", "gemv_4bit", "missing error", "", triggers)
    assert text == "functional.gemv_4bit | gemv_4bit | missing error | triggers: bias=True, weight.layout=in_out"
    assert signature("a", "b", "c", "ValueError", {}) == "a | b | c (ValueError) | triggers: none"
    assert signature("a", "b", "c", "", dict(reversed(triggers.items()))) == signature("a", "b", "c", "", triggers)


def test_the_signature_survives_json() -> None:
    assert Finding.from_json(through_json(finding())).signature == finding().signature


@given(st.text())
def test_a_slug_is_a_safe_name_for_a_folder_whatever_the_failure_says(how: str) -> None:
    slug = finding(how=how).slug
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)
    assert len(slug) < 100
    assert slug == finding(how=how).slug


@pytest.mark.parametrize("how", ["../../etc/passwd", "/", "..", "C:\\", "\x00", "a" * 500, "CON", "ß/ü", "-rf"])
def test_hostile_slugs_stay_apart(how: str) -> None:
    assert finding(how=how).slug != finding(how=how + "x").slug


def test_a_slug_does_not_change_between_releases() -> None:
    """Folders of earlier runs are found by it."""
    assert finding(path="gemv_4bit", symptom="missing error", triggers={"weight.layout": "in_out"}).slug == (
        "gemv-4bit-missing-error-weight-layout-6e126e8a"
    )


@pytest.mark.parametrize(
    ("changes", "verified"),
    [
        ({}, True),
        ({"reproduced": 2}, False),
        ({"reproduced": 0, "attempts": 0}, False),
        ({"script": None}, False),
        ({"script": ScriptRun(exit_status=0, output="")}, False),
        ({"script": ScriptRun(exit_status=None, output="")}, False),
        ({"script": ScriptRun(exit_status=2, output="")}, False),
    ],
)
def test_verified_means_every_process_and_the_script(changes: dict[str, Any], verified: bool) -> None:  # noqa: FBT001
    assert finding(**changes).verified is verified


def test_read_json(tmp_path: Path) -> None:
    path = tmp_path / "finding.json"
    with pytest.raises(RecordError, match=r"cannot read .*finding\.json: No such file or directory$"):
        read_json(path)
    for content in (b"{", b"", b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(RecordError, match=r"finding\.json is not JSON: ") as caught:
            read_json(path)
        assert "\n" not in str(caught.value)
    path.write_text('{"a": 1}', encoding="utf-8")
    assert read_json(path) == {"a": 1}
