"""Stale examples are seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.document import Command, StaleError, commands, run
from tests.reports.markdown import Block

CHANGE = """```diff
--- a/file.txt
+++ b/file.txt
@@ -1,3 +1,4 @@
 zero
 one
+{added}
 {after}
```
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    (tmp_path / "file.txt").write_text("zero\none\ntwo\n", encoding="utf-8")
    return tmp_path


def page(*lines: str) -> str:
    return "\n".join(["```console", *lines, "```", ""])


def test_a_file_can_be_written_and_run(copy: Path) -> None:
    run("```python new.py\nprint('it ran')\n```\n" + page("$ python new.py", "it ran"), copy)


def test_changes_come_first_and_commands_share_a_shell(copy: Path) -> None:
    text = page("$ name=file", "$ cat $name.txt", "zero", "...", "new", "two", "$ false", "$ echo $?", "1")
    run(text + CHANGE.format(added="new", after="two"), copy)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (page("$ cat file.txt", "zero", "two"), "the page says"),
        (page("$ cat file.txt"), "it prints"),
        (page("$ cat nothing.txt", "zero"), "No such file"),
        (page("$ true", "some output"), "some output"),
        (page("$ exit 3", "$ true"), "the shell ended after 0 of 2 commands"),
        (CHANGE.format(added="new", after="three"), "the change does not apply"),
        ("```python\nprint()\n```\n", "a block of 'python' is not run"),
    ],
)
def test_what_is_stale_is_said(copy: Path, text: str, words: str) -> None:
    with pytest.raises(StaleError, match=words):
        run(text, copy)


def test_commands_and_their_outputs() -> None:
    block = Block("console", ("$ echo a \\", "    b", "a b", "$ echo $HOME", "...", "$ true"))
    assert list(commands(block)) == [Command("echo a \\\nb", "a b"), Command("echo $HOME", "..."), Command("true", "")]
