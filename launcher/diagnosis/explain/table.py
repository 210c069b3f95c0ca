"""docs/troubleshooting.md: what explain recognises.

``python -m launcher.diagnosis.explain.table`` writes it to stdout.

The rows are the causes themselves, in the order in which they are tried; a test compares the page with them.
"""

import sys
from collections.abc import Sequence
from typing import Any

from launcher.diagnosis.explain.base import Cause
from launcher.diagnosis.explain.causes import CAUSES, SCHEDULE_CAUSES

COMMAND = "python -m launcher.diagnosis.explain.table > docs/troubleshooting.md"
_PAGE = """\
<!-- Written by `{command}` from launcher/diagnosis/explain/causes: change it there. -->
# Troubleshooting

`launcher explain RUN` or `launcher explain SCHEDULE` looks at the Job or CronJob, its pods, events and logs,
at the run's folder and, where it may, at nodes, quotas and claims. It says in one sentence what is wrong,
with the evidence (object, field, event or log line, and its time) and the command that mends it; `status` and
`wait` say the sentence of a run that failed.

```
launcher explain demo-1             # leaves with 0 when nothing is wrong, 1 when something is, 3: no such run
launcher explain demo-1 --apply     # asks, then runs the command, unless it needs a decision of yours
launcher explain demo-1 -o json     # cause, sentence, evidence, fix, and what could not be asked
```

[launcher-role.yaml](launcher-role.yaml) grants all that it asks for but nodes, which
[launcher-cluster-role.yaml](launcher-cluster-role.yaml) does. With less it says less, and what it could not
ask. The first line below that fits is the answer.

## Runs

{runs}

Where none fits the cause is `unknown`, and the three facts that say most are shown without a guess.

## Schedules

{schedules}
"""


def page() -> str:
    """docs/troubleshooting.md as it should be."""
    return _PAGE.format(command=COMMAND, runs=_table(CAUSES), schedules=_table(SCHEDULE_CAUSES))


def _table(causes: Sequence[Cause[Any]]) -> str:
    rows = [("cause", "what is wrong", "how it shows", "what helps"), ("---",) * 4]
    rows += [(f"`{each.key}`", each.title, each.seen, each.mend) for each in causes]
    return "\n".join("| " + " | ".join(map(_cell, row)) + " |" for row in rows)


def _cell(text: str) -> str:
    return text.replace("|", r"\|").rstrip(".")


if __name__ == "__main__":
    sys.stdout.write(page())
