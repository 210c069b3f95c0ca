"""The logs that lie in a run's folder, chosen by attempt, worker and number of last lines."""

from collections.abc import Sequence

from launcher.errors import SpecError
from launcher.records.follow import LogLine, LogReader, log_attempts, log_workers
from trainer.storage import Store


def stored_logs(store: Store, attempt: int | None, worker: int | None, tail: int | None) -> list[LogLine]:
    """Lines so far, worker by worker; the newest attempt when none is named.

    Raises:
        SpecError: the run has no such attempt or worker.
    """
    attempts = log_attempts(store)
    if attempt is not None and attempt not in attempts:
        raise SpecError(f"--attempt {attempt}: expected one of {_numbers(attempts)}")
    if not attempts:
        return []
    chosen = attempts[-1] if attempt is None else attempt
    workers = log_workers(store, chosen)
    if worker is not None and worker not in workers:
        raise SpecError(f"--worker {worker}: expected one of {_numbers(workers)}")
    lines: list[LogLine] = []
    for each in workers if worker is None else [worker]:
        lines += LogReader(store, chosen, each).read(last=True)
    return lines if tail is None else last_lines(lines, tail)


def last_lines(lines: Sequence[LogLine], count: int) -> list[LogLine]:
    """The last `count` lines of each worker, worker by worker."""
    kept: list[LogLine] = []
    for worker in sorted({line.worker for line in lines}):
        own = [line for line in lines if line.worker == worker]
        kept += own[max(0, len(own) - count) :]
    return kept


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "none, as nothing is logged yet"
