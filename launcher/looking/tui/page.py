"""From a run's data to a page of so many lines and columns; a pure function, whatever the terminal.

Wide pages have the grid on the right, narrow ones below. What there is room for is decided from the top:
header, progress, losses, then workers in trouble first, then the end of a log. Rich itself turns to ASCII, or
to fewer colours or none, where the terminal has no more.
"""

from collections.abc import Sequence
from textwrap import wrap
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from launcher.looking.evaluated import figure_text, figures_of
from launcher.looking.samples.blocks import Blocks, blocks
from launcher.looking.tui.chart import Chart
from launcher.looking.tui.feed import GridView, Page, Tail
from launcher.looking.tui.text import line as _line
from launcher.looking.tui.workers import worker_lines
from launcher.records.states import COLLAPSED, FAILED, FINISHED, INTERRUPTED, RUNNING
from launcher.records.status import RunStatus
from launcher.wording import counted
from trainer.errors import GantryError
from trainer.metrics import ACCURACIES, LOSSES, of_panel

HINT = "q leaves, the run goes on"
_WIDE = 90  # columns from which on the grid is beside the rest
_LEFT = 50  # columns that the rest keeps
_EXPLANATION = 4  # lines of it at most
_REST = 9  # lines that a grid below leaves to workers and log
_SMALLEST = 8  # lines of a grid in which anything can be seen
_WORKERS = 8  # lines of them at most
_LABEL = 22  # columns of the charts' labels
_COLOURS = {RUNNING: "green", FINISHED: "green", FAILED: "red", COLLAPSED: "red", INTERRUPTED: "red"}


_STYLES = ("cyan", "magenta")  # by place in a panel
_HEIGHTS = {LOSSES: 3, ACCURACIES: 1}  # panels of the page, and a chart's lines in them


class _Curve(NamedTuple):
    """One metric on the page."""

    key: str
    label: str
    style: str
    height: int
    percent: bool = False


_CURVES = tuple(
    _Curve(metric.name, metric.short, _STYLES[place if height > 1 else 0], height, panel.unit == "%")
    for panel, height in _HEIGHTS.items()
    for place, metric in enumerate(of_panel(panel))
)


def draw(page: Page, width: int, height: int, hint: str = HINT) -> RenderableType:
    """The page.

    Args:
        page: what is known.
        width: columns.
        height: lines; the page has no more, unless there are fewer than header and losses need.
        hint: the last line.
    """
    header = _header(page, width)
    room = height - len(header) - 2
    beside = width >= _WIDE
    columns, lines = (
        (min(width // 2, width - _LEFT - 3), room - 1)
        if beside
        else (width, room - _curve_lines(page) - _REST)
    )
    grid = _grid(page.grid, columns, lines)
    taken = 0 if beside or grid is None else grid.height + 1
    left = _body(page, room - taken)
    if grid is None:
        middle: list[RenderableType] = [*left]
    elif beside:
        middle = [_side_by_side(left, grid, width)]
    else:
        middle = [*left, grid.picture, grid.caption]
    return Group(*header, Text(""), *middle, Text(hint, style="dim", no_wrap=True, overflow="crop"))


def _header(page: Page, width: int) -> list[RenderableType]:
    now = page.status
    name, state = f"{now.experiment}/{now.run}", (now.state, f"bold {_COLOURS.get(now.state, 'yellow')}")
    short = len(name) + len(now.state) + len(now.explanation) + 4 <= width
    lines: list[RenderableType] = [
        _line((name, "bold"), "  ", state, f"  {now.explanation}" if short else ""),
        *(_line(each) for each in ([] if short else wrap(now.explanation, width)[:_EXPLANATION])),
        _line((", ".join(_about(now)), "dim")),
        _progress(now, width),
    ]
    if figures := [f"{word} {figure_text(found)}" for word, found in figures_of(now)]:
        lines.append(_line((", ".join(figures), "dim")))
    if now.health:
        names = f"{', '.join(now.conditions)}: " if now.conditions else ""
        lines.append(_line((f"warning: {names}{now.health}", "yellow")))
    if now.storage:
        lines.append(_line((f"storage {now.storage}", "yellow")))
    if page.problem:
        lines.append(_line((f"this page is of {page.moment:%H:%M:%S}Z: {page.problem}", "yellow")))
    return lines


def _about(now: RunStatus) -> list[str]:
    parts = [now.preset or "", counted(now.world_size, "worker") if now.world_size else "", now.backend or ""]
    parts.append(f"attempt {now.attempt}" if now.attempt else "")
    if now.checkpoint_step is not None:
        parts.append(f"saved at step {now.checkpoint_step:,}{_ago(now.checkpoint_age_seconds)}")
    if now.trainer_restarts:
        parts.append(f"trainers restarted: {now.trainer_restarts}")
    if now.restarts:
        parts.append(f"pods replaced: {now.restarts}")
    return [part for part in parts if part]


def _progress(now: RunStatus, width: int) -> RenderableType:
    if now.step is None or not now.steps:
        return _line(("no step yet", "dim"))
    share = min(1.0, now.step / now.steps)
    told = f" {now.step:,}/{now.steps:,} {share:.0%}"
    if now.images_per_second is not None:
        told += f"  {now.images_per_second:,.0f} images/s"
    if now.live and now.eta_seconds is not None:
        told += f"  ETA {clock(now.eta_seconds)}"
    row = Table.grid()
    bar = ProgressBar(total=now.steps, completed=now.step, width=max(10, min(60, width - len(told) - 1)))
    row.add_row(bar, Text(told, no_wrap=True, overflow="crop"))
    return row


class _Grid(NamedTuple):
    """A drawn grid, or in its place the reason that it cannot be drawn."""

    picture: Blocks | Text
    caption: Text
    width: int
    height: int


def _grid(view: GridView | None, columns: int, lines: int) -> _Grid | None:
    if view is None or lines < _SMALLEST:
        return None
    caption = _line((f"samples of step {view.step:,}", "dim"))
    try:
        picture = blocks(view.content, f"samples/{view.step}.png", columns, lines - 1)
    except GantryError as error:
        return _Grid(_line((str(error), "yellow")), caption, min(columns, len(str(error))), 2)
    return _Grid(picture, caption, max(picture.width, len(caption)), picture.height + 1)


def _side_by_side(left: Sequence[RenderableType], grid: _Grid, width: int) -> Table:
    sides = Table.grid()
    sides.add_column(width=width - grid.width - 3, no_wrap=True)
    sides.add_column(width=3)
    sides.add_column(width=grid.width, no_wrap=True)
    sides.add_row(Group(*left), "", Group(grid.picture, grid.caption))
    return sides


def _body(page: Page, lines: int) -> list[RenderableType]:
    """Curves, workers and log in at most so many lines."""
    parts: list[RenderableType] = _curves(page)
    left = lines - _curve_lines(page)
    workers = worker_lines(page.status, min(_WORKERS, max(1, (left - 2) // 2)))
    if workers and left >= 3:
        parts += [Text(""), *workers]
        left -= 1 + len(workers)
    if page.tail is not None and page.tail.lines and left >= 3:
        parts += [Text(""), *_log(page.tail, left - 2)]
    return parts


def _shown_curves(page: Page) -> list[_Curve]:
    return [curve for curve in _CURVES if page.curves.last(curve.key) is not None]


def _curve_lines(page: Page) -> int:
    return sum(curve.height for curve in _shown_curves(page)) or 1


def _curves(page: Page) -> list[RenderableType]:
    shown = _shown_curves(page)
    if not shown:
        return [_line(("no metrics yet", "dim"))]
    rows = Table.grid(expand=True)
    rows.add_column(width=_LABEL, no_wrap=True)
    rows.add_column(ratio=1, no_wrap=True)
    for curve in shown:
        values = page.curves.points(curve.key).y
        low, high = (0.0, 1.0) if curve.percent else (None, None)
        rows.add_row(_label(curve, values), Chart(values, curve.height, low, high, curve.style))
    return [rows]


def _label(curve: _Curve, values: Sequence[float]) -> Text:
    if curve.percent:
        return _line(f"{curve.label:<{_LABEL - 6}}", f"{values[-1]:>5.0%} ")
    text = _line((f"{curve.label} {values[-1]:.4g}", "bold"))
    text.append(f"\nhigh {max(values):.4g}\nlow {min(values):.4g}", style="dim")
    return text


def _log(tail: Tail, most: int) -> list[RenderableType]:
    lines = tail.lines[max(0, len(tail.lines) - most + 1) :]
    return [_line((f"log of worker-{tail.worker}", "bold")), *(_line((line, "dim")) for line in lines)]


def clock(seconds: float) -> str:
    """Seconds as ``1:02:03`` or ``2:03``."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


def _ago(seconds: float | None) -> str:
    return "" if seconds is None else f" {clock(seconds)} ago"
