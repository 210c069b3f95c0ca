"""Schedules, zones and times around changes of the clocks, as lines of JSON for ``robfig/main.go``.

``python -m tests.launcher.robfig_cases`` writes ``robfig.json`` anew, with Go: cases, and what robfig/cron
makes of them. Zones whose clocks leap at midnight or by half an hour are left out: it skips or doubles days
there.
"""

import json
import random
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

HERE = Path(__file__).parent
TABLE = HERE / "robfig.json"
ZONES = [
    "Europe/Paris",
    "America/New_York",
    "Etc/UTC",
    "Asia/Kolkata",
    "America/St_Johns",
    "Africa/Casablanca",
]
BEGINNINGS = [
    datetime(2026, 3, 28), datetime(2026, 10, 24), datetime(2026, 3, 7), datetime(2026, 10, 31),
    datetime(2026, 2, 13), datetime(2026, 3, 20), datetime(2028, 2, 28),
]  # fmt: skip
DAYS, MONTHS = ["SUN", "MON", "tue", "WED", "Fri"], ["JAN", "feb", "Mar"]


def cases(count, seed=6):
    """So many cases, the same for the same seed."""
    draw = random.Random(seed)
    for _ in range(count):
        hours = (
            _field(draw, 0, 23, 0.3)
            if draw.random() < 0.5
            else draw.choice(["0", "1", "2", "3", "1-3", "23"])
        )
        days, weekdays = _field(draw, 1, 31, 0.6), _field(draw, 0, 6, 0.5, DAYS)
        line = " ".join([_field(draw, 0, 59, 0.1), hours, days, _field(draw, 1, 12, 0.7, MONTHS), weekdays])
        begin = draw.choice(BEGINNINGS) + timedelta(minutes=draw.randrange(2880))
        yield [line, draw.choice(ZONES), f"{begin:%Y-%m-%dT%H:%M:00Z}"]


def _field(draw, low, high, star, names=()):
    if draw.random() < star:
        return draw.choice(["*", "*", "*", "?", "*/1"])
    return ",".join(_item(draw, low, high, names) for _ in range(draw.choice([1, 1, 1, 2, 3])))


def _item(draw, low, high, names):
    first = draw.randint(low, high)
    last, step = draw.randint(first, high), draw.randint(1, 9)
    one = draw.choice(names) if names and draw.random() < 0.3 else str(first)
    kinds = [one, one, f"{first}-{last}", f"{first}-{last}/{step}", f"{first}/{step}", f"*/{step + 1}"]
    return draw.choice(kinds)


if __name__ == "__main__":
    asked = [
        *cases(200),
        *(
            [line, "Etc/UTC", "2026-01-01T00:00:00Z"]
            for line in ("@daily", "@weekly", "@monthly", "@yearly", "@annually", "@midnight", "@hourly",
                         "0 0 30 2 *", "0 0 * * 7", "60 * * * *", "* * * *", "5-1 * * * *", "*/0 * * * *",
                         "0 0 L * *", "@reboot", "* * * * * *", "0 0 0 * *", "1-2-3 * * * *", "a * * * *")
        ),
    ]  # fmt: skip
    done = subprocess.run(
        ["go", "run", "."], input="\n".join(map(json.dumps, asked)), cwd=HERE / "robfig",
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = [[*case, json.loads(line)] for case, line in zip(asked, done.stdout.splitlines(), strict=True)]
    TABLE.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
