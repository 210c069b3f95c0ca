"""In a group: rows from the command line, answers as lines of JSON.

A task returns its figures by name, each with its unit; ``needs_gpu`` lists those that only a GPU has, and
``failed`` says what went wrong beside them.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

Figures = dict[str, Any]
MEASURED, FAILED, NO_TIME, NOT_THERE, NO_ROOM = "measured", "failed", "no time", "not there", "no room"
NOT_BEGUN = "not begun"


class NotMeasured(Exception):
    """There is nothing to measure, which is no failure; the text says why."""

    def __init__(self, status: str, why: str) -> None:
        super().__init__(why)
        self.status = status


class Hopeless(Exception):
    """No row after this one can be measured either."""


def serve(tasks: Mapping[str, Callable[..., Figures]]) -> None:
    """Answer the rows of the command line until one fails. Never returns."""
    threading.Thread(target=_end_with_referee, daemon=True).start()
    failed = False
    for row in json.loads(sys.argv[1]):
        _say({"begins": row["name"]})
        answer = _answer(lambda row=row: tasks[row["task"]](**row["options"]))
        _say({"row": row["name"], **answer})
        failed = answer["status"] == FAILED
        if failed:  # whatever it left behind is not to touch the next row
            break
    os._exit(1 if failed else 0)  # contestants end with their input


def _answer(task: Callable[[], Figures]) -> Figures:
    try:
        figures = task()
    except NotMeasured as nothing:
        return {"status": nothing.status, "why": str(nothing)}
    except Exception as error:
        why = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return {"status": FAILED, "why": why[:1000], "hopeless": isinstance(error, Hopeless)}
    why = figures.pop("failed", None)
    return {"status": FAILED, "why": why, **figures} if why else {"status": MEASURED, **figures}


def rounds_of(run: Callable[[int], object], seconds: float, rounds: int, unit: int = 1) -> list[float]:
    """Seconds of one step in each of some rounds that last about `seconds` together.

    Args:
        run: takes so many steps and waits for them.
        seconds: all rounds together.
        rounds: how many.
        unit: steps come in multiples of this.
    """
    run(unit)
    count = steps_in(seconds / rounds, run, unit)
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        run(count)
        found.append((time.perf_counter() - start) / count)
    return found


def steps_in(seconds: float, run: Callable[[int], object], unit: int = 1) -> int:
    """How many steps last about so long, a multiple of `unit`, by a try of `unit` and of ten times that."""
    start = time.perf_counter()
    run(unit)
    took = time.perf_counter() - start
    if 10 * took < seconds:  # a call's own cost is not a step's
        start = time.perf_counter()
        run(10 * unit)
        took = (time.perf_counter() - start) / 10
    return unit * max(1, round(seconds / took))


def _end_with_referee() -> None:
    """Take all that was started here along when the input ends, which only the referee holds open."""
    sys.stdin.read()
    if os.getsid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)


def _say(values: Mapping[str, Any]) -> None:
    print(json.dumps(values), flush=True)
