"""docs/surroundings.md, from what the runs told: ``python -m tests.trainer.surroundings_page RECORD``."""

import json
import sys
from pathlib import Path

from tests.support.provenance import stamp
from tests.trainer.surroundings import TABLE
from trainer.environment.surroundings import PLAIN, RULES, Rule

_PAGE = """\
<!-- Written by `make test-surroundings`. -->
# Surroundings of a run

What comes with a machine and could change a run, hang it or stop it is decided by
`trainer/environment/surroundings.py`, through which every process of ours passes. What is not on the list
passes. A variable that was typed for the run (`launcher submit --env`) wins, and a line says so. Variables
that pass and may change bits, and the threads, are in `run.json` as `surroundings`; a resume under others
says so.

| variable | is | because |
|---|---|---|
{rules}

## Runs in other people's surroundings

A short run through `launcher submit` in each row, compared with one in clean surroundings: weights, moments,
metrics, samples and curves. {stamp}.

| surroundings | workers | the run |
|---|---|---|
{rows}
"""


def page(record: Path) -> str:
    """The page of one call of ``make test-surroundings``."""
    told = {line["name"]: line for line in map(json.loads, record.read_text().splitlines())}
    rows = [
        f"| {row.name} | {row.workers} | {told[row.name]['result'] if row.name in told else 'not run'} |"
        for row in TABLE
    ]
    rules = [f"| `{rule.name}` | {_value(rule)} | {rule.why} |" for rule in RULES]
    return _PAGE.format(
        stamp=stamp(),
        rules="\n".join(rules),
        rows="\n".join(rows),
    )


def _value(rule: Rule) -> str:
    if rule.value is None:
        return "taken away"
    return f"`trainer/{PLAIN.name}`" if rule.value == str(PLAIN) else f"`{rule.value}`"


if __name__ == "__main__":
    sys.stdout.write(page(Path(sys.argv[1])))
