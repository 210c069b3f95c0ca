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
from typing import Any

from trainer.errors import GantryError, LeaseLost, PreconditionFailed, RunHeld
from trainer.run import holder, layout, lost
from trainer.run.lease_holder import (
    EXPIRY_SECONDS,
    LOOKS,
    POLL_SECONDS,
    Say,
    Watch,
    is_free,
    look,
    named,
    read,
)
from trainer.run.status import now
from trainer.storage import Stat, Store

BEAT_SECONDS = 3.0  # a bucket allows one write a second to one object
RELEASE_SECONDS = 5.0  # at most, to give it back


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
                and (found := look(self._store, layout.LEASE))
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
        found = look(self._store, layout.LEASE)
        values = read(self._store, LOOKS) if found else {}
        if found and values.get("token") == self._values["token"]:
            self._generation = found.generation
            return
        if found is None and look(self._store, layout.RUN) is None:
            self._lost = lost.gone(self._store)
            return
        how = f"{named(values)} has taken the run over" if found else f"somebody has removed {layout.LEASE}"
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
    watch, start, waiting = Watch(clock), clock(), asking or store
    while True:
        found = waiting.stat(layout.LEASE)
        there = read(waiting) if found else {}
        watch.look(found, there)
        if found is None or is_free(there) or watch.silent_for >= EXPIRY_SECONDS:
            if (generation := _take(waiting, values, found)) is not None:
                if found and not there.get("released"):
                    say(f"took the run over from {named(there)}, {_how(there, watch)}")
                return Lease(store, values, generation)
            continue
        if watch.alive and there.get("team") != attempt:
            raise RunHeld(
                f"{store.url}: is being trained by {named(there)}, which renewed its lease "
                f"{watch.silent_for:.0f} s ago and holds it since {there.get('since')}; stop that one first"
            )
        if clock() - start > patience:
            raise LeaseLost(f"{store.url}: {named(there)}, whom this process replaces, is still alive")
        if watch.looks == 1:
            say(f"waiting until {named(there)} is gone, which holds the run's lease ({EXPIRY_SECONDS:.0f} s)")
        pause(POLL_SECONDS)


def _take(store: Store, values: dict[str, Any], found: Stat | None) -> int | None:
    """Write our name if nothing changed since we looked; None when somebody was faster."""
    try:
        content = _encode(values | {"updated": now()})
        return store.write(layout.LEASE, content, found.generation if found else 0)
    except PreconditionFailed:
        return None


def _encode(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, indent=2).encode()


def _how(values: Mapping[str, Any], watch: Watch) -> str:
    if holder.is_gone(values.get("holder") or {}):
        return "which is dead"
    return f"which has not renewed its lease for {watch.silent_for:.0f} s"
