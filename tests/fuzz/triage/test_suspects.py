"""What is known, asked about failures: who may be why a Case fails, and the Case without them."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from fuzz.engine.verdict import Symptom
from fuzz.triage.condition import Condition, parse_triggers
from fuzz.triage.suspects import Suspects, acts
from fuzz.triage.verify import QUANTIZE
from strategies import fields
from strategies.case import Activation, Case, FloatDType, Layout, PackedView, Weight
from strategies.cases import cases
from tests.fuzz.triage.suspecting import GEMV, LINEAR, MATMUL, bug, exact, failure, key, pattern

IN_OUT = {"weight.layout": "in_out"}
ODD = {"weight.out_features": "odd"}
BIAS = {"bias": True}
TURNED = Case(weight=Weight(layout=Layout.IN_OUT, out_features=2, in_features=2))
PLAIN = Case(weight=Weight(out_features=2, in_features=2))


def knowing(*bugs: object) -> Suspects:
    suspects = Suspects()
    suspects.bugs.extend(bugs)  # type: ignore[arg-type]
    return suspects


def test_where_nothing_is_known_nothing_is_suspected() -> None:
    suspects = Suspects()
    assert suspects.concerning(key()) == suspects.acting(key(), PLAIN) == suspects.masking(key(), PLAIN) == []
    assert not suspects.may_act(key(), PLAIN)
    assert suspects.taken_back(key(), PLAIN) is PLAIN
    assert suspects.bug_of("") is None
    assert suspects.row_naming(bug(IN_OUT)) is None


def test_rows_come_before_bugs_and_each_in_its_order() -> None:
    suspects = Suspects([exact(IN_OUT), exact(BIAS)])
    first, second = bug(ODD), bug(IN_OUT)
    suspects.bugs += [first, second]
    assert suspects.concerning(key()) == [*suspects.rows, first, second]


def test_what_concerns_a_failure_has_its_path_and_kind() -> None:
    here, there, otherwise = bug(IN_OUT), bug(IN_OUT, key(GEMV)), bug(IN_OUT, key(MATMUL, Symptom.WRONG_SHAPE))
    linked = bug(BIAS, key(GEMV), MATMUL)
    suspects = knowing(here, there, otherwise, linked)
    assert suspects.concerning(key()) == [here, linked]
    assert suspects.concerning(key(LINEAR)) == []


def test_what_acts_has_all_that_it_needs() -> None:
    layout, both = bug(IN_OUT), bug(IN_OUT | BIAS)
    suspects = knowing(layout, both)
    assert suspects.acting(key(), TURNED) == [layout]
    assert suspects.acting(key(), dataclasses.replace(TURNED, bias=True)) == [layout, both]
    assert suspects.acting(key(), PLAIN) == []
    assert suspects.acting(key(GEMV), TURNED) == []


def test_one_region_is_enough_to_act() -> None:
    found = bug({"weight.in_features": ">= 65"})
    found.regions.append(parse_triggers({"activation.rows": ">= 33"}))
    suspects = knowing(found)
    many_rows = Case(activation=Activation(leading=(33,)))
    assert suspects.acting(key(), many_rows) == [found]
    assert suspects.acting(key(), Case(weight=Weight(in_features=65))) == [found]
    assert not acts(found, Case())
    back = suspects.taken_back(key(), dataclasses.replace(many_rows, weight=Weight(in_features=65)))
    assert back is not None
    assert not acts(found, back)


@given(cases(), st.sampled_from([MATMUL, GEMV, LINEAR]), st.sampled_from([Symptom.WRONG_VALUE, Symptom.HANG]))
def test_what_may_act_is_whether_anything_acts(case: Case, path: str, symptom: Symptom) -> None:
    suspects = Suspects([pattern(IN_OUT, key(MATMUL), key(GEMV)), exact(BIAS, key(LINEAR))])
    suspects.bugs += [bug(ODD), bug({"weight.dtype": "float16"}, key(GEMV, Symptom.HANG), LINEAR)]
    asked = key(path, symptom)
    assert suspects.may_act(asked, case) == bool(suspects.acting(asked, case))
    assert set(map(id, suspects.acting(asked, case))) <= set(map(id, suspects.concerning(asked)))
    back = suspects.taken_back(asked, case)
    assert back is not None
    assert suspects.acting(asked, back) == []
    assert (back is case) == (not suspects.may_act(asked, case))


def test_only_what_concerns_a_failure_is_taken_back() -> None:
    suspects = knowing(bug(IN_OUT), bug(BIAS, key(GEMV)), bug({"packed": "transposed"}, key(MATMUL, Symptom.WRONG_SHAPE)))
    case = dataclasses.replace(TURNED, bias=True, packed=PackedView.TRANSPOSED)
    assert suspects.taken_back(key(), case) == dataclasses.replace(PLAIN, bias=True, packed=PackedView.TRANSPOSED)
    assert suspects.taken_back(key(GEMV), case) == dataclasses.replace(case, bias=False)
    assert suspects.taken_back(key(LINEAR), case) is case


def test_what_always_acts_cannot_be_taken_back() -> None:
    suspects = knowing(bug({}))
    assert suspects.may_act(key(), Case())
    assert suspects.taken_back(key(), PLAIN) is None
    assert suspects.taken_back(key(GEMV), PLAIN) is PLAIN


def test_what_is_taken_back_together() -> None:
    suspects = Suspects([exact(IN_OUT)])
    suspects.bugs += [bug(ODD), bug({"weight.out_features": "% 64 == 0"})]
    back = suspects.taken_back(key(), Case(weight=Weight(out_features=3, layout=Layout.IN_OUT)))
    assert back is not None
    assert suspects.acting(key(), back) == []
    assert back.weight.layout is Layout.OUT_IN
    assert back.weight.out_features % 2 == 0 != back.weight.out_features % 64


def test_what_resembles_asks_for_the_same_choices_and_some_same_size() -> None:
    few = bug({"activation.dtype": "float16", "weight.in_features": ">= 65"})
    other = bug({"weight.in_features": ">= 65"})
    elsewhere = bug({"activation.dtype": "float16", "weight.in_features": ">= 65"}, key(GEMV))
    suspects = knowing(few, other, elsewhere)
    asked = parse_triggers({"activation.dtype": "bfloat16", "weight.in_features": "odd", "activation.rows": ">= 33"})
    assert suspects.resembling(key(), asked) == [few]
    assert suspects.resembling(key(GEMV), asked) == [elsewhere]
    assert suspects.resembling(key(LINEAR), asked) == []
    assert suspects.resembling(key(), Condition()) == []
    few.regions.append(parse_triggers({"activation.rows": ">= 2"}))
    assert suspects.resembling(key(), parse_triggers({"activation.rows": ">= 33"})) == [few], "by any of its regions"


def test_a_row_resembles_too() -> None:
    suspects = Suspects([exact(ODD)])
    assert suspects.resembling(key(), parse_triggers({"weight.out_features": ">= 65"})) == suspects.rows


def test_what_would_hide_a_failure_and_does_not_act() -> None:
    same, otherwise, elsewhere = bug(IN_OUT), bug(BIAS, key(MATMUL, Symptom.HANG)), bug(IN_OUT, key(GEMV))
    quantization = bug({"packed": "transposed"}, key(QUANTIZE, Symptom.CONTEXT_LOST))
    passed_on = bug(ODD, key(QUANTIZE, Symptom.WRONG_VALUE))
    suspects = knowing(same, otherwise, elsewhere, quantization, passed_on)
    assert suspects.masking(key(), PLAIN) == [same, otherwise, quantization]
    assert suspects.masking(key(), TURNED) == [otherwise, quantization], "what acts is not hidden: it is seen"
    assert suspects.masking(key(LINEAR), PLAIN) == [quantization]


def test_a_bug_is_found_by_its_signature() -> None:
    one, other = bug(IN_OUT), bug(BIAS)
    suspects = knowing(one, other)
    assert suspects.bug_of(other.signature) is other
    assert suspects.bug_of(bug(IN_OUT).signature) is one
    assert suspects.bug_of(bug(IN_OUT, key(GEMV)).signature) is None


def test_a_row_names_the_bug_with_its_signature() -> None:
    suspects = Suspects([exact(BIAS), exact(IN_OUT)])
    assert suspects.row_naming(bug(IN_OUT)) is suspects.rows[1]
    assert suspects.row_naming(bug(IN_OUT, key(GEMV))) is None
    assert suspects.row_naming(bug(IN_OUT | BIAS)) is None, "it needs more, so it is another one"


def test_a_pattern_names_bugs_that_need_at_least_as_much() -> None:
    suspects = Suspects([pattern({"weight.dtype": ["float16", "bfloat16"]}, key(MATMUL), key(GEMV))])
    (row,) = suspects.rows
    half = Case(weight=Weight(dtype=FloatDType.BFLOAT16))
    for path in (MATMUL, GEMV):
        assert suspects.row_naming(bug({"weight.dtype": "bfloat16", "bias": True}, key(path), minimal=half)) is row
    assert suspects.row_naming(bug({"weight.dtype": "bfloat16"}, key(LINEAR), minimal=half)) is None
    assert suspects.row_naming(bug(BIAS, minimal=half)) is None, "the dtype is not what it needs"
    assert suspects.row_naming(bug({"weight.dtype": "float32"}, minimal=Case())) is None


def test_the_first_row_that_names_a_bug_is_taken() -> None:
    suspects = Suspects([pattern(IN_OUT, key()), exact(IN_OUT)])
    assert suspects.row_naming(bug(IN_OUT, minimal=TURNED)) is suspects.rows[0]


def test_what_a_row_is_linked_to_is_explained_there() -> None:
    suspects = Suspects([exact(IN_OUT)])
    assert not suspects.may_act(key(LINEAR), TURNED)
    suspects.rows[0].link(key(LINEAR))
    assert suspects.acting(key(LINEAR), TURNED) == suspects.rows
    assert suspects.taken_back(key(LINEAR), TURNED) == PLAIN
    suspects.rows[0].count(failure(key(LINEAR), TURNED))
    assert suspects.rows[0].observed == 1


@given(cases())
def test_a_bug_acts_on_its_minimal_case(case: Case) -> None:
    found = bug(fields.triggers(case), minimal=case)
    assert acts(found, case)
