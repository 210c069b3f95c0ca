"""docs/ends.md, from what the tests of ends told: ``python -m tests.ends.page RECORD``."""

import json
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
"""
_NOTE = """\
42 is "stopped, can be resumed"; a command of the launcher and a tool of the trainer leave with 128 and the
signal's number, as shells have it. A dash is a pair that was not tried or did not end so."""


def page(record: Path) -> str:
    """The page of one call of ``make test-ends``."""
    told = {
        (line["phase"], line["signal"], line["terminal"])
        for line in map(json.loads, record.read_text().splitlines())
    }
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
    )


if __name__ == "__main__":
    sys.stdout.write(page(Path(sys.argv[1])))
