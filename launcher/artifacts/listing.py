"""What a run's store holds."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from launcher.errors import SpecError
from trainer.run import layout
from trainer.storage import Stat, Store, check_name

_KEPT = 1000  # objects of a listing held in memory, 0.4 kB each; a longer listing is asked for again


@dataclass(frozen=True)
class Artifact:
    """One file of a run."""

    name: str
    size: int
    """Bytes."""
    updated: str
    """ISO time."""


class Listing:
    """All objects of a run, to be gone through more than once in little memory.

    A short listing is asked for once and kept. A longer one is streamed anew each time, so that memory does
    not grow with the number of objects; it may then show what the run wrote in between.
    """

    def __init__(self, store: Store, *, views: bool = False) -> None:
        """`views`: with what the launcher has made of the run (`layout.VIEWS`), which is no file of it."""
        self._store, self._views = store, views
        self._kept: list[Stat] | None = None

    def __iter__(self) -> Iterator[Stat]:
        """Every object, by name.

        Raises:
            AccessError: a name could leave a folder that it is copied to.
        """
        if self._kept is not None:
            yield from self._kept
            return
        begun: list[Stat] | None = []
        for found in self._store.list():
            check_name(found.name)
            if found.name.startswith(layout.VIEWS) and not self._views:
                continue
            if begun is not None:
                begun.append(found)
                if len(begun) > _KEPT:
                    begun = None
            yield found
        self._kept = begun


def kind_of(name: str) -> str:
    """What ``--only`` calls an object: the folder or file directly below the run's folder."""
    return name.partition("/")[0]


def check_kinds(only: Iterable[str], kinds: Iterable[str]) -> None:
    """Refuse kinds that a run does not have.

    Raises:
        SpecError: there is nothing of one; the text names what there is.
    """
    for kind in sorted(set(only) - set(kinds)):
        has = ", ".join(sorted(kinds)) or "nothing yet"
        raise SpecError(f"--only {kind}: the run has none; it has {has}")


def list_files(store: Store, only: Iterable[str] = ()) -> list[Artifact]:
    """Files of a run, or those of some kinds, by name; unfinished checkpoints are among them.

    Raises:
        SpecError: the run has nothing of a kind.
    """
    wanted, kinds, chosen = set(only), set(), []
    for found in Listing(store):
        kinds.add(kind_of(found.name))
        if not wanted or kind_of(found.name) in wanted:
            chosen.append(Artifact(found.name, found.size, found.updated.isoformat()))
    check_kinds(wanted, kinds)
    return chosen
