"""A headless Chromium that opens a page, says what went wrong, and takes pictures; over its debugging pipe, without a library.

https://chromedevtools.github.io/devtools-protocol/ names the methods and events.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
STARTING: Final = 60.0
"""Seconds that the browser may take to answer, on a machine that is busy."""

_OPTIONS: Final = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe", "--no-first-run")
_TROUBLE: Final = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
_MARGIN: Final = 16
"""CSS pixels above an element of which there is a picture."""
_LOCAL: Final = ("file:", "data:")


class BrowserError(RuntimeError):
    """The browser cannot be used, in one sentence."""


def find() -> str:
    """The path of a browser.

    Raises:
        BrowserError: there is none.
    """
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        raise BrowserError(f"none of {', '.join(NAMES)} is on PATH")
    return found


@dataclass(slots=True)
class Browser:
    """A browser with one tab. Use it in a `with` statement.

    Attributes:
        program: its path.
        trouble: what the pages that were opened wrote to the console, errors and exceptions among it.
        requests: the addresses that they asked for, other than files and data.
    """

    program: str
    trouble: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None
    _in: io.BufferedReader | None = None
    _out: io.FileIO | None = None
    _folder: tempfile.TemporaryDirectory[str] | None = None
    _session: str = ""
    _number: int = 0
    _events: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        its_in, our_out = os.pipe()
        our_in, its_out = os.pipe()
        # The browser reads from 3 and writes to 4. Other shells than bash do not take numbers of two digits here.
        command = [
            "bash",
            "-c",
            f'exec "$@" 3<&{its_in} 4>&{its_out}',
            "bash",
            self.program,
            *_OPTIONS,
            f"--user-data-dir={self._folder.name}",
        ]
        self._process = subprocess.Popen(  # noqa: S603 - a program that the user has
            command, pass_fds=(its_in, its_out), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(its_in)
        os.close(its_out)
        self._in, self._out = io.BufferedReader(io.FileIO(our_in)), io.FileIO(our_out, "w")
        try:
            self._attach()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _attach(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __exit__(self, *_: object) -> None:
        for pipe in (self._out, self._in):
            if pipe is not None:
                pipe.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(STARTING)
        if self._folder is not None:
            self._folder.cleanup()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and wait for its result.

        Raises:
            BrowserError: the browser refused, or has ended.
        """
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        assert self._out is not None  # noqa: S101 - for the type checker
        self._out.write(json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._number:
            self._note(answer)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, page: Path, width: int, *, dark: bool = False) -> float:
        """Open a file in a window of `width` CSS pixels; returns the seconds until it is loaded.

        Raises:
            BrowserError: the browser refused, or has ended.
        """
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)  # noqa: PLR2004
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self._events.clear()
        began = time.monotonic()
        self.call("Page.navigate", url=page.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self._events):
            self._note(self._receive())
        return time.monotonic() - began

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page, which may be a promise."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True)
        return result["result"].get("value")

    def picture(self, file: Path, height: int, selector: str = "body") -> None:
        """Save what the page looks like, as WebP: as many CSS pixels as `height` says, from the first element that `selector` names on."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        top = self.evaluate(f"(document.querySelector({json.dumps(selector)})?.getBoundingClientRect().top ?? 0) + scrollY")
        top = max(top - _MARGIN, 0)
        clip = {"x": 0, "y": top, "width": size["width"], "height": min(height, size["height"] - top), "scale": 1}
        data = self.call("Page.captureScreenshot", format="webp", quality=80, clip=clip, captureBeyondViewport=True)["data"]
        file.write_bytes(base64.b64decode(data))

    def _receive(self) -> dict[str, Any]:
        assert self._in is not None  # noqa: S101 - for the type checker
        held = bytearray()
        while not held.endswith(b"\0"):
            there = self._in.peek()
            if not there:
                raise BrowserError(f"{self.program} has ended")
            held += self._in.read(there.find(b"\0") + 1 or len(there))
        message: dict[str, Any] = json.loads(held[:-1])
        return message

    def _note(self, event: dict[str, Any]) -> None:
        self._events.append(event)
        method, parameters = event.get("method"), event.get("params", {})
        if method in _TROUBLE:
            self.trouble.append(json.dumps(parameters))
        if method == "Network.requestWillBeSent" and not parameters["request"]["url"].startswith(_LOCAL):
            self.requests.append(parameters["request"]["url"])


def open_all(browser: Browser) -> None:
    """Open everything on the page that can be opened."""
    browser.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")


def sizes(browser: Browser) -> Sequence[int]:
    """Width of the window and of what is in it; it is scrolled sideways if the second is larger."""
    found: list[int] = browser.evaluate("[document.documentElement.clientWidth, document.documentElement.scrollWidth]")
    return found
