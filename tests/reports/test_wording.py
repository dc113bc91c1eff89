"""Words for fields, values and rules about sizes."""

from __future__ import annotations

from typing import Any

import pytest

from fuzz.triage.sizes import POWERS, WORDS, SizeRule
from reports.size_wording import sizes
from reports.wording import LABELS, label, listing, size, trigger, value
from strategies import fields


def test_every_field_has_a_label() -> None:
    assert set(LABELS) == {*fields.CHOICES, *fields.SIZES}
    assert len(set(LABELS.values())) == len(LABELS)


def test_values_of_one_field_have_different_names() -> None:
    for name, choices in fields.CHOICES.items():
        assert len({value(name, fields.json_value(choice)) for choice in choices}) == len(choices)


@pytest.mark.parametrize(
    ("name", "json_value", "words"),
    [
        ("activation.dtype", "bfloat16", "activation dtype is bfloat16"),
        ("weight.layout", "in_out", "weight layout is (in_features, out_features)"),
        ("packed", "transposed", "packed weight is its transposed view"),
        ("quantization.storage", "float16", "quant_storage is float16"),
        ("quantization.compress_statistics", True, "compress_statistics=True"),
        ("bias", True, "a bias is added"),
        ("bias", False, "bias is False"),
        ("execution.grad", True, "the activation requires grad"),
        ("weight.fill", "normal", "weight values are not all ones (normal)"),
        ("activation.fill", "huge", "activation values are not all ones (huge)"),
        ("activation.rank", 3, "activation rank is 3"),
        ("later.field", 3, "later.field is 3"),
    ],
)
def test_a_trigger_in_a_title(name: str, json_value: Any, words: str) -> None:
    assert trigger(name, json_value) == words


@pytest.mark.parametrize(
    ("name", "words", "phrase"),
    [
        ("weight.out_features", "odd", "odd out_features"),
        ("weight.in_features", "large+small", "certain in_features"),
        ("weight.in_features", "odd+large", "odd and large in_features"),
        ("weight.in_features", "irregular", "certain in_features"),
        ("activation.rows", "large", "many rows"),
        ("activation.rows", "small", "few rows"),
        ("activation.rows", "odd+large", "odd and large row count"),
        ("weight.in_features", "crooked", "in_features crooked"),
    ],
)
def test_a_size_in_a_title(name: str, words: str, phrase: str) -> None:
    assert size(name, words) == phrase


@pytest.mark.parametrize("word", WORDS)
def test_every_word_for_sizes_is_known(word: str) -> None:
    assert size("weight.in_features", word) != f"in_features {word}"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("% 2 != 0", "odd out_features"),
        ("% 2 == 0", "even out_features"),
        ("% 64 != 0", "out_features that are no multiples of 64"),
        ("% blocksize != 0", "out_features that are no multiples of the blocksize"),
        ("% 4 == 0, % 64 != 0", "out_features that are multiples of 4 and no multiples of 64"),
        ("% 2 == 0, % 8 != 0, >= 10", "even out_features that are no multiples of 8 from 10 on"),
        (">= 33", "out_features from 33 on"),
        ("<= 32", "out_features up to 32"),
        (">= 3, <= 32", "out_features from 3 to 32"),
        ("== 1", "out_features 1"),
        ("irregular", "certain out_features"),
        ("any", ""),
        ("", ""),
        ("% 2", ""),
        (">= 3 != 0", ""),
        ("crooked", ""),
    ],
)
def test_a_rule_in_a_sentence(rule: str, words: str) -> None:
    assert sizes("weight.out_features", rule) == words


def test_every_rule_that_can_be_learned_has_words() -> None:
    for multiple in (1, *POWERS):
        for modulus in (None, "blocksize", *POWERS):
            for least, most in ((1, None), (65, None), (1, 65), (3, 65), (5, 5)):
                rule = SizeRule(least=least, most=most, multiple_of=multiple, not_multiple_of=modulus)
                assert sizes("activation.rows", rule.text) or rule.text == "any"


def test_rows_have_a_noun_of_their_own() -> None:
    assert sizes("activation.rows", "% 2 != 0, >= 3") == "odd row counts from 3 on"
    assert label("activation.rows") == "row count"


def test_a_listing() -> None:
    assert [listing(items) for items in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
    assert listing(["a", "b"], "or") == "a or b"
