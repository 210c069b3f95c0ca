"""One run, put together from everything that tells of it. A file that is damaged hides no other."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from launcher import backends
from launcher.backends.base import Attempt
from launcher.backends.outcome import REGARDLESS
from launcher.looking.compare.differences import data_text
from launcher.looking.curves import figures, read_curves
from launcher.looking.show.objects import Inventory, take_stock
from launcher.looking.show.settings import Setting, plain, settings_of
from launcher.records.run_folder import Found
from launcher.records.states import COLLAPSED, FINISHED, UNKNOWN, unasked
from launcher.records.status import Files, RunStatus, assemble, read_json, read_word
from launcher.runs.find import Place, backend_of, find
from launcher.runs.recorded import begun_with
from launcher.spec.next_commands import command_line
from trainer.errors import GantryError
from trainer.run import best, evaluations, layout

T = TypeVar("T")


@dataclass
class NextStep:
    """A command that makes sense now."""

    command: str
    purpose: str


@dataclass
class Metrics:
    """The lines of a run in few numbers."""

    lines: int
    first_step: int
    last_step: int
    figures: dict[str, dict[str, Any]]
    """By key: last, lowest, highest and their steps, as `launcher.looking.curves.Figure` has them."""


@dataclass
class Shown:
    """All that is known of one run."""

    status: RunStatus
    url: str
    """Its folder."""
    created: str | None = None
    extended: str | None = None
    """When it was last given more steps."""
    preset: str | None = None
    overrides: list[str] = field(default_factory=list)
    seed: int | None = None
    image: str | None = None
    settings: list[Setting] = field(default_factory=list)
    """Values of the configuration that are not the preset's or the defaults."""
    versions: dict[str, Any] = field(default_factory=dict)
    git_revision: str | None = None
    data: str | None = None
    """What the run's data was when it began."""
    warm_start: dict[str, Any] | None = None
    schedule: str | None = None
    scheduled: str | None = None
    submitted: dict[str, Any] | None = None
    """The newest attempt that was handed to others: ``attempt``, ``where`` in words, ``submitted`` and
    ``ended`` (ISO times, UTC), ``exit_code``, and what else its backend's record says."""
    started: dict[str, Any] | None = None
    """The same of one that was started here: ``started``."""
    metrics: Metrics | None = None
    best: dict[str, Any] | None = None
    """``best.json``: the best checkpoint by the figures of training."""
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    """Every evaluation of its checkpoints, by step, as ``evaluations/`` has it."""
    inventory: Inventory = field(default_factory=Inventory)
    result: dict[str, Any] | None = None
    damaged: list[str] = field(default_factory=list)
    """What could not be read or asked, one line each."""
    next: list[NextStep] = field(default_factory=list)


def show(where: Place, name: str) -> Shown:
    """Everything about a run.

    Raises:
        NoSuchRun: there is none of that name.
        UserError: the name is no name, or is in several experiments.
        StorageError: its folder cannot be listed.
    """
    found = find(where, name)
    store, damaged = found.store, list[str]()

    def attempt(read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except GantryError as error:
            if str(error) not in damaged:
                damaged.append(str(error))
            return otherwise

    run = attempt(lambda: read_json(store, layout.RUN), None) or {}
    nothing: tuple[dict[str, Any] | None, float | None] = (None, None)
    files = Files(run, *attempt(lambda: read_word(store), nothing))
    status = attempt(lambda: backend_of(found, where).status(found), None) or _by_files(found, files)
    curves = attempt(lambda: read_curves(store), None)
    origins = _origins(attempt(partial(each.newest, store), None) for each in backends.providers())
    shown = Shown(
        status=status,
        url=found.path.url,
        **_recorded(found, run),
        submitted=origins.get("submitted"),
        started=origins.get("started"),
        best=attempt(lambda: best.read(store), None),
        evaluations=attempt(lambda: [dict(entry) for entry in evaluations.every(store)], []),
        inventory=take_stock(store.list(), store.now),
        result=attempt(lambda: read_json(store, layout.RESULT), None),
        damaged=damaged,
        next=next_steps(status, found),
    )
    if curves:
        summary = {key: figure._asdict() for key, figure in figures(curves).items()}
        shown.metrics = Metrics(len(curves.steps), curves.steps[0], curves.steps[-1], summary)
    damaged += [
        f"{found.store.url}/{line}: damaged, left out"
        for line in (curves.damaged if curves is not None else ())
    ]
    return shown


def _origins(records: Iterable[Attempt | None]) -> dict[str, dict[str, Any]]:
    """Where the newest attempt was begun, as each record in the folder says, as fields of `Shown`."""
    return {
        each.verb: {
            "attempt": each.number,
            "where": each.where,
            each.verb: each.begun,
            "ended": each.ended,
            "exit_code": each.exit_code,
            **each.told,
        }
        for each in sorted(filter(None, records), key=lambda each: each.begun)
    }


def _by_files(found: Found, files: Files) -> RunStatus:
    """Where the run stands as its trainer said, for when nothing else can be asked."""
    state = unasked(files.said, files.age, "what was damaged or not to be asked is told below")
    return assemble(found, files, state, attempt=None, backend=None, asked=False)


def _recorded(at: Found, run: dict[str, Any]) -> dict[str, Any]:
    """What ``run.json`` says, as fields of `Shown`; what is not of the kind that it should be is left out."""
    kinds: dict[str, type] = {
        "created": str,
        "extended": str,
        "preset": str,
        "seed": int,
        "image": str,
        "git_revision": str,
        "schedule": str,
        "scheduled": str,
        "versions": dict,
        "warm_start": dict,
    }
    found = {key: run[key] for key, kind in kinds.items() if isinstance(run.get(key), kind)}
    known = isinstance(run.get("overrides"), list) and "preset" in found
    # With the steps that it has by now: a run that was resumed with more keeps what it was begun with.
    found["overrides"] = [plain(each) for each in begun_with(at, run)] if known else []
    return found | {"data": data_text(run.get("data")), "settings": settings_of(run)}


def next_steps(now: RunStatus, found: Found) -> list[NextStep]:
    """The commands that make sense for a run that stands so."""

    def step(purpose: str, verb: str, *more: str) -> NextStep:
        return NextStep(command_line(verb, found.path, *more), purpose)

    if now.live:
        return [
            step("watch it", "watch"),
            step("what its workers write", "logs", "--follow"),
            step("save and stop it", "cancel"),
        ]
    if now.state == UNKNOWN and not now.asked:
        return [step("where it stands, once it can be asked", "status")]
    name = found.path.name
    home = step("bring it here", "artifacts download", "--to", name, "--latest")
    # Nothing of a run in a bucket is written to this machine unless it is said where.
    grid, page = (["--out", name], ["--out", f"{name}.html"]) if "://" in found.path.root else ([], [])
    look = [
        step("see its newest grid", "samples", *grid, "--open"),
        step("all of it on one page", "report", *page),
    ]
    if now.state == FINISHED:
        more = step("train it further", "resume", "--set", f"steps={2 * (now.steps or now.step or 1)}")
        return [*look, home, more]
    return [
        step("what went wrong", "explain"),
        step("what its workers wrote", "logs"),
        step("go on with it", "resume", *(REGARDLESS if now.state == COLLAPSED else ())),
        *([home] if now.checkpoint_step is not None else []),
    ]
