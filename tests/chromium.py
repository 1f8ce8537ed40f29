"""Chromium driven over its debugging pipe: no port, no driver program, no package."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_WAIT_S = 60

INSTALL = "no Chromium here; install it with: apt-get install chromium"


def find_chromium() -> str | None:
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


class Browser:
    """One headless Chromium with one page. Use it as a context manager."""

    def __init__(self, program: str) -> None:
        self._profile = tempfile.mkdtemp(prefix="hil-chromium-")
        self._number = 0
        self._rest = b""
        self._events: list[dict[str, Any]] = []
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (theirs_in, theirs_out)]
        arguments = [
            program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            "--remote-debugging-pipe", f"--user-data-dir={self._profile}", "about:blank",
        ]  # fmt: skip
        quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (1, 2)]
        pipes = [(os.POSIX_SPAWN_DUP2, high[0], 3), (os.POSIX_SPAWN_DUP2, high[1], 4)]
        self._pid = os.posix_spawn(program, arguments, dict(os.environ), file_actions=[*quiet, *pipes], setpgroup=0)
        for fd in (theirs_in, theirs_out, *high):
            os.close(fd)
        self._in, self._out = ours_in, ours_out
        self._session: str | None = None

    def __enter__(self) -> Self:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)
        self.call("Log.enable")
        self.call("Runtime.enable")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._out)
        os.close(self._in)
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        shutil.rmtree(self._profile, ignore_errors=True)

    def open(
        self, page: Path | str, width: int, *, dark: bool = False, scripts: bool = True, paper: bool = False
    ) -> None:
        """Open a file or an address in a window so many pixels wide, or as it is printed on paper of that width."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", media="print" if paper else "", features=scheme)
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self._events.clear()
        opened = self.call("Page.navigate", url=page if isinstance(page, str) else page.resolve().as_uri())
        assert "errorText" not in opened, opened
        self._until(lambda: self._loaded(opened["loaderId"]))  # not the page before, which may draw itself anew

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def complaints(self) -> list[str]:
        """Return what the page logged as an error since it was opened."""
        entries = [e["params"]["entry"] for e in self._events if e.get("method") == "Log.entryAdded"]
        thrown = [str(e["params"]) for e in self._events if e.get("method") == "Runtime.exceptionThrown"]
        return [entry["text"] for entry in entries if entry["level"] == "error"] + thrown

    def screenshot(self, file: Path) -> None:
        """Write the whole page as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        file.write_bytes(base64.b64decode(shot["data"]))

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol and return its result."""
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        answers: list[dict[str, Any]] = []

        def answered() -> bool:
            answers.extend(event for event in self._events if event.get("id") == number)
            return bool(answers)

        self._until(answered)
        assert "result" in answers[0], f"{method}: {answers[0].get('error')}"
        return answers[0]["result"]

    def _loaded(self, loader: str) -> bool:
        events = [event["params"] for event in self._events if event.get("method") == "Page.lifecycleEvent"]
        return any((event["name"], event["loaderId"]) == ("load", loader) for event in events)

    def _until(self, done: Any) -> None:
        deadline = time.monotonic() + _WAIT_S
        while not done():
            left = deadline - time.monotonic()
            assert left > 0, f"Chromium said nothing for {_WAIT_S} s"
            if select.select([self._in], [], [], left)[0]:
                chunk = os.read(self._in, 1 << 16)
                assert chunk, "Chromium ended"
                *whole, self._rest = (self._rest + chunk).split(b"\0")
                self._events.extend(json.loads(text) for text in whole)
