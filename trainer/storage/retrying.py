"""A store that is asked again while it is away, so that trouble with storage never stops training by itself.

The client library tries each request again for two minutes; this goes on where it gives up, says once that
storage is away and once that it is back. It gives up only when it was away for longer than the run's patience
*and* somebody waits for it: as long as training can go on, it does.
"""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from trainer.errors import Exhausted, ObjectMissing, PreconditionFailed, StorageAway, StorageError
from trainer.storage import Dated, Stat, Store

T = TypeVar("T")
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 15.0


class Outage:
    """Whether storage is away, since when, and whether that is too long; shared by threads."""

    def __init__(self, patience_seconds: float, say: Callable[[str], object]) -> None:
        self._patience, self._say = patience_seconds, say
        self._lock = threading.Lock()
        self._since: float | None = None
        self._reason = ""
        self.somebody_waits: Callable[[], bool] = lambda: True
        """Whether giving up would lose nothing but waiting; asked before `StorageAway` is raised."""

    @property
    def line(self) -> str | None:
        """What to tell a person while storage is away, None while it answers."""
        with self._lock:
            if self._since is None:
                return None
            return f"away for {time.monotonic() - self._since:.0f} s: {self._reason}"

    def failed(self, error: StorageError, began: float) -> None:
        """A request that began at `began` (monotonic seconds) failed for now.

        Raises:
            StorageAway: it is time to give up.
        """
        with self._lock:
            first = self._since is None
            self._since = began if self._since is None else min(self._since, began)
            self._reason = str(error)
            away = time.monotonic() - self._since
        if first:
            self._say(f"warning: storage does not answer and is asked again; training goes on: {error}")
        if away > self._patience and self.somebody_waits():
            raise StorageAway(f"storage has been away for {away:.0f} s: {error}") from error

    def hurry(self, seconds: float) -> None:
        """Be no more patient than this from now on: we were asked to stop."""
        with self._lock:
            self._patience = min(self._patience, seconds)

    def answered(self) -> None:
        """A request succeeded."""
        with self._lock:
            if self._since is None:
                return
            away, self._since = time.monotonic() - self._since, None
        self._say(f"storage is back after {away:.0f} s")


def ask(outage: Outage, call: Callable[[], T]) -> T:
    """What a call says that asks storage, asked again while that is away.

    Raises:
        StorageAway: it was for too long.
    """
    pause = _FIRST_PAUSE_SECONDS
    while True:
        began = time.monotonic()
        try:
            answer = call()
        except (ObjectMissing, PreconditionFailed):
            outage.answered()
            raise
        except Exhausted:
            raise
        except StorageError as error:
            outage.failed(error, began)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        else:
            outage.answered()
            return answer


class PatientStore:
    """A `Store` whose failures that may pass are waited out; see `Outage` for how long.

    Raises:
        StorageAway: from every method, when storage was away for too long.
    """

    def __init__(self, store: Store, outage: Outage) -> None:
        self._store, self._outage = store, outage

    @property
    def url(self) -> str:
        """Address of the store."""
        return self._store.url

    def check(self) -> None:
        """As the store does."""
        self._ask(self._store.check)

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """As the store does."""
        return self._ask(lambda: self._store.read(name, start, length))

    def dated(self, name: str) -> Dated:
        """As the store does."""
        return self._ask(lambda: self._store.dated(name))

    def now(self) -> datetime | None:
        """As the store does."""
        return self._store.now()

    def write(self, name: str, content: bytes, if_generation: int | None = None) -> int:
        """As the store does."""
        return self._ask(lambda: self._store.write(name, content, if_generation))

    def upload(self, name: str, path: Path, if_generation: int | None = None) -> int:
        """As the store does."""
        return self._ask(lambda: self._store.upload(name, path, if_generation))

    def download(self, name: str, path: Path) -> None:
        """As the store does."""
        self._ask(lambda: self._store.download(name, path))

    def parts(self, found: Stat, start: int = 0) -> Iterator[bytes]:
        """As the store does; a part that fails is the caller's to ask for again."""
        return self._store.parts(found, start)

    def stat(self, name: str) -> Stat | None:
        """As the store does."""
        return self._ask(lambda: self._store.stat(name))

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """As the store does, all at once."""
        return iter(self._ask(lambda: [*self._store.list(prefix)]))

    def folders(self, prefix: str = "") -> Iterator[str]:
        """As the store does, all at once."""
        return iter(self._ask(lambda: [*self._store.folders(prefix)]))

    def delete(self, name: str, if_generation: int | None = None) -> None:
        """As the store does."""
        self._ask(lambda: self._store.delete(name, if_generation))

    def _ask(self, call: Callable[[], T]) -> T:
        return ask(self._outage, call)
