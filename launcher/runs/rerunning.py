"""A run again, under a new name or as its next attempt, and in the place of one that still lives if asked.

Nothing that runs is stopped before what is to follow would be accepted: by the settings' own checks, by the
storage, by the server in a dry run, and as far as what pods name is there.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from launcher import backends
from launcher.backends.base import Backend, Options, Started, WorkerCommand
from launcher.backends.outcome import way_on
from launcher.errors import RunAlive, SpecError, Unsupported
from launcher.notes import note, say
from launcher.records.run_folder import Found
from launcher.records.status import RunStatus, read_json
from launcher.runs import verbs
from launcher.runs.find import Place, backend_of, find
from launcher.runs.recorded import asked, laid_over
from launcher.runs.resuming import resumed_spec
from launcher.runs.warm_start import check_warm_start
from launcher.spec import kinds
from launcher.spec.runspec import RunSpec
from launcher.spec.settings import Layered, spec_from
from launcher.spec.yaml_file import Setting
from trainer.run import layout


class Plan(NamedTuple):
    """A run that is to begin again, of which nothing was begun yet."""

    found: Found
    """The run as it was."""
    backend: Backend
    spec: RunSpec
    """The new run, checked as far as that goes without asking anybody."""


def plan(
    where: Place | str,
    run: str,
    given: Layered | None = None,
    *,
    unset: Iterable[str] = (),
    root: str | None = None,
) -> Plan:
    """The specification that a run was started with, under a new name and with changes.

    Args:
        where: where the run is; its context and namespace are the new run's too, and by default the record's.
        run: name, or ``experiment/name``.
        given: settings that win over what was recorded.
        unset: names of recorded settings that the new run shall not have, such as ``manifests``.
        root: another root for the new run.

    Raises:
        NoSuchRun: there is none of that name.
        Unsupported: nothing says how it was started.
        UserError: a value is wrong; the text says where it came from.
    """
    place = where if isinstance(where, Place) else Place(root=where)
    found = find(place, run)
    backend = backend_of(found, _of_old(place, found))
    fields = asked(found, read_json(found.store, layout.RUN), backend)
    if not fields:
        raise Unsupported(f"run '{found.path.name}': nothing in {found.store.url} says how it was started")
    del fields["name"]
    fields["root"] = found.path.root
    new = dict(given.settings) if given else {}
    if "name" in new and new["name"].value == found.path.name:
        raise SpecError(f"--name {found.path.name}: expected another than the run's own")
    if root is not None:
        new["root"] = Setting(root, "flag --to-root")
    settings = dict(laid_over(fields, Layered(new), found.store.url, unset).settings)
    return Plan(found, backend, spec_from(Layered(_placed(settings, backend, Layered(new)))))


def begin(
    planned: Plan,
    *,
    replace: bool = False,
    command: WorkerCommand | None = None,
    grace_seconds: float | None = None,
    ready: Callable[[], object] = lambda: None,
) -> Started:
    """Start a planned run; with `replace` the old one is saved and stopped before, where it still lives.

    Raises:
        RunExists, RunAlive: the new name is taken.
        Unsupported: the old run's workers are not to be reached from here.
        UserError: something that the new run needs is missing or refuses; the old one was not touched.
        GantryError: the old one did not end in time, or what was accepted before was refused after it, which
            a note on stderr tells with the way back.
    """
    found, backend, spec = planned

    def check() -> None:
        check_warm_start(spec)
        backends.named(spec.backend).check_new(spec, Options(command))

    with _stopped(found, backend, check) if replace else _untouched():
        return verbs.submit(spec, command, grace_seconds, ready)


def resume(where: Place | str, run: str, overrides: Iterable[str] = (), **changes: Any) -> Started:
    """`runs.resume`, in the place of the attempt that is under way where there is one.

    Raises:
        NoSuchRun: there is none of that name.
        UserError: the next attempt would be refused, or nothing is left to train; what runs was not touched.
        GantryError: as for `begin`.
    """
    overrides = tuple(overrides)
    found, backend = verbs.locate(where, run)
    options = Options(changes.get("command"))

    def check() -> None:
        if overrides and read_json(found.store, layout.RUN) is None:
            raise SpecError(f"run '{run}': its trainer has written nothing yet; try again in a moment")
        beside = {"command", *verbs.beside_spec(backend)}
        fields = {key: value for key, value in changes.items() if key not in beside}
        spec = resumed_spec(found, overrides, **fields)
        backend.check_next(found, spec, options)

    with _stopped(found, backend, check):
        return verbs.resume(where, run, overrides, **changes)


@contextmanager
def _untouched() -> Iterator[None]:
    yield


@contextmanager
def _stopped(found: Found, backend: Backend, check: Callable[[], None]) -> Iterator[None]:
    """With a run that is stopped if it was not, after a check; tells the way back where nothing follows."""
    if not _lives(found, backend):
        yield
        return
    check()
    stopped = backend.cancel(found)
    say(f"run '{found.path.name}' is {_state(stopped)}")
    try:
        yield
    except BaseException:  # Ctrl-C too
        if stopped.resumable:
            note(f"nothing has taken the place of run '{found.path.name}': {way_on(stopped)}")
        raise


def _lives(found: Found, backend: Backend) -> bool:
    """Whether anything of a run is left to be stopped.

    Raises:
        UserError: that cannot be asked.
    """
    try:
        backend.check_idle(found)
    except RunAlive:
        return True
    return backend.status(found).live


def _state(stopped: RunStatus) -> str:
    saved = stopped.checkpoint_step
    return f"{stopped.state}, " + ("nothing is saved" if saved is None else f"saved at step {saved}")


def _of_old(place: Place, found: Found) -> Place:
    """Where to look for the workers of a run: where its record says, as other places are the new run's."""
    for provider in backends.providers():
        place = provider.home(found, place)
    return place


def _placed(settings: dict[str, Setting], backend: Backend, given: Layered) -> dict[str, Setting]:
    """Settings with the backend, context and namespace that follow from what was recorded and is given."""
    new = given.settings.keys()
    if "backend" not in new and {"image", "root"} & new:  # which may make it another than before
        del settings["backend"]
    asked_for = {
        key: settings[key].value if key in settings else None for key in ("backend", "image", "root")
    }
    name = asked_for["backend"] or kinds.derive(asked_for["image"], asked_for["root"])[0]
    kind = kinds.find(name)
    lacks = kind.lacks(RunSpec.model_fields) if kind else []
    settings = {
        key: each for key, each in settings.items() if key in new or key.partition(".")[0] not in lacks
    }
    if name == backend.name and not {"context", "namespace"} <= new:
        placed = backend.placed()
        settings |= {key: Setting(value, "the run") for key, value in placed.items() if key not in new}
    return settings
