"""Which process is which on this machine, by what no step of the clock can move.

A process id is given again after its owner's death. Together with the kernel's count of ticks from boot to
the process' start, the boot and the namespaces that both numbers count in, it names one process for ever
(proc(5), pid_namespaces(7), time_namespaces(7)). The creation time that psutil tells is the time of boot by
the clock plus these ticks, so it moves whenever the clock is set.
"""

import os
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_STATE, _START = 0, 19  # fields of /proc/<pid>/stat after the command's name


def machine() -> str | None:
    """This boot of this machine and the namespaces of its process numbers, None where there is no /proc.

    The boot is the first word.
    """
    with suppress(OSError):
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        spaces = [str((_PROC / "self/ns/pid").readlink())]
        with suppress(OSError):  # since Linux 5.6
            spaces.append(str((_PROC / "self/ns/time").readlink()))
        return " ".join((boot, *spaces))
    return None


def installation() -> str | None:
    """What stays of a machine when it is booted again or renamed (machine-id(5)), None where it has none."""
    for path in (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id")):
        with suppress(OSError):
            if text := path.read_text().strip():
                return text
    return None


def started(pid: int) -> str | None:
    """Ticks from boot to a process' start, None when there is no such process or no /proc."""
    found = _stat(pid)
    return found[_START] if found else None


def lives(pid: int, start: str) -> bool | None:
    """Whether the process of a number that started then still runs, which a zombie does not.

    Asked on the `machine` that the number is of. None when there is a process of that number which this user
    must not see (``hidepid`` in proc(5)).
    """
    if pid <= 0:
        return False
    found = _stat(pid)
    if found is not None:
        return found[_STATE] not in "ZX" and found[_START] == start
    return None if _is_hidden(pid) else False


def _stat(pid: int) -> list[str] | None:
    """Fields of a process from its state on, None when there is no such process."""
    with suppress(OSError):
        # The command's name may hold anything, hence the last bracket.
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split() or None
    return None


def _is_hidden(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return _stat(pid) is None  # it may have been born since
