"""Who holds a run's lease: what ``lease.json`` says, and whether somebody renews it while one looks."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from trainer.errors import ObjectMissing
from trainer.run import holder, layout
from trainer.storage import Stat, Store

EXPIRY_SECONDS = 15.0  # four beats may be lost
POLL_SECONDS = 1.0
LOOKS = 6
_LOOK_PAUSE_SECONDS = 0.5

Say = Callable[[str], object]


class Holder(NamedTuple):
    """Whose lease a run's is."""

    name: str
    """For people."""
    lives: bool | None
    """Whether its process runs, None when that cannot be known here."""


def find(store: Store) -> Holder | None:
    """Who holds a run's lease or died with it, None when nobody ever did or it was given back.

    Raises:
        StorageError: the store failed.
    """
    there = read(store)
    if not there or there.get("released"):
        return None
    return Holder(named(there), holder.lives(there.get("holder") or {}))


def writer(
    store: Store,
    *,
    known_gone: Callable[[Mapping[str, Any]], bool] = lambda described: False,
    say: Say = print,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> str | None:
    """Who writes a run, None when nobody does; for one who is about to remove it.

    A holder that cannot be judged from here is watched for `EXPIRY_SECONDS`, which `say` hears, or until it
    renews its lease. `known_gone` is whether a holder that so described itself is known to write no more.

    Raises:
        StorageError: the store failed.
    """
    watch = Watch(clock)
    while (found := store.stat(layout.LEASE)) is not None:
        there = read(store)
        watch.look(found, there)
        if known_gone(there.get("holder") or {}):
            return None
        if watch.alive or holder.lives(there.get("holder") or {}):
            return None if there.get("released") else named(there)
        if is_free(there) or watch.silent_for >= EXPIRY_SECONDS:
            return None
        if watch.looks == 1:
            say(
                f"{named(there)} held the run's lease: waiting {EXPIRY_SECONDS:.0f} s to see if it still does"
            )
        pause(POLL_SECONDS)
    return None


class Watch:
    """How long the lease of another was not renewed, by our own clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._key, self._since = clock, (0, ""), clock()
        self.looks, self.alive = 0, False

    @property
    def silent_for(self) -> float:
        """Seconds since we saw it change, or came."""
        return self._clock() - self._since

    def look(self, found: Stat | None, values: Mapping[str, Any]) -> None:
        """Take into account what lies there now."""
        key = (found.generation if found else 0, str(values.get("token")))
        if key == self._key:
            self.looks += 1
            return
        # Its own renewal, and not another newcomer's taking over, shows that a holder is alive.
        self.alive = self.looks > 0 and key[1] == self._key[1] and not values.get("released")
        self._key, self._since, self.looks = key, self._clock(), max(self.looks, 0) + 1


def is_free(values: Mapping[str, Any]) -> bool:
    """Whether it was given back, or its holder is known to be dead."""
    return bool(values.get("released")) or holder.is_gone(values.get("holder") or {})


def look(store: Store, name: str) -> Stat | None:
    """An object that must be there; a cache on the way may know nothing of it for a moment."""
    for _ in range(LOOKS):
        if found := store.stat(name):
            return found
        time.sleep(_LOOK_PAUSE_SECONDS)
    return None


def read(store: Store, looks: int = 1) -> dict[str, Any]:
    """What the lease says; empty for one that cannot be read, which expires like any other."""
    for turn in range(looks):
        try:
            values = json.loads(store.read(layout.LEASE))
        except ObjectMissing:
            time.sleep(_LOOK_PAUSE_SECONDS if turn + 1 < looks else 0)
        except ValueError:
            break
        else:
            return values if isinstance(values, dict) else {}
    return {}


def named(values: Mapping[str, Any]) -> str:
    """Its holder, for people."""
    found = values.get("holder") or {}
    if not found.get("name"):
        return "another process"
    return f"{found['name']} (process {found.get('pid')} on {found.get('host')})"
