"""docs/ends.md, from what the tests of ends told: ``python -m tests.ends.page PATH``."""

import json
import os
import sys
from pathlib import Path

from tests.ends.phases import PHASES, SIGNALS
from tests.support.provenance import stamp

_PAGE = """\
<!-- Written by `make test-ends`. -->
# Every way to end

What a process was doing when it was asked to end, and how it left: each signal was sent in each phase,
without a terminal and in one (tty). {stamp}.

| who | while | leaves with | {signals} |
|---|---|---|{lines}|
{rows}

{note}

## Room

What came to an end under a run that had saved: a real disk, filled, mounted read-only or made to fail, or a
limit of open files. Each said what it was, left with 1 (42 where a stop could still be saved), and, when
there was room again, ended in the bits of a run that nothing had happened to.

{rooms}
"""
_NOTE = """\
42 is "stopped, can be resumed"; a command of the launcher and a tool of the trainer leave with 128 and the
signal's number, as shells have it. A dash is a pair that was not tried or did not end so."""


def record(**row: object) -> None:
    """Add a row to what ``make test-ends`` gathers for the page; nothing in any other call."""
    if path := os.environ.get("GANTRY_ENDS"):
        with Path(path).open("a") as file:
            file.write(json.dumps(row) + "\n")


def page(path: Path) -> str:
    """The page of one call of ``make test-ends``."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    told = {(line["phase"], line["signal"], line["terminal"]) for line in lines if "phase" in line}
    rooms = sorted({line["room"] for line in lines if "room" in line})
    columns = [(signal, terminal) for terminal in (False, True) for signal in SIGNALS]
    rows = [
        f"| {phase.who} | {phase.doing} | {'128 + signal' if phase.code is None else phase.code} | "
        + " | ".join("yes" if (phase.name, *column) in told else "-" for column in columns)
        + " |"
        for phase in PHASES
    ]
    return _PAGE.format(
        stamp=stamp(),
        signals=" | ".join(f"{signal}{' tty' if terminal else ''}" for signal, terminal in columns),
        lines="|".join("---" for _ in columns),
        rows="\n".join(rows),
        note=_NOTE,
        rooms="\n".join(f"- {room}" for room in rooms) or "None was tried.",
    )


if __name__ == "__main__":
    sys.stdout.write(page(Path(sys.argv[1])))
