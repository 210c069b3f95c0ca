"""Removing all files of a run."""

from collections.abc import Iterator
from typing import NamedTuple

from launcher.artifacts.crew import Crew
from launcher.artifacts.listing import Listing
from trainer.run import layout
from trainer.storage import Stat, Store

_JOBS = 8  # a bucket answers one delete in some 30 ms whatever its size


class Removed(NamedTuple):
    """What was removed."""

    files: int
    bytes: int


def delete_files(store: Store) -> Removed:
    """Remove everything in a run's store, so that it may be cut off anywhere and called again.

    What was made of it to look at goes too.

    Checkpoints lose their manifests first, hence no reader finds a manifest whose files are gone.
    ``run.json`` goes last, hence the run is still found by its name until nothing else of it is left.

    Raises:
        AccessError: the store refuses.
    """
    listing, removed, size = Listing(store, views=True), 0, 0
    with Crew[Stat](_JOBS, lambda found: store.delete(found.name)) as crew:
        for stage in (_manifests(listing), _others(listing), _last(store)):
            for found in stage:
                crew.put(found)
                removed, size = removed + 1, size + found.size
            crew.drain()
    return Removed(removed, size)


def _is_manifest(name: str) -> bool:
    step = layout.checkpoint_step(name)
    return step is not None and name == layout.checkpoint_manifest(step)


def _manifests(listing: Listing) -> Iterator[Stat]:
    return (found for found in listing if _is_manifest(found.name))


def _others(listing: Listing) -> Iterator[Stat]:
    return (found for found in listing if found.name != layout.RUN and not _is_manifest(found.name))


def _last(store: Store) -> Iterator[Stat]:
    found = store.stat(layout.RUN)
    return iter([found] if found else [])
