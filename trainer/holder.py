"""Who a process is, so that another one on the same machine can tell whether it still lives.

A process id is given again after its owner's death; together with the start time, the machine's boot and the
namespace that the number counts in it names one process for ever (proc(5), pid_namespaces(7)).
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_PROC = Path("/proc")
_STATE, _START = 0, 19  # fields of /proc/<pid>/stat after the command's name


def describe(name: str) -> dict[str, Any]:
    """This process: `name` for people, the rest for `is_gone`."""
    pid = os.getpid()
    found = _stat(pid)
    return {
        "name": name,
        "host": socket.gethostname(),
        "pid": pid,
        "started": found[_START] if found else None,
        "machine": _machine(),
    }


def is_gone(holder: Mapping[str, Any]) -> bool:
    """Whether a process that described itself is known to be dead; False when that cannot be known here."""
    machine, started, pid = holder.get("machine"), holder.get("started"), holder.get("pid")
    if machine is None or machine != _machine() or started is None or not isinstance(pid, int):
        return False
    found = _stat(pid)
    return found is None or found[_STATE] in "ZX" or found[_START] != started


def _machine() -> str | None:
    """This boot of this machine and the namespace of its process ids, None where there is no /proc."""
    with suppress(OSError):
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
    return None


def _stat(pid: int) -> list[str] | None:
    """Fields of a process from its state on, None when there is no such process."""
    with suppress(OSError):
        # The command's name may hold anything, hence the last bracket.
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return None
