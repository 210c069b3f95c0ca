"""``status.json``: where the run stands, written every few seconds from a thread of its own.

It tells a person, and is never read back by training: a status that cannot be written is no reason to stop.
"""

import json
import threading
from datetime import UTC, datetime
from typing import Any

from trainer import layout
from trainer.errors import GantryError
from trainer.storage import Store

_SECONDS = 5.0  # between two writes; a bucket allows one write a second to one object


def now() -> str:
    """The time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class StatusWriter:
    """Keeps ``status.json`` current while a run lives."""

    def __init__(self, store: Store, steps: int, step: int) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._done = False
        self._values: dict[str, Any] = {
            "state": "starting",
            "step": step,
            "steps": steps,
            "images_per_second": None,
            "eta_seconds": None,
        }
        self._thread = threading.Thread(target=self._beat, name="status", daemon=True)
        self._thread.start()

    def update(self, **values: Any) -> None:
        """Change some values; they are written with the next beat, a new state at once."""
        with self._lock:
            news = values.get("state", self._values["state"]) != self._values["state"]
            self._values |= values
        if news:
            self._wake.set()

    def close(self, state: str, message: str | None = None, **values: Any) -> None:
        """Write the last status of this process: stopped, failed or finished."""
        self._done = True
        self._wake.set()
        self._thread.join()
        self.update(state=state, message=message, eta_seconds=0 if state == "finished" else None, **values)
        self._write()

    def _beat(self) -> None:
        while not self._done:
            self._write()
            self._wake.wait(_SECONDS)
            self._wake.clear()

    def _write(self) -> None:
        with self._lock:
            content = json.dumps(self._values | {"updated": now()}, indent=2)
        try:
            self._store.write(layout.STATUS, content.encode())
        except GantryError as error:
            print(f"warning: {error}", flush=True)
