"""The chief's hold on a run: its lease, and the stores that go with it."""

import os
import socket
from contextlib import suppress
from typing import NamedTuple

from trainer.config import RunConfig
from trainer.console.printing import say as say
from trainer.errors import GantryError, RunLost
from trainer.run import layout, lease, status
from trainer.run.fenced_store import FencedStore
from trainer.storage import Store
from trainer.storage.limits import Reserve
from trainer.storage.retrying import Outage, PatientStore


class Hold(NamedTuple):
    """What the chief writes a run through."""

    store: FencedStore
    """For all that must not be lost: waits while storage is away."""
    status: FencedStore
    """For the status, which is only news: does not wait."""
    outage: Outage
    """Whether storage is away now."""
    lease: lease.Lease
    reserve: Reserve
    """Room for the last words, to be freed before they are written."""

    def give_back(self) -> None:
        """This process writes the run no more."""
        if not self.lease.is_lost:  # else the reserve that lies there is of who has taken the run over
            self.reserve.free()
        self.lease.release()


def outage(config: RunConfig) -> Outage:
    """Whether a storage is away, with the run's patience."""
    return Outage(config.recovery.storage_patience_seconds, say)


def patient(store: Store, config: RunConfig) -> tuple[PatientStore, Outage]:
    """The store with the run's patience, and what is known of its absence."""
    known = outage(config)
    return PatientStore(store, known), known


def take(store: Store, config: RunConfig, attempt: str) -> Hold:
    """Take a run's lease.

    Raises:
        RunHeld: another process trains the run.
        LeaseLost: the process that we replace does not go away.
        StorageAway: storage does not answer.
        Exhausted: there is no room for a run.
    """
    waiting, away = patient(store, config)
    name = os.environ.get("GANTRY_POD") or socket.gethostname()
    # Renewed by the store itself: waiting there would be the lease's end.
    held = lease.acquire(store, name, attempt, say=say, asking=waiting)
    reserve = Reserve(store.url)
    try:
        reserve.keep()
    except GantryError:
        held.release()
        raise
    return Hold(FencedStore(waiting, held), FencedStore(store, held), away, held, reserve)


def tell_lost(store: Store, error: GantryError, *, pod: bool) -> None:
    """Leave the reason in the folder of a run that is lost: its status is where people look first.

    Past the fence, as the lease is gone too; nothing of another run is there to be written over. A `pod`
    leaves it only where something else tells that the run is a cluster's: its own ending says the same, and a
    status alone would look like a run of nobody's.
    """
    if not isinstance(error, RunLost):
        return
    with suppress(GantryError):
        if pod and not any(store.stat(name) for name in (layout.STATUS, layout.CLUSTER)):
            return
        status.amend(store, state="failed", message=str(error), lost=True)
