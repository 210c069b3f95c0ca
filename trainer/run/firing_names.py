"""What the run of a schedule's Job is called: pods and launchers must come to the same name.

The CronJob controller calls a Job ``<schedule>-<minutes since 1970>``, for when it was due, and its run is
``<schedule>-<date>-<time>`` in UTC. A Job that somebody else makes of the schedule, as with ``kubectl create
job --from=cronjob/<schedule>``, may be called anything. Its run is ``<schedule>-<job>-<eight characters>``;
these come from the Job's uid, so that they stay when a pod is replaced, and are others for a second Job of
that name.
"""

import base64
import hashlib
import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Of 2020-01-01: earlier times are no firing's, so that `weekly-1` and `weekly-20261130` are somebody's names.
_FIRST_MINUTE = 26_297_280
_UNIQUE_BYTES = 5  # 8 characters; of a million Jobs of one schedule and one name, two would share theirs
# Of the run's name in all, for 100,000 workers and attempts to 99; a longer schedule's has the suffix alone.
_LONGEST = 53
_SHORTEST_HEAD = 6  # -<head>-<8 characters> is then as long as -20260102-030405


def due(schedule: str, job: str) -> datetime | None:
    """For when a Job of the CronJob controller is, None for a Job of another name."""
    found = re.fullmatch(rf"{re.escape(schedule)}-([1-9][0-9]{{7}})", job)
    if found is None or int(found[1]) < _FIRST_MINUTE:
        return None
    return _EPOCH + timedelta(minutes=int(found[1]))


def by_controller(schedule: str, job: str) -> str | None:
    """The run of a Job of the CronJob controller, None for a Job of another name."""
    time = due(schedule, job)
    return f"{schedule}-{time:%Y%m%d-%H%M}" if time else None


def by_hand(schedule: str, job: str, uid: str) -> str:
    """The run of a Job that somebody made of a schedule and gave a name; `uid` is the Job's."""
    unique = hashlib.sha256(f"{schedule}/{job}/{uid}".encode()).digest()[:_UNIQUE_BYTES]
    tail = base64.b32encode(unique).decode().lower()
    room = max(_SHORTEST_HEAD, _LONGEST - len(f"{schedule}--{tail}"))
    head = job.removeprefix(f"{schedule}-").strip("-")[:room].rstrip("-")
    return f"{schedule}-{head}-{tail}"
