"""The record of a finding: JSON both ways, a stable signature, a safe name."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.extent import Extent, FieldExtent, Sighting, Worst
from reports.finding import FORMAT_VERSION, Finding, RecordError, ScriptRun, read_json, signature
from reports.issue import write_issue
from strategies import fields
from strategies.case import NON_FINITE, CaseError, Fill, Layout
from strategies.cases import cases
from tests.reports.helpers import CASE, RARE, RICH_EXTENT, SANITIZED, SYSTEM, finding, rich_finding


def through_json(value: Finding) -> Any:
    return json.loads(json.dumps(value.to_json(), allow_nan=False))


LATER = {"errors", "sanitizer", "not_seen_on"}
"""Members that older files lack."""


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
        {"grade": "other bits", "kernels": ("kgemm_4bit<half>(int, int)",)},
        {"triggers": {"bias": True, "quantization.blocksize": 128, "weight.out_features": "odd+large"}},
        {"extent": RICH_EXTENT},
        {"extent": Extent()},
        {"extent": Extent(fields=(FieldExtent(name="bias", trigger=True, fails=(True,), passes=()),), linear4bit="no: why", complete=True)},
        {"worst": Worst(case=CASE, error_over_bound=1e300)},
        {"sightings": (Sighting(),)},
        {"sightings": (Sighting(system=SYSTEM, observed=3), Sighting(system={"gpu": "H200"}, observed=0))},
        RARE,
    ],
)
def test_json_round_trip(changes: dict[str, Any]) -> None:
    original = finding(**changes)
    assert Finding.from_json(through_json(original)) == original


@given(cases(), cases(), cases())
def test_json_round_trip_of_any_case(case: Any, first: Any, worst: Any) -> None:
    original = finding(case=case, first_case=first, worst=Worst(case=worst, error_over_bound=2.0))
    assert Finding.from_json(through_json(original)) == original


def test_json_round_trip_of_everything_that_a_finding_can_say() -> None:
    assert Finding.from_json(through_json(rich_finding())) == rich_finding()


def test_a_file_without_what_came_later_is_read() -> None:
    data = through_json(finding())
    for name in LATER:
        del data[name]
    assert Finding.from_json(data) == finding()


def test_json_says_what_it_is_called_and_whether_it_was_verified() -> None:
    data = finding().to_json()
    assert data["format_version"] == FORMAT_VERSION == 2
    assert data["slug"] == finding().slug
    assert data["signature"] == finding().signature
    assert data["verified"] is True


@pytest.mark.parametrize("version", [0, 1, 3, "2", None])
def test_another_format_version(version: object) -> None:
    assert refusal({**through_json(finding()), "format_version": version}) == (
        f"finding format_version is {version!r}, this program reads 2"
    )


@pytest.mark.parametrize("data", [None, [], "text", 3, {}])
def test_what_is_no_finding(data: object) -> None:
    assert refusal(data) == "finding format_version is None, this program reads 2"


@pytest.mark.parametrize("name", [item.name for item in dataclasses.fields(Finding) if item.init and item.name not in LATER])
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
        ("sanitizer", None),
        ("sanitizer", [1]),
        ("not_seen_on", {"a GPU": -1}),
        ("script", {"exit_status": "1", "output": "text"}),
        ("script", {"exit_status": True, "output": "text"}),
        ("script", {"exit_status": 1, "output": None}),
        ("arms", None),
        ("arms", "linear"),
        ("arms", [1]),
        ("kernels", {}),
        ("triggers", None),
        ("triggers", ["bias"]),
        ("triggers", {"bias": None}),
        ("triggers", {"bias": [True]}),
        ("surface", 3),
        ("how", None),
        ("grade", None),
        ("ruling", "perhaps"),
        ("ruling", ["valid"]),
        ("case", None),
        ("first_case", [1]),
        ("model", {"product": "large"}),
        ("model", []),
        ("error_over_bound", "2"),
        ("error_over_bound", float("inf")),
        ("error_over_bound", float("nan")),
        ("error_over_bound", 10**400),
        ("reproduced", "3"),
        ("attempts", True),
        ("observed", -1),
        ("trials", 1.5),
        ("minimal", 1),
        ("others", {"gemm_4bit_op": 3}),
        ("system", []),
        ("known", False),
        ("provoked", None),
        ("provoked", {"side stream": 3}),
    ],
)
def test_a_malformed_part_is_a_record_error_that_names_it(name: str, value: object) -> None:
    assert f"{name!r} of the finding" in refusal({**through_json(finding()), name: value})


FIELD = {"name": "bias", "trigger": True, "fails": [True], "passes": [False], "rule": ""}
EXTENT = {"fields": [FIELD], "paths": [], "linear4bit": "yes", "complete": True}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("extent", [], "'extent' of the finding is not a JSON object"),
        ("extent", {}, "the extent lacks 'fields'"),
        ("extent", {**EXTENT, "fields": {}}, "'fields' of the extent is not a JSON array"),
        ("extent", {**EXTENT, "paths": [3]}, "an item of 'paths' of the extent is not text"),
        ("extent", {**EXTENT, "complete": "yes"}, "'complete' of the extent is not true or false"),
        ("extent", {**EXTENT, "linear4bit": True}, "'linear4bit' of the extent is not text"),
        ("extent", {**EXTENT, "colour": "red"}, "the extent has an unknown member 'colour'"),
        ("extent", {**EXTENT, "fields": [None]}, "an item of 'fields' of the extent is not a JSON object"),
        ("extent", {**EXTENT, "fields": [{}]}, "a field of the extent lacks 'name'"),
        ("extent", {**EXTENT, "fields": [{**FIELD, "name": 1}]}, "'name' of a field of the extent is not text"),
        ("extent", {**EXTENT, "fields": [{**FIELD, "trigger": 1}]}, "'trigger' of a field of the extent is not true or false"),
        ("extent", {**EXTENT, "fields": [{**FIELD, "fails": "x"}]}, "'fails' of a field of the extent is not a JSON array"),
        (
            "extent",
            {**EXTENT, "fields": [{**FIELD, "passes": [[]]}]},
            "an item of 'passes' of a field of the extent is not the value of a field",
        ),
        ("extent", {**EXTENT, "fields": [{**FIELD, "rule": None}]}, "'rule' of a field of the extent is not text"),
        ("worst", 3, "'worst' of the finding is not a JSON object"),
        ("worst", {"case": CASE.to_json()}, "the worst Case lacks 'error_over_bound'"),
        ("worst", {"case": [], "error_over_bound": 1.0}, "'case' of the worst Case is not a JSON object"),
        ("worst", {"case": CASE.to_json(), "error_over_bound": None}, "'error_over_bound' of the worst Case is not a finite number"),
        ("sightings", {}, "'sightings' of the finding is not a JSON array"),
        ("sightings", [3], "an item of 'sightings' of the finding is not a JSON object"),
        ("sightings", [{"machine": "a"}], "a sighting has an unknown member 'machine'"),
        ("sightings", [{"system": {"gpu": None}, "observed": 1}], "'gpu' of 'system' of a sighting is not text"),
        ("sightings", [{"system": {}, "observed": "many"}], "'observed' of a sighting is not a count"),
    ],
)
def test_a_malformed_extent_is_a_record_error_too(name: str, value: object, message: str) -> None:
    assert refusal({**through_json(finding()), name: value}) == message


def places(data: object) -> list[tuple[str | int, ...]]:
    """The ways to all members and items of nested JSON."""
    items: list[tuple[str | int, object]] = []
    if isinstance(data, dict):
        items = list(data.items())
    elif isinstance(data, list):
        items = list(enumerate(data))
    return [path for key, value in items for path in [(key,), *((key, *rest) for rest in places(value))]]


RICH = through_json(rich_finding(**RARE))
junk = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=5), inner, max_size=2)),
    max_leaves=4,
)


@settings(max_examples=400)
@given(st.sampled_from(places(RICH)), junk)
def test_whatever_is_changed_in_a_record_it_is_refused_in_one_sentence_or_can_be_written(
    path: tuple[str | int, ...], value: object
) -> None:
    data: Any = json.loads(json.dumps(RICH))
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    try:
        found = Finding.from_json(data)
    except (RecordError, CaseError) as error:
        message = str(error)
    else:
        message = "none"
        assert Finding.from_json(through_json(found)) == found
        assert found.slug
        assert write_issue(found, "")
    assert message
    assert "\n" not in message


def test_a_bad_case_is_a_case_error_that_names_the_field() -> None:
    data = through_json(finding())
    data["case"]["weight"]["in_features"] = -1
    with pytest.raises(CaseError, match=r"weight\.in_features"):
        Finding.from_json(data)


def test_a_bad_worst_case_is_a_case_error_too() -> None:
    data = through_json(rich_finding())
    data["worst"]["case"]["quantization"]["blocksize"] = 48
    with pytest.raises(CaseError, match="blocksize 48"):
        Finding.from_json(data)


def test_what_a_later_program_adds_is_ignored() -> None:
    assert Finding.from_json({**through_json(finding()), "colour": "red"}) == finding()


def test_the_signature_has_no_shape_seed_or_measured_value() -> None:
    small = finding(case=CASE)
    changed = CASE
    for name, value in {"weight.in_features": 777, "weight.out_features": 555, "activation.leading": (9,), "seed": 321}.items():
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


NUMBERS = [fill for fill in Fill if fill not in NON_FINITE]


@pytest.mark.parametrize("fill", sorted(NON_FINITE, key=str))
def test_the_signature_names_what_is_no_number(fill: Fill) -> None:
    text = finding(triggers={"weight.fill": fill.value, "bias": True}).signature
    assert text.endswith(f"triggers: bias=True, weight.fill={fill.value}")


@pytest.mark.parametrize("name", fields.FILLS)
def test_the_signature_says_of_a_fill_only_that_a_dull_one_does_not_do(name: str) -> None:
    """Which one is the dullest that fails depends on the sizes."""
    signatures = {finding(triggers={name: fill.value, "bias": True}).signature for fill in NUMBERS}
    assert signatures == {"functional.matmul_4bit | matmul_4bit | wrong value | triggers: bias=True, fill!=ones"}
    assert len({finding(triggers={name: fill.value}).slug for fill in NUMBERS}) == 1


def test_the_signature_has_no_way_to_die() -> None:
    """The same stray access ends in one signal or another."""
    deaths = {finding(symptom="process died", how=how).signature for how in ("SIGSEGV", "SIGABRT", "exit status 1")}
    assert len(deaths) == 1
    assert "SIG" not in deaths.pop()
    assert "SIGSEGV" in finding(symptom="hang", how="SIGSEGV").signature


def test_the_signature_has_the_words_of_a_size() -> None:
    assert finding(triggers={"weight.out_features": "odd+large", "bias": True}).signature.endswith(
        "triggers: bias=True, weight.out_features=odd+large"
    )


def test_the_signature_does_not_depend_on_what_was_learned_later() -> None:
    later = {"extent": RICH_EXTENT, "sightings": (Sighting(),), "sanitizer": SANITIZED, **RARE}
    assert finding(**later).signature == finding().signature


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


@pytest.mark.parametrize(("reproduced", "attempts", "flaky"), [(0, 3, False), (1, 3, True), (12, 13, True), (3, 3, False), (0, 0, False)])
def test_flaky_means_some_processes_and_not_all(reproduced: int, attempts: int, flaky: bool) -> None:  # noqa: FBT001
    assert finding(reproduced=reproduced, attempts=attempts).flaky is flaky
    assert not (flaky and finding(reproduced=reproduced, attempts=attempts).verified)


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
