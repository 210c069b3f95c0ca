"""``status.json``: where the run stands, written every few seconds from a thread of its own.

It tells a person, and is never read back by training: a status that cannot be written is no reason to stop.
"""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from trainer.console.printing import say
from trainer.errors import GantryError, RunLost
from trainer.run import layout
from trainer.storage import Store

_SECONDS = 5.0  # between two writes; a bucket allows one write a second to one object
CLOSE_SECONDS = 5.0  # at most, for a write that is under way when the last one is due


def now() -> str:
    """The time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def amend(store: Store, **values: Any) -> None:
    """Change some values while no trainer is there to write them; a status that cannot be changed stays."""
    try:
        found = store.stat(layout.STATUS)
        old = json.loads(store.read(layout.STATUS)) if found else {}
        content = json.dumps(old | values | {"updated": now()}, indent=2)
        store.write(layout.STATUS, content.encode(), found.generation if found else 0)
    except (GantryError, ValueError, TypeError):
        return


def finished_steps(store: Store) -> int:
    """Steps of a run's result that says that it is finished; 0 when there is none, or nobody can say.

    A run that ended before its last step, as nothing better came, counts as having taken all that it was to.
    """
    try:
        result = json.loads(store.read(layout.RESULT))
        if result.get("state") == "collapsed":
            return 0
        return int((result.get("early") or result)["steps"])
    except (GantryError, ValueError, KeyError, TypeError, AttributeError):
        return 0


def saved_step(store: Store) -> int:
    """Step of the newest checkpoint as the status has it; 0 when there was none, or nobody can say."""
    try:
        return int(json.loads(store.read(layout.STATUS))["checkpoint_step"])
    except (GantryError, ValueError, KeyError, TypeError):
        return 0


class StatusWriter:
    """Keeps ``status.json`` current while a run lives."""

    def __init__(
        self, store: Store, steps: int, step: int, storage: Callable[[], str | None], **more: Any
    ) -> None:
        """`storage` gives the line on storage while it is away; `more` values stay as they are."""
        self._store, self._storage = store, storage
        self._warned = False
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._done = False
        self._values: dict[str, Any] = {
            "state": "starting",
            "step": step,
            "steps": steps,
            "images_per_second": None,
            "eta_seconds": None,
            **more,
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

    def close(self, state: str, message: str | None = None, **values: Any) -> dict[str, Any]:
        """Write the last status of this process, stopped, failed, collapsed or finished, and return it."""
        self._done = True
        self._wake.set()
        self._thread.join(CLOSE_SECONDS)  # it may be waiting for a store that is away
        self.update(state=state, message=message, eta_seconds=0 if state == "finished" else None, **values)
        if not self._thread.is_alive():
            self._write()
        return self.values

    @property
    def values(self) -> dict[str, Any]:
        """What is to be in status.json, with the time of the newest attempt to write it."""
        with self._lock:
            return dict(self._values)

    def _beat(self) -> None:
        while not self._done:
            self._write()
            self._wake.wait(_SECONDS)
            self._wake.clear()

    def _write(self) -> None:
        with self._lock:
            self._values |= {"storage": self._storage(), "updated": now()}
            content = json.dumps(self._values, indent=2)
        try:
            self._store.write(layout.STATUS, content.encode())
            self._warned = False
        except RunLost:  # which ends the process, with its one sentence
            return
        except GantryError as error:
            if not self._warned:  # once, or an outage would fill the log
                self._warned = True
                say(f"warning: {error}")
