"""The right to write a run: an object, ``lease.json``, that one process holds and renews.

Whoever writes a run holds its lease. It is renewed every few seconds by a write on the condition of the
generation before, so that of two processes one learns that the other was there (Gray and Cheriton 1989,
"Leases", with the store's compare-and-swap in place of synchronised clocks). A newcomer never compares times:
it watches the object's generation by its own clock, and takes the lease over when nobody renewed it for
`EXPIRY_SECONDS`, or at once when it was given back or its holder is known to be dead (`holder.is_gone`).

The lease alone cannot stop a holder that was paused and wakes up late between asking and writing.
`fenced_store` makes every write conditional as well; the two together keep writers from interleaving.
"""

import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from trainer.errors import GantryError, LeaseLost, ObjectMissing, PreconditionFailed, RunHeld
from trainer.run import holder, layout, lost
from trainer.run.status import now
from trainer.storage import Stat, Store

BEAT_SECONDS = 3.0  # a bucket allows one write a second to one object
EXPIRY_SECONDS = 15.0  # four beats may be lost
RELEASE_SECONDS = 5.0  # at most, to give it back
_POLL_SECONDS = 1.0
_LOOKS = 6
_LOOK_PAUSE_SECONDS = 0.5

Say = Callable[[str], object]


class Lease:
    """A run's lease, held by this process until `release`, or until another process took it over."""

    def __init__(self, store: Store, values: dict[str, Any], generation: int) -> None:
        """Renew it from now on; `acquire` is the way to get one."""
        self._store, self._values, self._generation = store, values, generation
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._lost: GantryError | None = None
        self._on_lost: Callable[[GantryError], object] | None = None
        threading.Thread(target=self._renew_for_ever, name="lease", daemon=True).start()

    def when_lost(self, act: Callable[[GantryError], object]) -> None:
        """Have `act` called, from another thread, as soon as a renewal finds that it was taken over or that
        the run is gone."""
        self._on_lost = act

    @property
    def is_lost(self) -> bool:
        """Whether it was found to be another process', or gone."""
        return self._lost is not None

    def confirm(self) -> None:
        """Return if the lease is ours at some moment during the call.

        Raises:
            LeaseLost: it is another process'.
            RunLost: it is gone, and the run's record with it.
            StorageError: nobody can say now.
        """
        with self._lock:
            if (
                not self._lost
                and (found := _look(self._store, layout.LEASE))
                and found.generation == self._generation
            ):
                return
            if not self._lost:
                self._adopt()
        self._raise_lost()

    def release(self) -> None:
        """Give it back, so that the next process need not wait; nothing is raised, it would expire anyway."""
        if self._done.is_set():  # the chief has said its last word and given it back with it
            return
        self._done.set()
        giving = threading.Thread(target=self._give_back, name="lease", daemon=True)
        giving.start()
        giving.join(RELEASE_SECONDS)  # storage may be away

    def _give_back(self) -> None:
        with self._lock, suppress(GantryError):
            if self._lost:
                return
            if self._store.stat(layout.RUN) is None:  # of a run that never began nothing is left
                self._store.delete(layout.LEASE, self._generation)
            else:
                self._put(released=True)

    def _renew_for_ever(self) -> None:
        while not self._done.wait(BEAT_SECONDS):
            with self._lock:
                if not self._lost and not self._done.is_set():
                    self._renew()
            if self._lost and self._on_lost:
                self._on_lost(self._lost)
                return

    def _renew(self) -> None:
        try:
            self._put(beat=self._values["beat"] + 1)
        except PreconditionFailed:
            try:
                self._adopt()
            except GantryError:
                return
        except GantryError:
            return  # away for now; whether the lease is still ours is known when it is back

    def _adopt(self) -> None:
        """Find out whether there is a write of ours whose answer was lost, another's, or nothing."""
        found = _look(self._store, layout.LEASE)
        values = _read(self._store, _LOOKS) if found else {}
        if found and values.get("token") == self._values["token"]:
            self._generation = found.generation
            return
        if found is None and _look(self._store, layout.RUN) is None:
            self._lost = lost.gone(self._store)
            return
        how = f"{_name(values)} has taken the run over" if found else f"somebody has removed {layout.LEASE}"
        self._lost = LeaseLost(f"{self._store.url}: {how}; this process stops and writes nothing")

    def _put(self, **changes: Any) -> None:
        values = self._values | changes | {"updated": now()}
        self._generation = self._store.write(layout.LEASE, _encode(values), self._generation)
        self._values = values

    def _raise_lost(self) -> None:
        if self._lost:
            raise self._lost


def acquire(
    store: Store,
    name: str,
    attempt: str,
    *,
    asking: Store | None = None,
    say: Say = print,
    patience: float = 600.0,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> Lease:
    """Take a run's lease.

    Args:
        store: the run's.
        name: of this process, for people.
        asking: the same store in a form that waits while storage is away, for taking the lease only.
        attempt: which one this process belongs to. A holder of another attempt that is alive means that two
            were started, and is an error; one of our own is the process that we replace, and is waited for.
        say: hears whom we wait for, and whom we take the lease over from.
        patience: how long to wait, in seconds, for a holder of our own attempt.
        clock: seconds that only grow.
        pause: sleeps.

    Raises:
        RunHeld: a process of another attempt holds it and is alive.
        LeaseLost: one of our own attempt does not go away.
        StorageError: the store failed.
    """
    values = {
        "holder": holder.describe(name),
        "team": attempt,
        "token": uuid.uuid4().hex,
        "since": now(),
        "beat": 0,
    }
    watch, start, waiting = _Watch(clock), clock(), asking or store
    while True:
        found = waiting.stat(layout.LEASE)
        there = _read(waiting) if found else {}
        watch.look(found, there)
        if found is None or _is_free(there) or watch.silent_for >= EXPIRY_SECONDS:
            if (generation := _take(waiting, values, found)) is not None:
                if found and not there.get("released"):
                    say(f"took the run over from {_name(there)}, {_how(there, watch)}")
                return Lease(store, values, generation)
            continue
        if watch.alive and there.get("team") != attempt:
            raise RunHeld(
                f"{store.url}: is being trained by {_name(there)}, which renewed its lease "
                f"{watch.silent_for:.0f} s ago and holds it since {there.get('since')}; stop that one first"
            )
        if clock() - start > patience:
            raise LeaseLost(f"{store.url}: {_name(there)}, whom this process replaces, is still alive")
        if watch.looks == 1:
            say(f"waiting until {_name(there)} is gone, which holds the run's lease ({EXPIRY_SECONDS:.0f} s)")
        pause(_POLL_SECONDS)


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
    there = _read(store)
    if not there or there.get("released"):
        return None
    return Holder(_name(there), holder.lives(there.get("holder") or {}))


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
    watch = _Watch(clock)
    while (found := store.stat(layout.LEASE)) is not None:
        there = _read(store)
        watch.look(found, there)
        if known_gone(there.get("holder") or {}):
            return None
        if watch.alive or holder.lives(there.get("holder") or {}):
            return None if there.get("released") else _name(there)
        if _is_free(there) or watch.silent_for >= EXPIRY_SECONDS:
            return None
        if watch.looks == 1:
            say(
                f"{_name(there)} held the run's lease: waiting {EXPIRY_SECONDS:.0f} s to see if it still does"
            )
        pause(_POLL_SECONDS)
    return None


class _Watch:
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


def _take(store: Store, values: dict[str, Any], found: Stat | None) -> int | None:
    """Write our name if nothing changed since we looked; None when somebody was faster."""
    try:
        content = _encode(values | {"updated": now()})
        return store.write(layout.LEASE, content, found.generation if found else 0)
    except PreconditionFailed:
        return None


def _is_free(values: Mapping[str, Any]) -> bool:
    return bool(values.get("released")) or holder.is_gone(values.get("holder") or {})


def _look(store: Store, name: str) -> Stat | None:
    """An object that must be there; a cache on the way may know nothing of it for a moment."""
    for _ in range(_LOOKS):
        if found := store.stat(name):
            return found
        time.sleep(_LOOK_PAUSE_SECONDS)
    return None


def _read(store: Store, looks: int = 1) -> dict[str, Any]:
    """What the lease says; empty for one that cannot be read, which expires like any other."""
    for look in range(looks):
        try:
            values = json.loads(store.read(layout.LEASE))
        except ObjectMissing:
            time.sleep(_LOOK_PAUSE_SECONDS if look + 1 < looks else 0)
        except ValueError:
            break
        else:
            return values if isinstance(values, dict) else {}
    return {}


def _encode(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, indent=2).encode()


def _name(values: Mapping[str, Any]) -> str:
    found = values.get("holder") or {}
    if not found.get("name"):
        return "another process"
    return f"{found['name']} (process {found.get('pid')} on {found.get('host')})"


def _how(values: Mapping[str, Any], watch: _Watch) -> str:
    if holder.is_gone(values.get("holder") or {}):
        return "which is dead"
    return f"which has not renewed its lease for {watch.silent_for:.0f} s"
