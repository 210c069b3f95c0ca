"""``launcher show``: everything about one run."""

from datetime import UTC
from typing import TYPE_CHECKING, Any

from launcher.commands.common import (
    TEXT,
    Context,
    Namespace,
    Output,
    Root,
    Run,
    ago,
    console,
    number,
    print_data,
    size,
)
from launcher.commands.compare import value_text
from launcher.commands.place import place_of
from launcher.spec.durations import spoken
from launcher.wording import counted, short_revision

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

    from launcher.looking.show import Shown

_NAMED_DAMAGES = 10
_SHOWN_EVALUATIONS = 3
_VERSIONS = ("gantry", "python", "tensorflow", "tensorflow-cpu", "keras", "numpy")


def show(
    run: Run, root: Root = None, context: Context = None, namespace: Namespace = None, output: Output = TEXT
) -> None:
    """Show everything about one run.

    Where it stands, what of its configuration is not the preset's, metrics, checkpoints, samples, attempts,
    result, where it was submitted, versions, what it began from, its size, and the commands to type next. A
    file that is damaged is told, and all else is shown.

    Example: launcher show demo-20260102-x7k2

    Example: launcher show faces/nightly-20260102-0300 -o json
    """
    from launcher.looking.show import show as show_run

    found = show_run(place_of(root, context, namespace), run)
    if output is not TEXT:
        print_data(found, output)
        return
    screen = console()
    for number_, section in enumerate(_sections(found)):
        if number_:
            screen.print()
        screen.print(section)


def _sections(found: "Shown") -> "list[Table]":
    sections = [
        _pairs(_head(found), found),
        _table(("configuration", "value", "preset", "default"), _settings(found), right=()),
        _table(("metrics", "last", "lowest", "at step", "highest", "at step"), _metrics(found)),
        _table(("judged", "figure", "value", "interval", "floor", "made"), _judged(found), right=(2, 3, 4)),
        _table(("checkpoint", "size", "complete", "written"), _checkpoints(found)),
        _table(("attempt", "workers", "logs", "last written"), _attempts(found)),
        _table(("damaged or not to be asked",), _damaged(found), right=()),
        _table(("next", ""), [(each.command, each.purpose) for each in found.next], right=()),
    ]
    return [section for section in sections if section.row_count]


def _pairs(rows: "Iterable[tuple[str, str]]", found: "Shown") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    now = found.status
    told = f", {now.explanation}" if now.explanation else ""
    at = "" if now.step is None else f" at step {now.step:,} of {number(now.steps)}"
    table.add_row(Text(f"{now.experiment}/{now.run}", style="bold"), Text(f"{now.state}{at}{told}"))
    for key, value in rows:
        table.add_row(Text(key), Text(value, overflow="fold"))
    return table


def _table(
    headings: "Sequence[str]", rows: "Iterable[Sequence[str]]", right: "Sequence[int]" = (1, 2, 3)
) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _head(found: "Shown") -> "list[tuple[str, str]]":
    now, stock = found.status, found.inventory
    kinds = sorted(stock.by_kind.items(), key=lambda kind: -kind[1])[:4]
    rows = [
        ("folder", found.url),
        ("created", _moment(found.created)),
        ("extended", _moment(found.extended)),
        ("preset", " ".join([found.preset or "", *(f"--set {each}" for each in found.overrides)]).strip()),
        ("workers", f"{number(now.world_size)}, {now.backend}" if now.backend else number(now.world_size)),
        ("speed", "" if now.images_per_second is None else f"{now.images_per_second:,.0f} images/s"),
        ("image", found.image or ""),
        ("data", found.data or ""),
        ("warm start", _warm_start(found)),
        ("schedule", ", ".join(filter(None, [found.schedule, found.scheduled]))),
        *_origin(found),
        ("source", _source(found)),
        ("samples", _samples(found)),
        ("best", _best(found)),
        ("result", _result(found)),
        ("size", f"{size(stock.bytes)} in {counted(stock.objects, 'object')}: " + _sizes(kinds)),
    ]
    return [(key, value) for key, value in rows if value]


def _sizes(kinds: "Sequence[tuple[str, int]]") -> str:
    return ", ".join(f"{kind} {size(count)}" for kind, count in kinds)


def _warm_start(found: "Shown") -> str:
    from launcher.looking.compare.differences import warm_start_text

    return warm_start_text(found.warm_start) or ""


def _origin(found: "Shown") -> "list[tuple[str, str]]":
    rows = []
    for verb, told in (("submitted", found.submitted), ("started", found.started)):
        if told:
            ended = f", ended {_moment(told['ended'])}" if told.get("ended") else ""
            code = "" if told.get("exit_code") is None else f", exit code {told['exit_code']}"
            rows.append((verb, f"{told['where']}, {_moment(told[verb])}{ended}{code}"))
            given = [f"{key} {value_text(value)}" for key, value in told.get("settings", {}).items()]
            rows.append(("", ", ".join(given)))
            rows.append(("env", ", ".join(told.get("env", ()))))
    return rows


def _source(found: "Shown") -> str:
    parts = [f"git {short_revision(found.git_revision)}"] if found.git_revision else []
    known = [name for name in _VERSIONS if name in found.versions]
    others = [name for name in found.versions if name not in _VERSIONS]
    parts += [f"{name} {found.versions[name]}" for name in [*known, *others]]
    return ", ".join([*parts, *([] if found.seed is None else [f"seed {found.seed}"])])


def _samples(found: "Shown") -> str:
    grids = found.inventory.samples
    if grids is None:
        return ""
    span = f"steps {grids.first_step:,} to {grids.last_step:,}"
    return f"{counted(grids.count, 'grid')}, {span}, the newest {_moment(grids.updated)}"


def _result(found: "Shown") -> str:
    result = found.result or {}
    attempt = result.get("attempt")
    seconds = attempt.get("seconds") if isinstance(attempt, dict) else None
    took = f", the last attempt took {spoken(seconds)}" if isinstance(seconds, int | float) else ""
    return f"{result.get('state')} {_moment(result.get('finished'))}{took}" if result else ""


def _best(found: "Shown") -> str:
    from launcher.looking.evaluated import figure_text
    from launcher.looking.evaluated import number as short

    if not found.best:
        return ""
    reported = found.best.get("reported")
    told = "" if reported is None else f", {short(reported)} on images that had no part in the choice"
    return figure_text(found.best) + told


def _settings(found: "Shown") -> "list[tuple[str, ...]]":
    return [
        (each.key, value_text(each.value), value_text(each.preset), value_text(each.default))
        for each in found.settings
    ]


def _metrics(found: "Shown") -> "list[tuple[str, ...]]":
    figures = found.metrics.figures if found.metrics else {}
    return [
        (
            key,
            value_text(each["last"]),
            *(value_text(each["lowest"]), number(each["lowest_step"])),
            *(value_text(each["highest"]), number(each["highest_step"])),
        )
        for key, each in figures.items()
    ]


def _judged(found: "Shown") -> "list[tuple[str, ...]]":
    """Every figure of the newest evaluations; all of them are in the JSON."""
    from launcher.looking.evaluated import interval, metrics
    from launcher.looking.evaluated import number as short

    shown = found.evaluations[-_SHOWN_EVALUATIONS:]
    more = len(found.evaluations) - len(shown)
    rest = [("", f"and {counted(more, 'evaluation')} before these", *[""] * 4)] if more else []
    return [
        (
            f"{entry.get('step')}",
            str(figure.get("name")),
            short(figure.get("value")),
            interval(figure),
            short(figure.get("floor")),
            f"{entry.get('made')} {_moment(entry.get('created'))}".strip(),
        )
        for entry in shown
        for figure in metrics(entry).values()
    ] + rest


def _checkpoints(found: "Shown") -> "list[tuple[str, ...]]":
    return [
        (
            f"{each.step}",
            size(each.bytes),
            "yes" if each.complete else "no",
            ago(each.age_seconds),
        )
        for each in found.inventory.checkpoints
    ]


def _attempts(found: "Shown") -> "list[tuple[str, ...]]":
    return [
        (f"{each.attempt}", f"{each.workers}", size(each.bytes), _moment(each.updated))
        for each in found.inventory.attempts
    ]


def _damaged(found: "Shown") -> "list[tuple[str]]":
    lines = [(line,) for line in found.damaged[:_NAMED_DAMAGES]]
    more = len(found.damaged) - len(lines)
    return [*lines, *([(f"and {more} more",)] if more else [])]


def _moment(text: Any) -> str:
    """An ISO time as people read it, empty for none.

    How long ago it was is not said: it is by the clock of whoever wrote it, which nobody can read from here.
    """
    from launcher.records.states import parse_time

    time = parse_time(text)
    return "" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
