"""Evaluations of a run as text: a figure is never without its name, its counts and its floor."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from launcher.records.status import RunStatus
from trainer.run.evaluations import Entry

_DIGITS = 4  # significant ones


def lines(entry: Entry) -> list[str]:
    """What was judged, and a row for each figure."""
    weights = "the average of the weights" if entry.get("average") else "the last weights"
    found = metrics(entry)
    return [
        f"run         {entry.get('run')}",
        f"step        {entry.get('step')}, {weights}, {entry.get('samples')} samples",
        f"reference   {entry.get('reference')}",
        *([f"held out    {entry['held_out']}"] if entry.get("held_out") else []),
        f"judged      {entry.get('created')}, in {number(entry.get('seconds'))} s",
        "",
        *aligned(table(found)),
        *_copies(entry),
    ]


def by_step(entries: Sequence[Entry]) -> list[str]:
    """Figures of several checkpoints, a column for each; of one provenance, as one request has."""
    names = list(dict.fromkeys(name for entry in entries for name in metrics(entry)))
    heads = ["step", *names]
    rows = [
        [str(entry.get("step")), *(number(metrics(entry).get(name, {}).get("value")) for name in names)]
        for entry in entries
    ]
    return aligned([heads, *rows])


def figure_text(found: Mapping[str, Any]) -> str:
    """A figure of a status in a line: ``FD[digits@1b34, N=2000] 12.3 at step 3200``."""
    return f"{found.get('name')} {number(found.get('value'))} at step {found.get('step')}"


def figures_of(now: RunStatus) -> list[tuple[str, Mapping[str, Any]]]:
    """A status' figures, each with its word; the newest one is not told again where it is the best."""
    known = (("best", now.best), ("judged", now.judged))
    both = now.best is not None and now.best == now.judged
    return [(word, found) for word, found in known if found and not (both and word == "judged")]


def number(value: Any) -> str:
    """A figure in a few characters; a dash where there is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:.{_DIGITS}g}" if is_number else "-"


def interval(figure: Mapping[str, Any]) -> str:
    """Where a figure of other draws lies, empty where that is not known."""
    found = figure.get("interval")
    return f"{number(found[0])} to {number(found[1])}" if isinstance(found, list) and len(found) == 2 else ""


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, the first column to the left and the others to the right."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(word.rjust(wide) for word, wide in zip(row[1:], widths[1:], strict=True)),
            ]
        ).rstrip()
        for row in rows
    ]


def metrics(entry: Entry) -> dict[str, dict[str, Any]]:
    """An entry's figures by metric; what is damaged is left out."""
    found = entry.get("metrics")
    items = found.items() if isinstance(found, dict) else ()
    return {name: each for name, each in items if isinstance(each, dict)}


def table(found: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """A row for each figure, headings first, without columns that are empty; nothing without figures."""
    if not found:
        return []
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "": lambda figure: str(figure.get("name")),
        "value": lambda figure: number(figure.get("value")),
        "interval": interval,
        "floor": lambda figure: _counted(figure, "floor"),
        "at floor's N": lambda figure: number(figure.get("at_floor")),
        "held out": lambda figure: _counted(figure, "held_out"),
    }
    rows = [[column(figure) for column in columns.values()] for figure in found.values()]
    shown = [place for place in range(len(columns)) if any(row[place] not in ("", "-") for row in rows)]
    return [[row[place] for place in shown] for row in [list(columns), *rows]]


def _counted(figure: Mapping[str, Any], key: str) -> str:
    value = figure.get(key)
    return "-" if value is None else f"{number(value)} (N={figure.get(f'{key}_samples')})"


def _copies(entry: Entry) -> Iterable[str]:
    found = entry.get("copies")
    if not isinstance(found, dict) or found.get("median") is None:
        return []
    name = f"copies[pixels, N={found.get('samples')}]"
    text = f"{name}  nearest training image {number(found['median'])} grey levels"
    if found.get("ratio") is None:
        return ["", f"{text}; copying cannot be told without held-out images"]
    held = f"of held-out images {number(found.get('held_out_median'))}: ratio {number(found['ratio'])}"
    return ["", f"{text}, {held}"]
