"""The control group that holds all pods: its name is ours, so what is found in it may be killed."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.harness.settings import NAME

TOP = Path("/sys/fs/cgroup")


def create() -> None:
    """Make it in the one hierarchy of version 2, or in each of version 1; the kubelet wants to find it."""
    for hierarchy in _hierarchies():
        if hierarchy.name != "unified":  # version 2 without controllers, beside version 1: runc's own matter
            (hierarchy / NAME).mkdir(exist_ok=True)


def remove() -> None:
    """Kill what is left in it and remove it with all below it."""
    for hierarchy in _hierarchies():
        top = hierarchy / NAME
        folders = [Path(path) for path, _, _ in os.walk(top, topdown=False)]
        for folder in folders:
            _empty(folder)
            folder.rmdir()


def _hierarchies() -> Iterator[Path]:
    if (TOP / "cgroup.controllers").exists():
        yield TOP
        return
    for folder in sorted(TOP.iterdir()):
        if folder.is_dir() and not folder.is_symlink():  # "cpu" may be a link to "cpu,cpuacct"
            yield folder


def _empty(folder: Path) -> None:
    deadline = time.monotonic() + 10
    while pids := (folder / "cgroup.procs").read_text().split():
        for pid in pids:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            return  # rmdir tells what is wrong
        time.sleep(0.05)
