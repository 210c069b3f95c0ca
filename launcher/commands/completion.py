"""Names for the shell's completion: what is found within two seconds, and nothing rather than an error.

Whatever stands in the way (no root, no credentials, a bucket or cluster that does not answer) a person hears
of from the command itself; while they type, a message would only tear the line.
"""

import contextlib
import io
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from launcher.runs.find import Place

PATIENCE_SECONDS = 2.0

Names = set[str]
Source = Callable[["Place", str, Names], None]


def complete_run(context: typer.Context, incomplete: str) -> list[str]:
    """Runs of the root that the line names, or of the usual one: names, or ``experiment/name``."""
    return _within_patience(context, incomplete, _add_runs)


def complete_schedule(context: typer.Context, incomplete: str) -> list[str]:
    """Schedules of the namespace that the line names, or of the usual one."""
    return _within_patience(context, incomplete, _add_schedules)


def complete_run_or_schedule(context: typer.Context, incomplete: str) -> list[str]:
    """Both, for commands that take either."""
    return _within_patience(context, incomplete, _add_runs, _add_schedules)


def _within_patience(context: typer.Context, incomplete: str, *sources: Source) -> list[str]:
    """What the sources tell by the time that patience ends; who is late goes on until the process ends."""
    found: Names = set()
    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(Exception):
        place = _place(context.params)
        if place.root is None or _add_schedules in sources:
            with contextlib.suppress(Exception):  # where there is no client, there may be a folder of runs
                _import_client(place)
        threads = [
            threading.Thread(target=_silently, args=(source, place, incomplete, found), daemon=True)
            for source in sources
        ]
        for thread in threads:
            thread.start()
        end = time.monotonic() + PATIENCE_SECONDS
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
    return sorted(name for name in found.copy() if name.startswith(incomplete))


def _silently(source: Source, place: "Place", incomplete: str, found: Names) -> None:
    with contextlib.suppress(Exception):
        source(place, incomplete, found)


def _place(params: dict[str, Any]) -> "Place":
    """Where to look, with all imported that looking takes: patience is for answers."""
    from launcher.commands.place import place_of

    place = place_of(params.get("root"), params.get("context"), params.get("namespace"))
    if "://" in (place.root or ""):
        import trainer.run.index
        import trainer.storage.gcs  # noqa: F401
    return place


def _import_client(place: "Place") -> None:
    """The client of a cluster takes 0.4 s to import, and ten times that on a machine that is training."""
    from launcher.backends import providers

    for provider in providers():
        provider.load(place)


def _add_runs(place: "Place", incomplete: str, found: Names) -> None:
    from launcher.spec.next_commands import DEFAULT_ROOT

    names = _RunNames(incomplete, found)
    with contextlib.suppress(Exception):  # where there is no root, there may be a cluster
        _of_root(place.root or DEFAULT_ROOT, names)
    if place.root is None:
        from launcher.backends import providers

        for path in (path for provider in providers() for path in provider.known(place)):
            names.add(path.experiment, path.name)


def _of_root(root: str, names: "_RunNames") -> None:
    from trainer.run import layout
    from trainer.storage import open_store

    store = open_store(root)
    for experiment in [names.experiment] if names.experiment else store.folders():
        if "://" in root:  # one object, and perhaps all that there is time for
            from trainer.run import index

            with contextlib.suppress(Exception):
                for name in list(index.read(open_store(f"{root.rstrip('/')}/{experiment}"))):
                    names.add(experiment, name)
        for name in store.folders(f"{experiment}/"):
            if f"{name}/" != layout.REFERENCES:
                names.add(experiment, name)


class _RunNames:
    """Runs as the other commands take them: by name, or with the experiment where that is begun or needed."""

    def __init__(self, incomplete: str, found: Names) -> None:
        self.experiment, slash, _ = incomplete.rpartition("/")
        self._bare = not slash
        self._begun = incomplete
        self._found = found
        self._experiments: dict[str, str] = {}

    def add(self, experiment: str, name: str) -> None:
        """Take in one run, perhaps again."""
        whole = f"{experiment}/{name}"
        if not self._bare or (self._begun and experiment.startswith(self._begun)):
            self._found.add(whole)
        other = self._experiments.setdefault(name, experiment)
        if other == experiment:
            self._found.add(name)
        else:  # a name that is in several experiments is refused when it is alone
            self._found.discard(name)
            self._found.update((f"{other}/{name}", whole))


def _add_schedules(place: "Place", incomplete: str, found: Names) -> None:
    from launcher.render.labels import MANAGED

    if place.has_cluster:
        items = place.connect().list("CronJob", MANAGED)["items"]
        found.update(str(item["metadata"]["name"]) for item in items)
