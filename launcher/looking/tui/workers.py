"""The workers of the page: those in trouble first, as with 1,000 of them they are what one looks for."""

from collections.abc import Sequence

from rich.text import Text

from launcher.looking.tui.feed import in_trouble
from launcher.looking.tui.text import line
from launcher.records.status import RunStatus, WorkerStatus
from launcher.wording import counted


def worker_lines(now: RunStatus, most: int) -> list[Text]:
    """At most so many lines; none for a run whose workers nobody knows."""
    if not now.workers:
        return []
    told = line((f"workers alive: {now.ready} of {now.world_size or len(now.workers):,}", "bold"))
    worst = sorted(now.workers, key=lambda worker: (_wellness(worker), worker.worker))
    rows = [_worker(worker) for worker in worst[: most - 1]]
    lines = [told, *_aligned(rows)]
    if len(worst) > len(rows):
        lines.append(line((f"and {len(worst) - len(rows)} more", "dim")))
    return lines


def _aligned(rows: "Sequence[Sequence[tuple[str, str]]]") -> list[Text]:
    """Rows of texts with their styles as lines, whose last columns go where there is no room."""
    widths = [max(len(text) for text, _ in column) for column in zip(*rows, strict=True)]
    return [
        line(*((f"{text:<{width}}  ", style) for (text, style), width in zip(row, widths, strict=True)))
        for row in rows
    ]


def _wellness(worker: WorkerStatus) -> int:
    if in_trouble(worker):
        return 0
    return 1 if not worker.alive and worker.exit_code is None else 2 if worker.reason else 3


def _worker(worker: WorkerStatus) -> list[tuple[str, str]]:
    if worker.exit_code is not None:
        how = (f"exit code {worker.exit_code}", "red" if worker.exit_code else "green")
    else:
        how = ("alive", "green") if worker.alive else ("not ready", "yellow")
    where = worker.pod or (f"process {worker.pid}" if worker.pid else "")
    more = [worker.reason, f"on {worker.node}" if worker.node else ""]
    more.append(f"replaced {counted(worker.restarts, 'time')}" if worker.restarts else "")
    return [(f"worker {worker.worker}", ""), how, (where, ""), (", ".join(filter(None, more)), "")]
