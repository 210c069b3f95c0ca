"""Where a run is: below a root that was named, in the folder ``runs`` here, or where its backend knows it.

Where its workers are the run's own record says. Only what was typed for this command goes before it: a
context or a namespace from a file of settings is for runs of which nothing is known yet.
"""

from typing import NamedTuple

from launcher import backends
from launcher.backends.base import Backend
from launcher.backends.place import Place
from launcher.errors import NoSuchRun
from launcher.records.run_folder import Found, find_run
from launcher.spec.next_commands import DEFAULT_ROOT

__all__ = ["Located", "Place", "backend_of", "find", "locate"]


class Located(NamedTuple):
    """A run and the backend that its workers are of."""

    found: Found
    backend: Backend


def locate(where: Place | str, run: str) -> Located:
    """The run called `run`, which is a name or ``experiment/name``; a `where` that is a text is a root.

    Raises:
        NoSuchRun: there is none; the text names the nearest ones.
        UserError: the name is in several experiments, or is no name that a run could have.
    """
    place = where if isinstance(where, Place) else Place(root=where)
    found = find(place, run)
    return Located(found, backend_of(found, place))


def find(place: Place, run: str) -> Found:
    """The run alone, which may have a damaged record of where its workers are.

    Raises:
        NoSuchRun, UserError: as `locate` does.
    """
    try:
        return find_run(place.root or DEFAULT_ROOT, run)
    except NoSuchRun as error:
        missing = error
    for provider in backends.providers():
        try:
            return provider.find(place, run, missing)
        except NoSuchRun as error:
            missing = error
    raise missing


def backend_of(found: Found, place: Place | None = None, *, ask: bool = True) -> Backend:
    """The backend that started a run; the one that reads files alone where none did.

    Where the run's folder lacks the record, the others are asked for the run, unless `ask` is false.
    """
    where = place or Place()
    there = backends.providers()
    for provider in there:
        if backend := provider.recorded(found, where):
            return backend
    for provider in there if ask else ():
        if backend := provider.sought(found, where):
            return backend
    return backends.rest().unrecorded()
