"""``index.json``: one entry for every run of an experiment, so that 10,000 runs are listed with one request.

It belongs to the experiment's folder, not to a run: every run's chief changes it, at its beginning and at its
end, and whoever evaluates it. It holds nothing that the runs' own folders do not say, so it may be lost:
`rebuild` writes it anew from ``run.json``, ``status.json`` and ``result.json`` of each run. What is here
agrees with `describe`, a pure function of those three, and with what ``best.json`` and ``evaluations/`` say.

A change is read, amend, write on the condition of the generation that was read, and again from the start when
another run was faster. Of writers that collide one always succeeds, and the others wait for a random time
that grows, so that any number of them comes to an end.
"""

import json
import random
import time
from collections.abc import Callable, Container, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from pydantic import ValidationError

from trainer.errors import ObjectMissing, PreconditionFailed, UserError
from trainer.run import judged, layout
from trainer.run.index.entry import Entry, describe, with_figures
from trainer.storage import Inside, Store

FORMAT = 1
_TRIES = 60
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 4.0  # a bucket allows one write a second to one object
_READERS = 32  # requests at once when an index is rebuilt
_ADOPTED = (
    200  # runs that a first index takes in by itself, five requests each; beyond, `rebuild` is asked for
)

Say = Callable[[str], object]


class Snapshot(NamedTuple):
    """An index as it was read."""

    entries: dict[str, Entry]
    """By the run's name."""
    generation: int
    """Of the object; 0 when there is none."""
    complete: bool
    """Whether no run is known to be missing; `rebuild` completes it."""
    note: str = ""
    """What is wrong with it, in one line."""


def read(store: Store) -> dict[str, Entry]:
    """The entries of an experiment by run; empty without an index, or with a damaged one.

    Raises:
        UserError: a newer Gantry wrote it.
        GantryError: the store failed.
    """
    return load(store).entries


def load(store: Store) -> Snapshot:
    """The index of an experiment, and whether it can be trusted to have every run.

    Raises:
        UserError: a newer Gantry wrote it.
        GantryError: the store failed.
    """
    # Asked first: a change in between is found when the generation is made a condition of the next write.
    found = store.stat(layout.INDEX)
    if found is None:
        return Snapshot({}, 0, False)
    try:
        content = store.read(layout.INDEX)
    except ObjectMissing:
        return Snapshot({}, 0, False)
    where = f"{store.url}/{layout.INDEX}"
    try:
        values = json.loads(content)
        version, runs = values["format"], dict(values["runs"])
    except (ValueError, KeyError, TypeError):
        return Snapshot({}, found.generation, False, f"{where}: cannot be read, and is taken for empty")
    if version != FORMAT:
        raise UserError(f"{where}: format is {version}, this Gantry reads format {FORMAT}")
    entries, bad = _parse(runs)
    note = f"{where}: the entry of '{bad}' cannot be read, and is left out" if bad else ""
    return Snapshot(entries, found.generation, not (bad or values.get("incomplete")), note)


def finished(store: Store) -> list[Entry]:
    """The finished runs of an experiment, the newest first, by when they ended.

    Each run's folder is looked at when the index is known not to have all of them.

    Raises:
        GantryError: as for `load`.
    """
    found = load(store)
    entries = found.entries.values() if found.complete else _scan(store, store.folders())
    done = [entry for entry in entries if entry.state == "finished"]
    return sorted(done, key=lambda entry: (entry.ended or "", entry.created or "", entry.run), reverse=True)


def update(
    store: Store, entry: Entry, say: Say | None = None, pause: Callable[[float], object] = time.sleep
) -> None:
    """Add a run's entry, or replace it; `say` hears of an index that was damaged.

    Raises:
        PreconditionFailed: others were faster again and again.
        UserError: a newer Gantry wrote the index.
        GantryError: the store failed.
    """
    _change(store, lambda entries: entries | {entry.run: entry}, say, pause)


def remove(store: Store, run: str, say: Say | None = None) -> None:
    """Take a run's entry out, and remove an index that has no other; a run that has none is no error.

    Raises:
        GantryError: as for `update`.
    """
    if run in load(store).entries:
        _change(store, lambda entries: {name: entry for name, entry in entries.items() if name != run}, say)


def rebuild(store: Store, say: Say | None = None) -> dict[str, Entry]:
    """Write the index anew from the runs' own folders; what runs write to it meanwhile wins.

    Five small requests for each run are made, 32 at once. A folder without a readable run.json is no run.

    Returns:
        The entries as they were written.

    Raises:
        GantryError: as for `update`.
    """
    before = load(store)
    found = {entry.run: entry for entry in _scan(store, store.folders(), say)}

    def merged(entries: dict[str, Entry]) -> dict[str, Entry]:
        # What differs from the index that was there before the scan was written, or removed, during it.
        names = before.entries.keys() | entries.keys()
        changed = {name for name in names if before.entries.get(name) != entries.get(name)}
        kept = {name: entry for name, entry in found.items() if name not in changed}
        return kept | {name: entries[name] for name in changed if name in entries}

    return _change(store, merged, None, whole=True)


def _parse(runs: Mapping[str, Any]) -> tuple[dict[str, Entry], str]:
    """The entries that can be read, and the name of one that cannot."""
    entries, bad = {}, ""
    for name, values in runs.items():
        try:
            entries[name] = Entry.model_validate({**values, "run": name})
        except (ValidationError, TypeError):
            bad = name
    return entries, bad


def _change(
    store: Store,
    amend: Callable[[dict[str, Entry]], dict[str, Entry]],
    say: Say | None,
    pause: Callable[[float], object] = time.sleep,
    whole: bool = False,
) -> dict[str, Entry]:
    """Read, amend and write until nobody came in between; `whole`: what is written has every run."""
    for attempt in range(_TRIES):
        found = load(store)
        if found.note and say:
            say(f"{found.note}; `launcher reindex` mends it")
        entries, complete = amend(found.entries), whole or found.complete
        if not complete and (found.note or not found.generation):
            others, complete = _others(store, entries)
            entries = others | entries
        try:
            _put(store, entries, complete, found.generation)
            return entries
        except PreconditionFailed as error:
            refused = error
        # Spread over more and more time: fifty that met at first find gaps between each other then.
        longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**attempt)
        pause(random.SystemRandom().uniform(0, longest))
    raise refused


def _put(store: Store, entries: Mapping[str, Entry], complete: bool, generation: int) -> None:
    """Write an index in the place of the one of a generation; one without entries is not kept.

    Raises:
        PreconditionFailed: somebody was faster.
    """
    if entries:
        store.write(layout.INDEX, _encode(entries, complete), generation)
        return
    if generation:
        store.delete(layout.INDEX, generation)
    if store.stat(layout.INDEX) is not None:  # a delete that came too late says nothing
        raise PreconditionFailed(f"{store.url}/{layout.INDEX}: another writer got there first")


def _others(store: Store, known: Container[str]) -> tuple[dict[str, Entry], bool]:
    """Runs that a first index would leave out, of an older Gantry, say, and whether these are all."""
    names = [name for name in store.folders() if name not in known]
    if len(names) > _ADOPTED:
        return {}, False
    return {entry.run: entry for entry in _scan(store, names)}, True


def _encode(entries: Mapping[str, Entry], complete: bool) -> bytes:
    """Without spaces and defaults: the entries of 10,000 runs take 3 MB."""
    runs = {
        name: entry.model_dump(mode="json", exclude={"run"}, exclude_defaults=True)
        for name, entry in sorted(entries.items())
    }
    values: dict[str, Any] = {"format": FORMAT, **({} if complete else {"incomplete": True}), "runs": runs}
    return json.dumps(values, separators=(",", ":")).encode()


def _scan(store: Store, names: Iterable[str], say: Say | None = None) -> list[Entry]:
    """What the folders of these runs say, in the same order."""
    with ThreadPoolExecutor(_READERS) as pool:
        found = pool.map(lambda run: look(store, run, say), names)
        return [entry for entry in found if entry is not None]


def look(store: Store, run: str, say: Say | None = None) -> Entry | None:
    """What a run's own folder says, None when it is no run's.

    Raises:
        GantryError: the store failed.
    """
    record = _json(store, f"{run}/{layout.RUN}")
    if not record:
        return None
    status, result = (_json(store, f"{run}/{name}") for name in (layout.STATUS, layout.RESULT))
    entry = describe(run, record, status, result)
    if entry is None and say:
        say(f"{store.url}/{run}: its records cannot be read; it is left out of the index")
    return None if entry is None else judged_entry(store, entry)


def judged_entry(store: Store, entry: Entry) -> Entry:
    """The entry with what the run's folder says of its figures.

    Raises:
        GantryError: the store failed.
    """
    return with_figures(entry, judged.summary(Inside(store, entry.run)))


def _json(store: Store, name: str) -> dict[str, Any]:
    """A JSON object of the store, empty when it is not there or not readable."""
    try:
        found = json.loads(store.read(name))
    except (ObjectMissing, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
