"""Known issues: what is read, which failures and findings a row is about, and one sentence for everything that cannot be read."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.engine.verdict import FailureKey, Symptom, told_apart_by
from fuzz.triage.condition import NOT_ONES, Condition, parse_triggers
from fuzz.triage.known import KnownIssue, KnownIssuesError, load
from fuzz.triage.sizes import parse
from fuzz.triage.verify import OTHER_PATHS
from reports.finding import signature
from strategies import fields
from strategies.case import NON_FINITE, Case, Fill, FloatDType, Layout, Weight
from tests.strategies.helpers import BUSY

LINK: Final = "https://github.com/bitsandbytes-foundation/bitsandbytes/issues/1862"
SIGNATURE: Final = "functional.gemv_4bit | gemv_4bit | missing error | triggers: weight.layout=in_out"
ROW: Final = {
    "signature": SIGNATURE,
    "link": LINK,
    "versions": ">=0.48,<0.51",
    "reason": "gemv_4bit does not check the activation's length",
}
PATTERN: Final = {
    "title": "16-bit products of odd out_features lose the context",
    "surfaces": ["functional.matmul_4bit", "ops.gemm_4bit", "nn.Linear4bit"],
    "symptoms": ["context lost"],
    "triggers": {"activation.dtype": ["float16", "bfloat16"], "weight.out_features": "odd"},
    "link": "unreported",
    "versions": ">=0.50",
    "reason": "the tensor-core kernel stores pairs",
}
TEXTS: Final = ("link", "versions", "reason")
KEY: Final = FailureKey("functional.gemv_4bit", "gemv_4bit", Symptom.MISSING_ERROR, "")
LOST: Final = FailureKey("functional.matmul_4bit", "matmul_4bit", Symptom.CONTEXT_LOST, "CUDA error: misaligned address")
IN_OUT: Final = Case(weight=Weight(layout=Layout.IN_OUT))


def toml(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{name}" = {toml(item)}' for name, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(value)


def table(row: Mapping[str, Any]) -> str:
    return "[[issue]]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in row.items())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "known.toml"


def only(file: Path, row: Mapping[str, Any], **changes: Any) -> KnownIssue:
    file.write_text(table({**row, **changes}), encoding="utf-8")
    (issue,) = load(file)
    return issue


def refusal(file: Path) -> str:
    with pytest.raises(KnownIssuesError) as caught:
        load(file)
    message = str(caught.value)
    assert "\n" not in message
    assert str(file) in message
    return message.replace(str(file), "FILE")


def refused(file: Path, text: str) -> str:
    file.write_text(text, encoding="utf-8")
    return refusal(file)


def refused_row(file: Path, row: Mapping[str, Any], **changes: Any) -> str:
    """Why the second row of a file is refused; the first is fine."""
    message = refused(file, table(ROW) + table({key: value for key, value in {**row, **changes}.items() if value is not None}))
    assert message.startswith("FILE: issue 2: ")
    return message.removeprefix("FILE: issue 2: ")


def test_a_row_with_a_signature(file: Path) -> None:
    issue = only(file, ROW)
    assert issue.title == issue.signature == SIGNATURE
    assert (issue.link, issue.reason) == (LINK, "gemv_4bit does not check the activation's length")
    assert issue.surfaces == {"functional.gemv_4bit"}
    assert issue.paths == {"gemv_4bit"}
    assert issue.symptoms == {Symptom.MISSING_ERROR}
    assert issue.how == ""
    assert issue.triggers == {"weight.layout": "in_out"}
    assert issue.condition == Condition({"weight.layout": frozenset([Layout.IN_OUT])})
    assert (issue.device, issue.expires, issue.cases) == (None, None, ())


def test_a_row_with_a_pattern(file: Path) -> None:
    issue = only(file, PATTERN)
    assert issue.signature == ""
    assert issue.title == PATTERN["title"]
    assert issue.surfaces == {"functional.matmul_4bit", "ops.gemm_4bit", "nn.Linear4bit"}
    assert issue.paths == frozenset()
    assert issue.symptoms == {Symptom.CONTEXT_LOST}
    assert issue.how is None
    assert issue.condition == Condition(
        {"activation.dtype": frozenset([FloatDType.FLOAT16, FloatDType.BFLOAT16])}, {"weight.out_features": parse("odd")}
    )


def test_a_row_with_a_signature_may_be_called_otherwise(file: Path) -> None:
    issue = only(file, ROW, title="gemv_4bit takes anything")
    assert (issue.title, issue.signature) == ("gemv_4bit takes anything", SIGNATURE)


@pytest.mark.parametrize("row", [ROW, PATTERN], ids=["signature", "pattern"])
def test_what_any_row_may_say(file: Path, row: Mapping[str, Any]) -> None:
    issue = only(file, row, device="cuda", expires=dt.date(2027, 6, 30), cases=["corpus/one.json", "/elsewhere/two.json"])
    assert issue.device == "cuda"
    assert issue.expires == dt.date(2027, 6, 30)
    assert issue.cases == (file.parent / "corpus/one.json", Path("/elsewhere/two.json")), "beside the file"


def test_the_examples_in_the_documentation_are_read(file: Path) -> None:
    document = load.__globals__["__doc__"]
    file.write_text(document[document.index("[[issue]]") :], encoding="utf-8")
    exact, pattern = load(file)
    assert (bool(exact.signature), pattern.signature) == (True, "")
    assert pattern.expires == dt.date(2027, 6, 30)
    assert exact.cases == (file.parent / "corpus/gemv-in-out.json",)


def test_the_file_that_is_shipped_is_read() -> None:
    load(Path(load.__globals__["__file__"]).parents[1] / "known_issues.toml")


def test_rows_keep_their_order(file: Path) -> None:
    file.write_text(table(ROW) + table(PATTERN) + table({**ROW, "link": "unreported"}), encoding="utf-8")
    assert [issue.link for issue in load(file)] == [LINK, "unreported", "unreported"]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "issue = []\n"])
def test_no_rows(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    assert load(file) == ()


@pytest.mark.parametrize(
    ("version", "applies"),
    [
        ("0.47.9", False),
        ("0.48.0", True),
        ("0.48", True),
        ("0.50.2", True),
        ("0.50.2.dev0", True),
        ("0.50.0rc1", True),
        ("0.50.2+cu128", True),
        ("0.51.0", False),
        ("1.0", False),
    ],
)
def test_a_row_is_for_its_releases(file: Path, version: str, applies: bool) -> None:  # noqa: FBT001
    assert only(file, ROW).applies(version, "cpu") is applies


@pytest.mark.parametrize(("device", "on_cpu", "on_cuda"), [("cpu", True, False), ("cuda", False, True), (None, True, True)])
def test_a_row_is_for_its_device(file: Path, device: str | None, on_cpu: bool, on_cuda: bool) -> None:  # noqa: FBT001
    issue = only(file, ROW) if device is None else only(file, ROW, device=device)
    assert issue.applies("0.50.2", "cpu") is on_cpu
    assert issue.applies("0.50.2", "cuda") is on_cuda
    assert not issue.applies("0.47.0", "cpu")
    assert not issue.applies("0.47.0", "cuda")


def test_a_row_expires_on_its_day(file: Path) -> None:
    issue = only(file, ROW, expires=dt.date(2027, 6, 30))
    assert [issue.expired(dt.date(2027, 6, day)) for day in (29, 30)] == [False, True]
    assert issue.expired(dt.date(2028, 1, 1))
    assert not only(file, ROW).expired(dt.date.max)


@pytest.mark.parametrize(
    ("key", "concerns"),
    [
        (KEY, True),
        (FailureKey("ops.gemv_4bit", "gemv_4bit", Symptom.MISSING_ERROR, ""), False),
        (FailureKey("functional.gemv_4bit", "gemv_4bit_op", Symptom.MISSING_ERROR, ""), False),
        (FailureKey("functional.gemv_4bit", "gemv_4bit", Symptom.WRONG_SHAPE, ""), False),
        (FailureKey("functional.gemv_4bit", "gemv_4bit", Symptom.MISSING_ERROR, "codes"), False),
    ],
)
def test_a_signature_concerns_its_own_kind_of_failure(file: Path, key: FailureKey, concerns: bool) -> None:  # noqa: FBT001
    assert only(file, ROW).concerns(key) is concerns


@pytest.mark.parametrize("how", ["RuntimeError", ""])
def test_a_signature_concerns_failures_of_the_same_how(file: Path, how: str) -> None:
    row = {**ROW, "signature": f"s | p | unexpected exception{f' ({how})' if how else ''} | triggers: bias=True"}
    issue = only(file, row)
    for other in ("RuntimeError", "ValueError", ""):
        assert issue.concerns(FailureKey("s", "p", Symptom.UNEXPECTED_EXCEPTION, other)) is (other == how)


@pytest.mark.parametrize("how", ["", "CUDA error: misaligned address", "CUDA error: an illegal memory access"])
@pytest.mark.parametrize("path", ["matmul_4bit", "whatever"])
def test_a_pattern_concerns_every_path_and_how_of_its_surfaces(file: Path, path: str, how: str) -> None:
    issue = only(file, PATTERN)
    for surface in PATTERN["surfaces"]:
        assert issue.concerns(FailureKey(surface, path, Symptom.CONTEXT_LOST, how))
        assert not issue.concerns(FailureKey(surface, path, Symptom.PROCESS_DIED, how))
    assert not issue.concerns(FailureKey("functional.gemv_4bit", path, Symptom.CONTEXT_LOST, how))


def test_a_pattern_may_name_its_how(file: Path) -> None:
    issue = only(file, PATTERN, how=LOST.how)
    assert issue.concerns(LOST)
    assert not issue.concerns(dataclasses.replace(LOST, how=""))
    assert not issue.concerns(dataclasses.replace(LOST, how="CUDA error: an illegal memory access"))


def test_a_pattern_may_name_its_paths(file: Path) -> None:
    issue = only(file, PATTERN, paths=["linear4bit"])
    assert issue.concerns(FailureKey("nn.Linear4bit", "linear4bit", Symptom.CONTEXT_LOST, ""))
    assert not issue.concerns(FailureKey("nn.Linear4bit", "linear4bit_compiled", Symptom.CONTEXT_LOST, ""))


@pytest.mark.parametrize(
    ("triggers", "names"),
    [
        ({"weight.layout": "in_out"}, True),
        ({}, False),
        ({"weight.layout": "in_out", "bias": True}, False),  # another defect, that needs more
        ({"weight.layout": "out_in"}, False),
        ({"weight.in_features": "odd"}, False),
    ],
)
def test_a_signature_names_the_findings_that_have_it(file: Path, triggers: dict[str, Any], names: bool) -> None:  # noqa: FBT001
    issue = only(file, ROW)
    assert issue.names(KEY, IN_OUT, triggers) is names
    assert not issue.names(LOST, IN_OUT, triggers)


ODD_HALF: Final = Case(weight=Weight(out_features=129, in_features=64, dtype=FloatDType.FLOAT16))


@pytest.mark.parametrize(
    ("triggers", "minimal", "names"),
    [
        ({"activation.dtype": "float16", "weight.out_features": "odd"}, ODD_HALF, True),
        ({"activation.dtype": "float16", "weight.out_features": "odd+large", "activation.rows": "large", "bias": True}, ODD_HALF, True),
        ({"activation.dtype": "float16"}, ODD_HALF, False),  # does not need what the row is about
        ({"activation.dtype": "float16", "weight.out_features": "even"}, fields.replace(ODD_HALF, "weight.out_features", 128), False),
        (
            {"activation.dtype": "float32", "weight.out_features": "odd"},
            fields.replace(ODD_HALF, "weight.dtype", FloatDType.BFLOAT16),
            True,
        ),
        ({}, ODD_HALF, False),
    ],
)
def test_a_pattern_names_the_findings_that_need_it(file: Path, triggers: dict[str, Any], minimal: Case, names: bool) -> None:  # noqa: FBT001
    issue = only(file, PATTERN)
    assert issue.names(LOST, minimal, triggers) is names
    assert not issue.names(KEY, minimal, triggers)


TRIGGERS: Final[dict[str, tuple[dict[str, Any], Condition]]] = {
    "triggers: none": ({}, Condition()),
    "triggers: bias=True": ({"bias": True}, Condition({"bias": frozenset([True])})),
    "triggers: quantization.blocksize=128": ({"quantization.blocksize": 128}, Condition({"quantization.blocksize": frozenset([128])})),
    "triggers: activation.rank=3": ({"activation.rank": 3}, Condition({"activation.rank": frozenset([3])})),
    "triggers: weight.dtype=float16": ({"weight.dtype": "float16"}, Condition({"weight.dtype": frozenset([FloatDType.FLOAT16])})),
    "triggers: fill!=ones": ({"fill": NOT_ONES}, Condition({"weight.fill": frozenset(Fill) - {Fill.ONES} - NON_FINITE})),
    "triggers: weight.out_features=odd+large": (
        {"weight.out_features": "odd+large"},
        Condition({}, {"weight.out_features": parse("odd+large")}),
    ),
    "triggers: activation.rows=large, execution.grad=True, fill!=ones, weight.layout=in_out": (
        {"fill": NOT_ONES, "activation.rows": "large", "execution.grad": True, "weight.layout": "in_out"},
        Condition(
            {
                "execution.grad": frozenset([True]),
                "weight.layout": frozenset([Layout.IN_OUT]),
            },
            {"activation.rows": parse("large")},
        ),
    ),
}


@pytest.mark.parametrize("text", TRIGGERS)
def test_the_triggers_of_a_signature(file: Path, text: str) -> None:
    triggers, condition = TRIGGERS[text]
    issue = only(file, ROW, signature=f"functional.gemv_4bit | gemv_4bit | missing error | {text}")
    assert issue.triggers == triggers
    assert issue.condition == condition
    assert {name: type(value) for name, value in issue.triggers.items()} == {name: type(value) for name, value in triggers.items()}


HOWS: Final = (
    "",
    "RuntimeError",
    "codes",
    "exit status 1",
    "signal SIGSEGV",
    "arithmetic drift",
    "CUDA error: misaligned address (err 716), code=1",
    "a (b) | triggers: none",
    'says "no" \\ and )(',
)
size_words = st.sets(st.sampled_from(["odd", "even", "aligned", "large", "small"]), min_size=1).map(lambda words: "+".join(sorted(words)))
size_triggers = st.dictionaries(st.sampled_from(fields.SIZES), st.one_of(size_words, st.sampled_from(["unaligned+large", "irregular"])))
busy_triggers = st.sets(st.sampled_from(list(fields.CHOICES))).flatmap(
    lambda names: st.fixed_dictionaries({name: st.sampled_from(fields.CHOICES[name][1:]).map(fields.json_value) for name in sorted(names)})
)


@given(
    st.sampled_from(sorted(OTHER_PATHS.items())),
    st.sampled_from(Symptom),
    st.one_of(st.sampled_from(HOWS), st.text(st.characters(exclude_categories=["C", "Z"]))),
    st.builds(operator.or_, busy_triggers, size_triggers),
)
def test_every_signature_that_is_printed_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    place: tuple[str, str],
    symptom: Symptom,
    how: str,
    triggers: dict[str, Any],
) -> None:
    path, surface = place
    key = FailureKey(surface, path, symptom, told_apart_by(symptom.value, how))
    printed = signature(surface, path, symptom.value, key.how, triggers)
    issue = only(tmp_path_factory.getbasetemp() / "printed.toml", ROW, signature=printed)
    numbers = [name for name in fields.FILLS if name in triggers and triggers[name] not in {fill.value for fill in NON_FINITE}]
    read = {name: value for name, value in triggers.items() if name not in numbers}
    read |= {"fill": NOT_ONES} if numbers else {}
    assert issue.triggers == read
    assert issue.condition == parse_triggers(read)
    assert issue.concerns(key)
    assert issue.names(key, Case(), triggers)


def test_the_signature_of_a_real_finding_acts_on_its_case(file: Path) -> None:
    triggers = fields.triggers(BUSY)
    issue = only(file, ROW, signature=signature(KEY.surface, KEY.path, KEY.symptom.value, KEY.how, triggers))
    assert issue.condition.holds(BUSY)
    assert not issue.condition.holds(Case())


def test_a_missing_file(file: Path) -> None:
    assert refusal(file) == "cannot read the known-issues file FILE: No such file or directory"


def test_a_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "cannot read the known-issues file FILE: Is a directory"


@pytest.mark.parametrize("text", ["[[issue", "signature", '[[issue]]\nlink = "a\n"', "a = 1\na = 2\n"])
def test_not_toml(file: Path, text: str) -> None:
    assert refused(file, text).startswith("the known-issues file FILE is not TOML: ")


def test_not_text(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")
    assert refusal(file).startswith("the known-issues file FILE is not TOML: ")


def test_an_unknown_table(file: Path) -> None:
    assert refused(file, table(ROW).replace("[[issue]]", "[[issues]]")) == "FILE: unknown table 'issues', rows are [[issue]]"


@pytest.mark.parametrize("text", [table(ROW).replace("[[issue]]", "[issue]"), 'issue = "text"', "issue = 3"])
def test_rows_that_are_no_list(file: Path, text: str) -> None:
    assert refused(file, text) == "FILE: rows are [[issue]], with two brackets"


@pytest.mark.parametrize("text", ["issue = [1]", 'issue = ["reason"]', "issue = [[]]"])
def test_rows_that_are_no_tables(file: Path, text: str) -> None:
    assert refused(file, text) == "FILE: issue 1: it is not a table; rows are [[issue]]"


@pytest.mark.parametrize("row", [ROW, PATTERN], ids=["signature", "pattern"])
def test_an_unknown_key(file: Path, row: Mapping[str, Any]) -> None:
    known = "signature, surfaces, symptoms, triggers, link, versions, reason, title, paths, how, device, expires, cases"
    assert refused_row(file, row, colour="red") == f"unknown key 'colour'; known are {known}"


@pytest.mark.parametrize("key", TEXTS)
@pytest.mark.parametrize("row", [ROW, PATTERN], ids=["signature", "pattern"])
def test_a_missing_text(file: Path, row: Mapping[str, Any], key: str) -> None:
    assert refused_row(file, row, **{key: None}) == f"it lacks {key!r}"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("title", "it lacks 'title'"),
        ("surfaces", "it lacks 'surfaces', or a 'signature'"),
        ("symptoms", "it lacks 'symptoms', or a 'signature'"),
        ("triggers", "it lacks 'triggers', without which it would mute everything of its surfaces and symptoms"),
    ],
)
def test_what_a_pattern_lacks(file: Path, key: str, message: str) -> None:
    assert refused_row(file, PATTERN, **{key: None}) == message


def test_a_row_that_is_neither(file: Path) -> None:
    assert refused_row(file, ROW, signature=None).startswith("it lacks 'triggers'")


@pytest.mark.parametrize("value", [1, True, [], {}, 0.48, dt.date(2026, 1, 1)], ids=str)
@pytest.mark.parametrize(("row", "key"), [*((ROW, key) for key in ("signature", *TEXTS)), (PATTERN, "title"), (PATTERN, "how")])
def test_a_value_that_is_not_text(file: Path, row: Mapping[str, Any], key: str, value: object) -> None:
    assert refused_row(file, row, **{key: value}) == f"{key!r} is not text"


@pytest.mark.parametrize("value", ["context lost", 1, True, {}, [1], ["context lost", 2], [["context lost"]]], ids=str)
@pytest.mark.parametrize("key", ["surfaces", "symptoms", "paths", "cases"])
def test_a_value_that_is_no_list_of_texts(file: Path, key: str, value: object) -> None:
    assert refused_row(file, PATTERN, **{key: value}) == f"{key!r} is not a list of texts"


@pytest.mark.parametrize("key", ["surfaces", "symptoms"])
def test_an_empty_list(file: Path, key: str) -> None:
    assert refused_row(file, PATTERN, **{key: []}) == f"it lacks {key!r}, or a 'signature'"


@pytest.mark.parametrize("triggers", [{}, [], "weight.layout=in_out", 1, True])
def test_a_pattern_without_triggers(file: Path, triggers: object) -> None:
    message = refused_row(file, PATTERN, triggers=triggers)
    assert message == "it lacks 'triggers', without which it would mute everything of its surfaces and symptoms"


@pytest.mark.parametrize(
    "triggers",
    [{"weight.layout": "out_in"}, {"bias": [True, False]}, {"weight.dtype": "float32", "quantization.blocksize": [64, 128]}],
)
def test_a_pattern_that_cannot_be_taken_back(file: Path, triggers: dict[str, Any]) -> None:
    """What it explains is what goes away when its triggers are neutral; these are already, so that it would explain everything."""
    message = refused_row(file, PATTERN, triggers=triggers)
    assert message == "its triggers are all neutral, so that it would mute everything of its surfaces and symptoms"


def test_a_neutral_value_beside_a_trigger(file: Path) -> None:
    issue = only(file, PATTERN, triggers={"weight.dtype": ["float32", "float16"], "bias": True})
    assert issue.condition.taken_back(Case(bias=True)) == Case()


@pytest.mark.parametrize(
    ("triggers", "message"),
    [
        ({"colour": "red"}, "'colour' is not a field with choices; they are "),
        ({"seed": 3}, "'seed' is not a field with choices; they are "),
        ({"weight": {"layout": "in_out"}}, "'weight' is not a field with choices; they are "),
        ({"weight.layout": "sideways"}, "weight.layout is 'sideways', not one of out_in, in_out"),
        ({"weight.layout": []}, "weight.layout has no value"),
        ({"bias": 1}, "bias is 1, not one of False, True"),
        ({"weight.out_features": 129}, "weight.out_features is 129, not a rule about a size, such as "),
        ({"weight.out_features": "prime"}, "'prime' is not a rule about a size, such as "),
        ({"weight.out_features": "% 0 == 0"}, "'% 0 == 0' is not a rule about a size, such as "),
        ({"weight.out_features": ">= 1"}, "'>= 1' is so of every size"),
        ({"weight.fill": dt.date(2026, 1, 1)}, "weight.fill is datetime.date(2026, 1, 1), not one of ones, "),
    ],
)
def test_what_is_no_trigger(file: Path, triggers: dict[str, Any], message: str) -> None:
    assert refused_row(file, PATTERN, triggers=triggers).startswith(message)


@pytest.mark.parametrize("symptom", ["broken", "Context lost", "context  lost", "CONTEXT_LOST", ""])
def test_what_is_no_symptom(file: Path, symptom: str) -> None:
    every = ", ".join(symptom.value for symptom in Symptom)
    assert refused_row(file, PATTERN, symptoms=["context lost", symptom]) == f"{symptom!r} is not a symptom; they are {every}"


@pytest.mark.parametrize("key", ["surfaces", "symptoms", "triggers", "paths", "how"])
def test_a_row_is_a_signature_or_a_pattern(file: Path, key: str) -> None:
    value = {**PATTERN, "paths": ["gemv_4bit"], "how": "RuntimeError"}[key]
    assert refused_row(file, ROW, **{key: value}) == f"a row with a signature has no {key!r}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gemv_4bit",
        "functional.gemv_4bit | gemv_4bit | missing error",
        "functional.gemv_4bit | gemv_4bit | missing error | triggers: ",
        "functional.gemv_4bit | gemv_4bit | missing error | weight.layout=in_out",
        "gemv_4bit | missing error | triggers: none",
        "functional.gemv_4bit|gemv_4bit|missing error|triggers: none",
        "functional.gemv_4bit | gemv_4bit | missing error | triggers: none\n",
    ],
)
def test_what_is_no_signature(file: Path, text: str) -> None:
    assert refused_row(file, ROW, signature=text) == f"{text!r} is not a signature, as finding.json and the summary print it"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("missing error", "missing", "'missing' is not a symptom; they are "),
        ("=in_out", "", "'weight.layout' is not a trigger, such as weight.layout=in_out"),
        ("=in_out", "=in_out, ", "'' is not a trigger, such as weight.layout=in_out"),
        ("=in_out", "=in_out,bias=True", "weight.layout is 'in_out,bias=True', not one of out_in, in_out"),
        ("=in_out", "=sideways", "weight.layout is 'sideways', not one of out_in, in_out"),
        ("layout=in_out", "colour=red", "'weight.colour' is not a field with choices; they are "),
        ("weight.layout=in_out", "bias=true", "bias is 'true', not one of False, True"),
        ("weight.layout=in_out", "bias!=ones", "bias is '!=ones', not one of False, True"),
        ("weight.layout=in_out", "weight.out_features=129", "weight.out_features is 129, not a rule about a size"),
        ("weight.layout=in_out", "weight.out_features=prime", "'prime' is not a rule about a size"),
        ("weight.layout=in_out", "none, bias=True", "'none' is not a trigger, such as weight.layout=in_out"),
        ("weight.layout=in_out", f"quantization.blocksize={'9' * 5000}", "quantization.blocksize is '99"),
    ],
)
def test_what_is_wrong_in_a_signature(file: Path, old: str, new: str, message: str) -> None:
    assert refused_row(file, ROW, signature=SIGNATURE.replace(old, new)).startswith(message)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("a | b | hang | triggers: weight.layout=in_out, bias=True", "a | b | hang | triggers: bias=True, weight.layout=in_out"),
        ("a | b | hang | triggers: weight.fill=normal", "a | b | hang | triggers: fill!=ones"),
        ("a | b | hang | triggers: weight.fill!=normal", "a | b | hang | triggers: fill!=ones"),
        ("a | b | hang | triggers: bias=True, bias=True", "a | b | hang | triggers: bias=True"),
        ("a | b | hang | triggers: quantization.blocksize=0128", "a | b | hang | triggers: quantization.blocksize=128"),
        ("a | b | process died (signal SIGSEGV) | triggers: bias=True", "a | b | process died | triggers: bias=True"),
        ("a | b | wrong value (other bits) | triggers: bias=True", "a | b | wrong value | triggers: bias=True"),
        ("a | b | wrong value () | triggers: bias=True", "a | b | wrong value | triggers: bias=True"),
    ],
)
def test_a_signature_that_is_never_printed(file: Path, text: str, printed: str) -> None:
    """It would name no finding, and be said to match nothing although the defect is there."""
    assert refused_row(file, ROW, signature=text) == f"{text!r} is not how a signature is printed, which is {printed!r}"


@pytest.mark.parametrize("versions", ["0.50", "newer", ">=", ">=0.48 <0.51", "=>0.48"])
@pytest.mark.parametrize("row", [ROW, PATTERN], ids=["signature", "pattern"])
def test_a_bad_version_range(file: Path, row: Mapping[str, Any], versions: str) -> None:
    assert refused_row(file, row, versions=versions) == f"{versions!r} is not a version range such as '>=0.49,<0.51'"


@pytest.mark.parametrize("device", ["gpu", "CUDA", "", 1, ["cuda"]])
def test_an_unknown_device(file: Path, device: object) -> None:
    assert refused_row(file, ROW, device=device) == f'\'device\' is {device!r}, not "cpu" or "cuda"'


@pytest.mark.parametrize("expires", ["2027-06-30", 20270630, [], True, dt.datetime(2027, 6, 30, 12, tzinfo=dt.UTC), dt.time(12)], ids=str)
def test_a_day_that_is_none(file: Path, expires: object) -> None:
    assert refused_row(file, ROW, expires=expires) == "'expires' is not a date, such as 2027-06-30 without quotes"
