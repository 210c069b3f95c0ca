"""Plays schedules one after another and prints what became of them.

Example: python -m tests.chaos --count 100 --seed 1
"""

import argparse
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tests.chaos.driver import SETS, Outcome, Result, play, undisturbed

Kind = tuple[int, str]
"""Workers and preset."""
_FAULTS = ("503", "429", "lost answer", "cut upload", "slow", "stale 404", "outage 503")


def main() -> int:
    """Play the schedules that the command line asks for; 1 when any failed."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of every `with`, which ends the pods
    folder = Path(options.logs or tempfile.mkdtemp(prefix="gantry-chaos-"))
    seeds = range(options.seed, options.seed + options.count)
    plan = {seed: (options.workers or 2 + seed % 2, options.preset or _preset(seed)) for seed in seeds}
    expected = {kind: undisturbed(folder / "undisturbed", *kind) for kind in sorted({*plan.values()})}
    results = []
    for result in _play_all(plan, expected, folder, options.jobs):
        results.append(result)
        logs = _logs(folder, result.seed, result.workers)
        _print_result(result, logs, options.verbose)
        if result.is_ok and not options.logs:
            shutil.rmtree(logs)
    results.sort(key=lambda result: result.seed)
    print(f"\n{table(results)}")
    failed = [result.seed for result in results if not result.is_ok]
    print(f"\n{len(results) - len(failed)} of {len(results)} runs ended as the undisturbed one")
    if not failed and not options.logs:
        shutil.rmtree(folder)
    return 1 if failed else 0


def _preset(seed: int) -> str:
    """By turns, two seeds each, so that each comes with two workers and with three."""
    return [*SETS][seed // 2 % len(SETS)]


def _play_all(
    plan: dict[int, Kind], expected: dict[Kind, Outcome], folder: Path, jobs: int
) -> Iterator[Result]:
    """Results as they come; when we are interrupted no pod stays behind."""
    stop, pool = threading.Event(), ThreadPoolExecutor(jobs)
    try:
        waiting = [
            pool.submit(play, seed, *kind, expected[kind], _logs(folder, seed, kind[0]), stop)
            for seed, kind in plan.items()
        ]
        for done in as_completed(waiting):
            yield done.result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _logs(folder: Path, seed: int, workers: int) -> Path:
    return folder / f"seed-{seed}-workers-{workers}"


def table(results: list[Result]) -> str:
    """A row for each schedule, in markdown."""
    head = (
        "seed",
        "workers",
        "preset",
        "result",
        "seconds",
        "events",
        "pods replaced",
        "trainers started",
        *_FAULTS,
    )
    rows = [head, ("---",) * len(head)]
    for result in results:
        counts = [result.faults[name] for name in _FAULTS]
        rows.append(
            (
                result.seed, result.workers, result.preset,
                "ok" if result.is_ok else "FAILED", f"{result.seconds:.0f}",
                len(result.schedule.events), result.pods_replaced, result.trainers_started, *counts,
            )
        )  # fmt: skip
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=4, help="how many schedules (default 4)")
    parser.add_argument("--seed", type=int, default=1, help="the first one's seed (default 1)")
    parser.add_argument(
        "--workers", type=int, choices=(2, 3), help="2 or 3 workers (default: by turns, an odd seed has 3)"
    )
    parser.add_argument("--preset", choices=tuple(SETS), help="default: by turns")
    parser.add_argument("--jobs", type=int, default=1, help="how many at once (default 1)")
    parser.add_argument("--logs", help="keep all logs in this folder (default: those of failures, in /tmp)")
    parser.add_argument("--verbose", action="store_true", help="also print what happened and when")
    return parser.parse_args()


def _print_result(result: Result, logs: Path, verbose: bool) -> None:
    events = ", ".join(map(str, result.schedule.events))
    state = "ok" if result.is_ok else "FAILED"
    print(
        f"seed {result.seed}, {result.workers} workers, {result.preset}: {state}, "
        f"{result.seconds:.0f} s; {events}",
        flush=True,
    )
    if verbose or not result.is_ok:
        for line in result.story:
            print(f"  {line}")
    for line in result.why:
        print(f"  wrong: {line}")
    if not result.is_ok:
        only = f"--workers {result.workers} --preset {result.preset}"
        again = f"python -m tests.chaos --count 1 --seed {result.seed} {only}"
        print(f"  again: {again}\n  logs: {logs}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
