"""docs/fixes.md, from what the tests of fixes told: ``python -m tests.cluster.fixes_page RECORD``."""

import json
import sys
from pathlib import Path

from tests.support.provenance import stamp

_PAGE = """\
<!-- Written by `make test-fixes`. -->
# Fixes that were run

What `launcher explain` printed on a real cluster, run as it stands (a person's part filled in: an image, a
file, a folder), and what was there afterwards. {stamp}.

| cause | command | afterwards |
|---|---|---|
{rows}
"""


def page(record: Path) -> str:
    """The page of one call of ``make test-fixes``."""
    told = {tuple(sorted(json.loads(line).items())) for line in record.read_text().splitlines()}
    rows = sorted((each["cause"], each["command"], each["there"]) for each in map(dict, told))
    table = "\n".join(f"| `{cause}` | `{_cell(command)}` | {there} |" for cause, command, there in rows)
    return _PAGE.format(stamp=stamp(), rows=table)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


if __name__ == "__main__":
    sys.stdout.write(page(Path(sys.argv[1])))
