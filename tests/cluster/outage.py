"""One absence of the API server for all tests that need one: it begins when all of them are ready for it.

The controllers come back only a minute or more after the server, so an absence for each test would be most of
the suite's time. Tests that run at once, in processes of their own, meet in a folder.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.harness.access import ApiServer
from tests.cluster.waiting import wait_until

AWAY_SECONDS = 60.0
_PATIENCE_SECONDS = 420.0  # the slowest starts two trainers and loses one before it is ready


class Outage:
    """The absence as one test sees it."""

    def __init__(self, server: ApiServer, folder: Path, test: str, party: int) -> None:
        """`party` tests take part; `folder` is theirs."""
        self._server, self._folder, self._test, self._party = server, folder, test, party
        folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """The server is away for the whole block, and back and ready after it."""
        self._mark("ready")
        wait_until(lambda: self._all("ready"), "the other tests of the outage", _PATIENCE_SECONDS)
        began = self._once("began", self._server.stop)
        try:
            yield
        finally:
            self._mark("done")
            wait_until(lambda: self._all("done"), "the other tests' part of the outage", _PATIENCE_SECONDS)
            time.sleep(max(0.0, began + AWAY_SECONDS - time.time()))
            self._once("back", self._server.start)

    def leave(self) -> None:
        """Let nobody wait for this test any more."""
        self._mark("ready")
        self._mark("done")

    def _mark(self, what: str) -> None:
        (self._folder / f"{self._test}.{what}").touch()

    def _all(self, what: str) -> bool:
        return len([*self._folder.glob(f"*.{what}")]) >= self._party

    def _once(self, name: str, action: object) -> float:
        """Do it unless another test has; when that was."""
        assert callable(action)
        with (self._folder / name).open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            if not (text := file.read()):
                action()
                text = f"{time.time()}"
                file.write(text)
                file.flush()
        return float(text)
