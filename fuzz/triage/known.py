"""Known issues: rows of a TOML file that name defects which do not fail a run.

A row is a finding's signature, or a pattern over surfaces, symptoms and triggers. It never mutes a path: a failure is a
row's only if it goes away when the row's triggers are neutral.

[[issue]]
signature = "functional.gemv_4bit | gemv_4bit | missing error | triggers: weight.layout=in_out"
link = "https://github.com/bitsandbytes-foundation/bitsandbytes/issues/1862"
versions = ">=0.48,<0.51"
reason = "gemv_4bit does not check the activation's length"
cases = ["corpus/gemv-in-out.json"]

[[issue]]
title = "16-bit products of odd out_features lose the context"
surfaces = ["functional.matmul_4bit", "ops.gemm_4bit", "nn.Linear4bit"]
symptoms = ["context lost"]
triggers = { "activation.dtype" = ["float16", "bfloat16"], "weight.out_features" = "odd" }
link = "unreported"
versions = ">=0.50"
reason = "the tensor-core kernel stores pairs"
device = "cuda"
expires = 2027-06-30
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from fuzz.engine.verdict import FailureKey, Symptom
from fuzz.triage.condition import Condition, parse_triggers
from fuzz.triage.sizes import SizeRuleError
from reports.finding import signature
from strategies import fields
from strategies.case import Case, CaseError

_TEXTS: Final = ("link", "versions", "reason")
_PATTERN: Final = ("surfaces", "symptoms", "triggers")
_OPTIONAL: Final = ("title", "paths", "how", "device", "expires", "cases")
_KEYS: Final = ("signature", *_PATTERN, *_TEXTS, *_OPTIONAL)
_SIGNATURE: Final = re.compile(
    r"(?P<surface>[^|]+) \| (?P<path>[^|]+) \| (?P<symptom>[^|(]+?)(?: \((?P<how>.*)\))? \| triggers: (?P<triggers>.+)"
)
_NUMBER: Final = re.compile("[0-9]{1,9}")


class KnownIssuesError(ValueError):
    """A known-issues file that cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIssue:
    """One row.

    Attributes:
        title: how it is called in summaries; the signature, where a row with one has nothing else.
        surfaces, symptoms, paths: what fails and how; no paths: all of the surfaces.
        how: the exception's type and the like; None for any.
        triggers: as the row has them; `condition` is what they mean.
        signature: of the only finding that it names, which has no more triggers; empty for a pattern.
        link: where it is reported, or "unreported".
        versions: the releases that it is expected in.
        device: "cpu" or "cuda" if it is there on one of them only.
        expires: the day from which on the row makes a run red.
        cases: files with Cases that show it.
    """

    title: str
    surfaces: frozenset[str]
    symptoms: frozenset[Symptom]
    triggers: Mapping[str, Any]
    condition: Condition
    link: str
    versions: SpecifierSet
    reason: str
    paths: frozenset[str] = frozenset()
    how: str | None = None
    signature: str = ""
    device: str | None = None
    expires: dt.date | None = None
    cases: tuple[Path, ...] = field(default=())

    def applies(self, version: str, device: str) -> bool:
        """Whether the defect is expected in this release on this device."""
        return self.device in (None, device) and self.versions.contains(Version(version), prereleases=True)

    def expired(self, today: dt.date) -> bool:
        """Whether the row has to be looked at again."""
        return self.expires is not None and today >= self.expires

    def concerns(self, key: FailureKey) -> bool:
        """Whether a failure of this kind may be this row's."""
        return (
            key.surface in self.surfaces
            and key.symptom in self.symptoms
            and (not self.paths or key.path in self.paths)
            and self.how in (None, key.how)
        )

    def names(self, key: FailureKey, minimal: Case, triggers: Mapping[str, Any]) -> bool:
        """Whether this row is about the defect with this minimal Case and these triggers."""
        if self.signature:
            return self.signature == signature(key.surface, key.path, key.symptom.value, key.how, dict(triggers))
        return self.concerns(key) and set(self.triggers) <= set(triggers) and self.condition.holds(minimal)


def load(path: Path) -> tuple[KnownIssue, ...]:
    """The rows of a known-issues file.

    Raises:
        KnownIssuesError: no such file, not TOML, or a row with a missing, unknown or malformed key; one sentence.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KnownIssuesError(f"cannot read the known-issues file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KnownIssuesError(f"the known-issues file {path} is not TOML: {error}") from None
    if unknown := sorted(set(data) - {"issue"}):
        raise KnownIssuesError(f"{path}: unknown table {unknown[0]!r}, rows are [[issue]]")
    rows = data.get("issue", [])
    if not isinstance(rows, list):
        raise KnownIssuesError(f"{path}: rows are [[issue]], with two brackets")
    issues = []
    for number, row in enumerate(rows, start=1):
        try:
            issues.append(_row(path.parent, row))
        except (KnownIssuesError, CaseError, SizeRuleError) as error:
            raise KnownIssuesError(f"{path}: issue {number}: {error}") from None
    return tuple(issues)


def _row(folder: Path, row: object) -> KnownIssue:
    if not isinstance(row, dict):
        raise KnownIssuesError("it is not a table; rows are [[issue]]")
    if unknown := sorted(set(row) - set(_KEYS)):
        raise KnownIssuesError(f"unknown key {unknown[0]!r}; known are {', '.join(_KEYS)}")
    link, versions, reason = (_text(row, key) for key in _TEXTS)
    common = {
        "link": link,
        "versions": _versions(versions),
        "reason": reason,
        "device": _device(row),
        "expires": _date(row),
        "cases": tuple(folder / name for name in _texts(row, "cases")),
    }
    return _exact(row, common) if "signature" in row else _pattern(row, common)


def _exact(row: dict[str, Any], common: dict[str, Any]) -> KnownIssue:
    if both := [key for key in (*_PATTERN, "paths", "how") if key in row]:
        raise KnownIssuesError(f"a row with a signature has no {both[0]!r}")
    text = _text(row, "signature")
    found = _SIGNATURE.fullmatch(text)
    if found is None:
        raise KnownIssuesError(f"{text!r} is not a signature, as finding.json and the summary print it")
    symptom, how, triggers = _symptom(found["symptom"]), found["how"] or "", _split_triggers(found["triggers"])
    condition = parse_triggers(triggers)
    # What no finding prints would name no finding.
    if (printed := signature(found["surface"], found["path"], symptom.value, how, triggers)) != text:
        raise KnownIssuesError(f"{text!r} is not how a signature is printed, which is {printed!r}")
    return KnownIssue(
        title=_text(row, "title") if "title" in row else text,
        signature=text,
        surfaces=frozenset([found["surface"]]),
        paths=frozenset([found["path"]]),
        symptoms=frozenset([symptom]),
        how=how,
        triggers=triggers,
        condition=condition,
        **common,
    )


def _split_triggers(text: str) -> dict[str, Any]:
    if text == "none":
        return {}
    triggers: dict[str, Any] = {}
    for part in text.split(", "):
        name, sign, value = part.partition("=")
        if not sign:
            raise KnownIssuesError(f"{part!r} is not a trigger, such as weight.layout=in_out")
        triggers[name.removesuffix("!")] = "!=ones" if name.endswith("!") else _parse_scalar(value)
    return triggers


def _parse_scalar(text: str) -> Any:
    """A value as a signature prints it: a flag, a number or a word."""
    if text in {"True", "False"}:
        return text == "True"
    return int(text) if _NUMBER.fullmatch(text) else text


def _pattern(row: dict[str, Any], common: dict[str, Any]) -> KnownIssue:
    triggers = row.get("triggers")
    if not isinstance(triggers, dict) or not triggers:
        raise KnownIssuesError("it lacks 'triggers', without which it would mute everything of its surfaces and symptoms")
    surfaces, symptoms = _texts(row, "surfaces"), _texts(row, "symptoms")
    if not surfaces or not symptoms:
        raise KnownIssuesError(f"it lacks {'surfaces' if not surfaces else 'symptoms'!r}, or a 'signature'")
    condition = parse_triggers(triggers)
    if not condition.sizes and all(fields.neutral(name) in values for name, values in condition.choices.items()):
        raise KnownIssuesError("its triggers are all neutral, so that it would mute everything of its surfaces and symptoms")
    return KnownIssue(
        title=_text(row, "title"),
        surfaces=frozenset(surfaces),
        symptoms=frozenset(_symptom(name) for name in symptoms),
        paths=frozenset(_texts(row, "paths")),
        how=_text(row, "how") if "how" in row else None,
        triggers=triggers,
        condition=condition,
        **common,
    )


def _symptom(name: str) -> Symptom:
    try:
        return Symptom(name)
    except ValueError:
        raise KnownIssuesError(f"{name!r} is not a symptom; they are {', '.join(symptom.value for symptom in Symptom)}") from None


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise KnownIssuesError(f"it lacks {key!r}" if value is None else f"{key!r} is not text")
    return value


def _texts(row: dict[str, Any], key: str) -> list[str]:
    value = row.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise KnownIssuesError(f"{key!r} is not a list of texts")
    return value


def _versions(text: str) -> SpecifierSet:
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        raise KnownIssuesError(f"{text!r} is not a version range such as '>=0.49,<0.51'") from None


def _device(row: dict[str, Any]) -> str | None:
    device = row.get("device")
    if device not in (None, "cpu", "cuda"):
        raise KnownIssuesError(f'\'device\' is {device!r}, not "cpu" or "cuda"')
    return device


def _date(row: dict[str, Any]) -> dt.date | None:
    expires = row.get("expires")
    if expires is not None and type(expires) is not dt.date:
        raise KnownIssuesError("'expires' is not a date, such as 2027-06-30 without quotes")
    return expires
