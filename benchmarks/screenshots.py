"""Pictures of a run's page: on a desk, in the dark, on a phone, and with its first finding open.

python -m benchmarks.screenshots DIR --into docs

DIR is a reports directory; its page is written anew. Needs Chromium. Ends with exit status 2 if it cannot be done.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.browser import Browser, BrowserError, find
from reports.page.write import write_page
from reports.run import ReportsError

DESK: Final = 1280
PHONE: Final = 390
"""Widths in CSS pixels."""

TOP: Final = {"desk": 1500, "dark": 1500, "phone": 1700, "finding": 1500, "space": 1100}
"""Heights in CSS pixels of what is shown."""


def take(browser: Browser, page: Path, into: Path) -> list[Path]:
    """Take all pictures of `page` and return their files."""
    into.mkdir(parents=True, exist_ok=True)
    files = {name: into / f"page-{name}.webp" for name in TOP}
    for name, width, dark in (("desk", DESK, False), ("dark", DESK, True), ("phone", PHONE, False)):
        browser.open(page, width, dark=dark)
        browser.picture(files[name], TOP[name])
    browser.open(page, DESK)
    browser.evaluate("(document.querySelector('.finding:has(img)') || document.querySelector('.finding'))?.setAttribute('open', '')")
    browser.picture(files["finding"], TOP["finding"], "details[open]")
    browser.picture(files["space"], TOP["space"], "#space")
    return list(files.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the pictures and name the files."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.screenshots", description="Pictures of a run's page.")
    parser.add_argument("root", type=Path, metavar="DIR", help="a reports directory")
    parser.add_argument("--into", type=Path, required=True, metavar="DIR", help="where the pictures go")
    chosen = parser.parse_args(arguments)
    try:
        with Browser(find()) as browser:
            files = take(browser, write_page(chosen.root), chosen.into)
    except (BrowserError, ReportsError, OSError) as error:
        sys.stderr.write(f"could not take pictures: {error}\n")
        return 2
    sys.stdout.writelines(f"{file}\n" for file in files)
    return 0


if __name__ == "__main__":
    sys.exit(main())
