"""Pods of a Job as processes that can be killed and paused, and the controller that replaces them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from tests.support.teams import free_ports
from tests.trainer.pods import environment
from trainer.errors import EXIT_COLLAPSED, EXIT_DONE, EXIT_USER

GRACE_SECONDS = 30  # between SIGTERM and SIGKILL, as a pod of ours gets on a real cluster
_BACKOFF_SECONDS = 1.0  # before a pod is replaced; the controller's own 10 s would only take longer
_MOST_REPLACEMENTS = 12
_PRINTED = re.compile(rb"^(\d+)/\d+ \[D loss", re.MULTILINE)


class Pod:
    """One pod: a supervisor and whatever it started, which all share its session."""

    def __init__(self, command: list[str], given: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command, env=os.environ | given, stdout=output, stderr=output, start_new_session=True
            )
        self._terminated: float | None = None
        self._empty = False

    @property
    def name(self) -> str:
        """Its own name."""
        return self.log.stem

    @property
    def code(self) -> int | None:
        """Exit code of its first process, None while it runs."""
        return self._process.poll()

    def trainer(self) -> int | None:
        """Process id of the trainer, None while there is none."""
        pid = self._process.pid
        with suppress(OSError, IndexError):  # the pod or its trainer is gone
            return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        return None

    def signal(self, number: int) -> None:
        """Send a signal to everything in the pod, its first process first, so that it starts nothing new."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        for process in self._members():
            if process.pid != self._process.pid:
                send(process.pid, number)

    def terminate(self) -> None:
        """Ask the first process to stop; `tick` sees to it that it does."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._terminated = time.monotonic()

    def tick(self) -> None:
        """Kill what does not leave within its grace, and what the first process left behind."""
        late = self._terminated is not None and time.monotonic() - self._terminated > GRACE_SECONDS
        if late or self._process.poll() is not None:
            self.signal(signal.SIGKILL)

    def kill(self) -> None:
        """End everything and wait for it."""
        self.signal(signal.SIGKILL)
        self._process.wait(30)
        psutil.wait_procs(self._members(), timeout=10)

    def _members(self) -> list[psutil.Process]:
        """All that is in the pod; once it is empty its number may be another's, and nothing is looked for."""
        if self._empty:
            return []
        found = [process for process in psutil.process_iter() if _session(process.pid) == self._process.pid]
        self._empty = not found and self._process.poll() is not None
        return found


class Job:
    """The pods of one Job, of which those that fail are replaced, inside a ``with``."""

    def __init__(self, command: list[str], folder: Path, workers: int, **env) -> None:
        """`command`: of each pod, for the trainer."""
        self._command = [sys.executable, "-m", "trainer", *command]
        self._addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
        self._folder, self._env = folder, env
        self._due: dict[int, float] = {}
        self.past: list[Pod] = []
        """Pods that were replaced."""
        self.pods: list[Pod] = []
        self.error = ""
        """Why the Job failed."""

    def __enter__(self) -> "Job":
        try:
            for index in range(len(self._addresses)):
                self.pods.append(self._start(index))
        except BaseException:  # we were interrupted
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for pod in self.all:
            pod.signal(signal.SIGKILL)
        for pod in self.all:
            pod.kill()

    @property
    def all(self) -> list[Pod]:
        """All pods that there ever were."""
        return [*self.past, *self.pods]

    @property
    def is_done(self) -> bool:
        """Whether all pods left with 0, or the Job failed."""
        return bool(self.error) or all(pod.code == EXIT_DONE for pod in self.pods)

    @property
    def step(self) -> int:
        """The last step that any trainer printed."""
        return max((int(found) for pod in self.all for found in _printed(pod.log)), default=0)

    def tick(self) -> None:
        """What the Job's controller and the nodes do all along."""
        for index, pod in enumerate(self.pods):
            pod.tick()
            if pod.code in (None, EXIT_DONE):
                continue
            if pod.code in (EXIT_USER, EXIT_COLLAPSED):  # the podFailurePolicy's FailJob
                self.error = f"worker {index} left with {pod.code}"
            elif len(self.past) >= _MOST_REPLACEMENTS:
                self.error = f"more than {_MOST_REPLACEMENTS} pods were replaced"
            elif time.monotonic() >= self._due.setdefault(index, time.monotonic() + _BACKOFF_SECONDS):
                del self._due[index]
                self.past.append(pod)
                self.pods[index] = self._start(index)

    def _start(self, index: int) -> Pod:
        number = len(self.all)
        log = self._folder / f"worker-{index}-pod-{number}.log"
        workers = len(self._addresses)
        given = environment(
            index, workers, GANTRY_POD=f"gan-{index}-{number:05d}", GANTRY_GRACE_SECONDS=GRACE_SECONDS,
            GANTRY_TERMINATION_LOG=log.with_suffix(".termination"), **self._env,
        )  # fmt: skip
        task = {"type": "worker", "index": index}
        given["TF_CONFIG"] = json.dumps({"cluster": {"worker": self._addresses}, "task": task})
        return Pod(self._command, given, log)


def send(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _session(pid: int) -> int | None:
    with suppress(OSError):
        return os.getsid(pid)
    return None


def _printed(log: Path) -> Iterator[bytes]:
    yield from _PRINTED.findall(log.read_bytes())
