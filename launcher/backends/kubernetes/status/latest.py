"""Where a run stands, kept current beside whatever else is being read of it."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from launcher.records.status import RunStatus
from trainer.errors import GantryError

_STATUS_SECONDS = 2.0  # between two looks at the run while its logs are followed
_REST = 10  # times as long as a look took, if that is longer


class Latest:
    """A status that a thread keeps current: lines do not wait for the bucket or a server that is away."""

    def __init__(self, ask: Callable[[], RunStatus]) -> None:
        self.status, self._ask, self._closed = ask(), ask, threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._refresh, name="status", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()

    def _refresh(self) -> None:
        pause = _STATUS_SECONDS
        while not self._closed.wait(pause):
            began = time.monotonic()
            with suppress(GantryError):  # whoever reads the lines meets the same trouble and tells it
                self.status = self._ask()
            # A look at 1,000 pods is 10 MB of the server's work; it shall not be most of what we ask of it.
            pause = max(_STATUS_SECONDS, _REST * (time.monotonic() - began))
