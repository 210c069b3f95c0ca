"""Pods of an Indexed Job as processes of this machine: ``python -m trainer worker``.

On loopback their names cannot be resolved and all would listen on one port, so that TF_CONFIG gives the
addresses; that the names work is shown on a real cluster by ``tests/cluster``.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.support.flags import set_flags
from tests.support.teams import SMALL, Team, free_ports
from trainer.run import layout
from trainer.storage import Store


def environment(index=0, workers=1, **changes) -> dict[str, str]:
    """What Kubernetes and the manifests give a pod, and a proxy, by which no peer may be looked for."""
    values = {
        "JOB_COMPLETION_INDEX": index, "GANTRY_JOB": "gan", "GANTRY_SERVICE": "gan", "GANTRY_PORT": 2222,
        "GANTRY_WORKERS": workers, "GANTRY_ATTEMPT": 1, "GANTRY_POD": f"gan-{index}-x7k2p",
        "https_proxy": "http://127.0.0.1:9", **changes,
    }  # fmt: skip
    return {name: str(value) for name, value in values.items() if value is not None}


def arguments(root: str, run: str, sets=SMALL, preset="mlp") -> list[str]:
    """What the container is told."""
    told = ["worker", "--preset", preset, "--root", root, "--experiment", "e", "--run", run, "--threads", "1"]
    return told + set_flags(sets)


class Pods(Team):
    """The pods of one job."""

    def __init__(self, root: str, run: str, logs: Path, *, workers: int = 1, sets=SMALL, **changes) -> None:
        addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
        self._start = {"root": root, "run": run, "folder": logs, "sets": sets, "addresses": addresses}
        self._changes = changes
        self.logs, self.messages, self.processes = [], [], []
        for index in range(workers):
            self._add(index, f"{run}-pod-{index}", **changes)

    def replacement(self, index: int, **changes) -> "Pods":
        """Another pod for a worker, as the Job controller makes one; alone in a `Pods` of its own."""
        other = object.__new__(Pods)
        other._start, other._changes = self._start, self._changes
        other.logs, other.messages, other.processes = [], [], []
        other._add(
            index, f"{self._start['run']}-pod-{index}-{time.monotonic_ns()}", **self._changes | changes
        )
        return other

    def _add(self, index: int, name: str, **changes) -> None:
        start, workers = self._start, len(self._start["addresses"])
        folder = start["folder"]
        folder.mkdir(parents=True, exist_ok=True)
        log, message = folder / f"{name}.log", folder / f"{name}.termination"
        given = environment(index, workers, GANTRY_TERMINATION_LOG=message, **changes)
        if workers > 1:
            task = {"type": "worker", "index": index}
            given["TF_CONFIG"] = json.dumps({"cluster": {"worker": start["addresses"]}, "task": task})
        command = [sys.executable, "-m", "trainer", *arguments(start["root"], start["run"], start["sets"])]
        with log.open("wb") as output:
            self.processes.append(
                subprocess.Popen(
                    command, env=os.environ | given, stdout=output, stderr=output, start_new_session=True
                )
            )
        self.logs.append(log)
        self.messages.append(message)


def copied(store: Store, worker: int, attempt: int = 1) -> bytes:
    """A worker's log as the run's folder has it."""
    names = [stat.name for stat in store.list(f"logs/{attempt}/")]
    found = [(log.segment, name) for name in names if (log := layout.worker_log_parts(name)).worker == worker]
    return b"".join(store.read(name) for _, name in sorted(found))
