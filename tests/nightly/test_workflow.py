"""The nightly workflow: valid, pinned, with no more rights than it needs, and with commands that exist."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fuzz.__main__ import build_parser
from tests.nightly.workflow import FILE, PROJECT, clean_environment, commands, read, steps

WORKFLOW = read()
USES = re.compile(r"^ *uses: (?P<action>[\w-]+/[\w/-]+)@(?P<digest>[0-9a-f]{40}) # v\d+\.\d+\.\d+$")
SCHEMAS = ("vendor.github-workflows", "custom.github-workflows-require-timeout")


def checked(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a tool that is beside this interpreter."""
    command = [str(Path(sys.executable).parent / tool), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def audited(path: Path) -> subprocess.CompletedProcess[str]:
    return checked("zizmor", "--offline", "--persona", "pedantic", "--no-progress", path)


def changed(folder: Path, before: str, after: str) -> Path:
    """A copy of the workflow with a mistake."""
    text = FILE.read_text(encoding="utf-8")
    assert before in text
    copy = folder / ".github" / "workflows" / "nightly.yml"
    copy.parent.mkdir(parents=True)
    copy.write_text(text.replace(before, after), encoding="utf-8")
    return copy


@pytest.mark.parametrize("schema", SCHEMAS)
def test_it_follows_the_schema_of_github(schema: str) -> None:
    done = checked("check-jsonschema", "--builtin-schema", schema, FILE)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("schema", "before", "after"),
    [
        (SCHEMAS[0], "needs: fuzz", "need: fuzz"),
        (SCHEMAS[0], "timeout-minutes: 180", "timeout-minuts: 180"),
        (SCHEMAS[1], "    timeout-minutes: 180\n", ""),
    ],
)
def test_the_schema_sees_mistakes(tmp_path: Path, schema: str, before: str, after: str) -> None:
    assert checked("check-jsonschema", "--builtin-schema", schema, changed(tmp_path, before, after)).returncode == 1


def test_an_audit_of_its_security_finds_nothing() -> None:
    done = audited(FILE)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a # v7.0.1", "@v7"),
        ("--into merged", '--into "${{ github.event.issue.title }}"'),
        ("        with:\n          persist-credentials: false\n", ""),
        ("permissions:\n  contents: read\n\nconcurrency", "permissions: write-all\n\nconcurrency"),
    ],
)
def test_the_audit_sees_mistakes(tmp_path: Path, before: str, after: str) -> None:
    assert audited(changed(tmp_path, before, after)).returncode not in (0, 1, 2)


def test_every_action_is_pinned_by_its_digest_with_its_version() -> None:
    lines = [line for line in FILE.read_text(encoding="utf-8").splitlines() if "uses:" in line]
    assert len(lines) == sum("uses" in step.data for step in steps(WORKFLOW)) > 0
    found = [USES.match(line) for line in lines]
    assert None not in found
    pins = {(match["action"].split("/")[1], match["digest"]) for match in found if match}
    assert len({action for action, _ in pins}) == len(pins), "one action in two versions"


def test_every_job_has_a_time_limit_and_says_what_it_may() -> None:
    for name, job in WORKFLOW["jobs"].items():
        assert 0 < job["timeout-minutes"] <= 180, name
        assert job["permissions"]["contents"] == "read", name
    writers = {(name, right) for name, job in WORKFLOW["jobs"].items() for right, kind in job["permissions"].items() if kind != "read"}
    assert writers == {("file", "issues")}


def test_filing_is_off_unless_somebody_switches_it_on() -> None:
    assert WORKFLOW["on"]["workflow_dispatch"]["inputs"]["file"]["default"] is False
    condition = WORKFLOW["jobs"]["file"]["if"]
    assert "inputs.file || vars.NIGHTLY_FILE == 'true'" in condition
    senders = [step.job for step in steps(WORKFLOW) if "--send" in str(step.data.get("run"))]
    assert senders == ["file"]


def test_strangers_cannot_start_it_on_a_machine_of_ours() -> None:
    assert set(WORKFLOW["on"]) == {"schedule", "workflow_dispatch"}


def test_the_state_is_saved_under_the_name_that_it_is_looked_for() -> None:
    caches: list[dict[str, Any]] = [step.data["with"] for step in steps(WORKFLOW) if "actions/cache" in step.data.get("uses", "")]
    assert len({(cache["path"], cache["key"]) for cache in caches}) == 1
    assert all(cache["key"].startswith(cache["restore-keys"]) for cache in caches if "restore-keys" in cache)
    assert {cache["path"] for cache in caches} == {WORKFLOW["env"]["STATE"]}


def test_the_release_that_is_pinned_is_fuzzed_and_no_two_shards_have_one_seed() -> None:
    matrix = WORKFLOW["jobs"]["fuzz"]["strategy"]["matrix"]
    pinned = re.search(r"^bitsandbytes==(.*)$", (PROJECT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned is not None
    assert {pinned[1], "preview"} < set(matrix["release"])
    assert all(0 <= shard < 10 for shard in matrix["shard"]), "the seed is the run's number and one digit"


COMMANDS = list(commands(WORKFLOW))


def test_the_commands_of_a_night_are_there() -> None:
    modules = [" ".join(words[:2]) for words in COMMANDS]
    assert modules == ["fuzz remember", "fuzz doctor", "pytest fuzz/", "fuzz merge", "fuzz remember", "reports file"]


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0] == "fuzz"], ids=" ".join)
def test_options_of_fuzz_exist(words: list[str]) -> None:
    assert build_parser().parse_args(words[1:]).command == words[1]


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0] == "pytest"], ids=" ".join)
def test_options_of_pytest_exist(words: list[str]) -> None:
    command = [sys.executable, "-m", *words, "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=PROJECT, env=clean_environment(), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_gemv_matrix.py" in done.stdout


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0] == "reports"], ids=" ".join)
def test_options_of_reports_exist(words: list[str]) -> None:
    if importlib.util.find_spec("reports.__main__") is None:
        pytest.skip("there is no `python -m reports` yet")
    done = subprocess.run(
        [sys.executable, "-m", *words[:2], "--help"], cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [word for word in words if word.startswith("--") and word not in done.stdout] == []
