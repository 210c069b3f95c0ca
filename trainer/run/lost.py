"""Whether the run that is being trained is still there.

run.json is written before anything else of a run, and nobody who trains removes it. Where it was seen and is
gone, somebody has emptied the run's folder: what comes next would be another run under the same name, begun
from step 0 without a word, so that it is a failure instead.
"""

import threading
import time
from contextlib import suppress

from trainer.errors import GantryError, RunLost, StorageError
from trainer.run import layout
from trainer.storage import Store

_LOOKS, _PAUSE_SECONDS = 6, 0.5  # a cache on the way may deny an object for a moment
_BEAT_SECONDS = 5.0  # between two looks for a record that is still to come


def gone(store: Store) -> RunLost:
    """What there is to say of a run whose record is no longer there."""
    return RunLost(
        f"{store.url}: run.json is gone, which this attempt had: somebody has emptied or moved the run's "
        "folder, and without its record nothing can be continued"
    )


def check_record(store: Store) -> None:
    """Return once run.json was seen.

    Raises:
        RunLost: it is not there, however often it is looked for.
        AccessError: the bucket is not there.
        GantryError: the store failed.
    """
    for look in range(_LOOKS):
        if store.stat(layout.RUN):
            return
        time.sleep(_PAUSE_SECONDS if look + 1 < _LOOKS else 0)
    next(iter(store.list()), None)  # a bucket that is missing says of each object that it is
    raise gone(store)


class Witness:
    """Remembers that a run had its record, for as long as this process lives, which outlives its trainers."""

    def __init__(self, store: Store, claimed: bool) -> None:
        """`claimed`: the record was there before this process; else it is looked for until it is seen."""
        self._store = store
        self._seen = threading.Event()
        if claimed:
            self._seen.set()
        else:
            threading.Thread(target=self._watch, name="record", daemon=True).start()

    @property
    def has_seen(self) -> bool:
        """Whether the run has begun: a record that is not there now is lost."""
        return self._seen.is_set()

    def tell(self) -> None:
        """The run has its record: somebody knows who does not have to look."""
        self._seen.set()

    def check(self) -> None:
        """Return if the record is there, is still to come, or nobody can say now.

        Raises:
            RunLost: it was there and is gone.
            UserError: the store refuses us.
        """
        with suppress(StorageError):
            if self.has_seen:
                check_record(self._store)
            else:
                self._look()

    def _watch(self) -> None:
        while not self.has_seen:
            with suppress(GantryError):
                self._look()
            self._seen.wait(_BEAT_SECONDS)

    def _look(self) -> None:
        if self._store.stat(layout.RUN):
            self._seen.set()
