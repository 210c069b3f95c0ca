"""Who holds a run's lease, so that another process on the same machine can tell whether it still lives."""

import os
import socket
from collections.abc import Mapping
from typing import Any

from trainer.environment import process


def describe(name: str) -> dict[str, Any]:
    """This process: `name` for people, the rest for `lives`."""
    pid = os.getpid()
    return {
        "name": name,
        "host": socket.gethostname(),
        "pid": pid,
        "started": process.started(pid),
        "machine": process.machine(),
    }


def lives(holder: Mapping[str, Any]) -> bool | None:
    """Whether a process that described itself runs, None when that cannot be known here."""
    machine, started, pid = holder.get("machine"), holder.get("started"), holder.get("pid")
    if machine is None or machine != process.machine() or started is None or not isinstance(pid, int):
        return None
    return process.lives(pid, started)


def is_gone(holder: Mapping[str, Any]) -> bool:
    """Whether a process that described itself is known to be dead; False when that cannot be known here."""
    return lives(holder) is False
