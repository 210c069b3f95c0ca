"""docs/fixes.md, from what the tests of fixes told: ``python -m tests.cluster.fixes_page RECORD``."""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

_PAGE = """\
<!-- Written by `make test-fixes`. -->
# Fixes that were run

What `launcher explain` printed on a real cluster, run as it stands (a person's part filled in: an image, a
file, a folder), and what was there afterwards. Revision {revision}, {day}, {machine}.

| cause | command | afterwards |
|---|---|---|
{rows}
"""


def page(record: Path) -> str:
    """The page of one call of ``make test-fixes``."""
    told = {tuple(sorted(json.loads(line).items())) for line in record.read_text().splitlines()}
    rows = sorted((each["cause"], each["command"], each["there"]) for each in map(dict, told))
    revision = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
    ).stdout.strip()
    table = "\n".join(f"| `{cause}` | `{_cell(command)}` | {there} |" for cause, command, there in rows)
    system = f"{platform.system()} {platform.release()}"
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {system}"
    return _PAGE.format(revision=revision, day=f"{datetime.now(UTC):%Y-%m-%d}", machine=machine, rows=table)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


if __name__ == "__main__":
    sys.stdout.write(page(Path(sys.argv[1])))
