"""Keeps a run's entry in the index current, from a thread of its own.

The index is news for people: a run never fails with it, and waits for it a few seconds at most, at its end.
What could not be written is told once, and `rebuild` mends it.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from trainer.errors import GantryError
from trainer.run.index.book import judged_entry, load, look, update
from trainer.run.index.entry import Entry, describe
from trainer.storage import Store

CLOSE_SECONDS = 5.0  # at most, for the last entry: storage may be away, or fifty others write theirs

Say = Callable[[str], object]


class IndexKeeper:
    """One run's place in the index of its experiment."""

    def __init__(self, store: Store, run: str, record: Mapping[str, Any], say: Say) -> None:
        """`store` is the experiment's folder, `record` the content of the run's run.json."""
        self._store, self._run, self._record, self._say = store, run, record, say
        self._changed = threading.Condition()
        self._wanted: Entry | None = None
        self._done = self._told = False
        self._thread = threading.Thread(target=self._work, name="index", daemon=True)
        self._thread.start()

    def tell(self, status: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """Write what status.json and result.json say by now; returns at once."""
        with self._changed:
            self._wanted = describe(self._run, self._record, status, result)
            self._changed.notify()

    def close(self, status: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """Write the last entry, and wait a few seconds at most until it is there."""
        self.tell(status, result)
        with self._changed:
            self._done = True
            self._changed.notify()
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            self._complain(f"not done within {CLOSE_SECONDS:.0f} s")

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted or self._done)
                entry, self._wanted = self._wanted, None
            if entry is None:
                return
            try:
                update(self._store, judged_entry(self._store, entry), self._say)
            except Exception as error:  # whatever it is, the run goes on
                self._complain(str(error))

    def _complain(self, why: str) -> None:
        if not self._told:
            self._told = True
            self._say(f"note: this run's entry in the index of {self._store.url} was not written: {why}")


def judged_anew(store: Store, run: str, say: Say) -> None:
    """Write what the figures of a run are by now, if it is in an index; it is news that may be missed."""
    try:
        if entry := load(store).entries.get(run):
            update(store, judged_entry(store, entry), say)
    except GantryError as error:
        say(f"note: the entry of '{run}' in the index of {store.url} was not written: {error}")


def refresh(store: Store, run: str, say: Say) -> None:
    """Write what a run's folder says into the index, in the few seconds that an ending process has."""

    def write() -> None:
        try:
            if entry := look(store, run):
                update(store, entry, say)
        except Exception as error:
            say(f"note: the entry of '{run}' in the index of {store.url} was not written: {error}")

    thread = threading.Thread(target=write, name="index", daemon=True)
    thread.start()
    thread.join(CLOSE_SECONDS)
