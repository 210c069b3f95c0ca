"""Services: processes that a file describes, with the command and the pid.

Whoever can read the file can stop the service and start it again: the harness, a test that takes the API
server away for 20 seconds, and the next run, which clears up after one that was killed.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.harness.settings import LOGS, NAME, STATE, ClusterError, tail

IN_NETWORK = ("nsenter", f"--net=/run/netns/{NAME}", "--")


def run(
    *argv: str | Path, log: str | None = None, cwd: Path | None = None, env: dict[str, str] | None = None
) -> str:
    """Run a command to its end and return what it printed; `log` names a file that gets it instead.

    Raises:
        ClusterError: it failed; the text holds the end of what it printed.
    """
    command = [str(part) for part in argv]
    if log is None:
        done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, check=False)
        code, output, end = done.returncode, done.stdout, done.stdout + done.stderr
    else:
        path = LOGS / f"{log}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as sink:
            code = subprocess.run(
                command, stdout=sink, stderr=subprocess.STDOUT, cwd=cwd, env=env, check=False
            ).returncode
        output = end = tail(path)
    if code:
        raise ClusterError(f"{' '.join(command)[:200]}: exit code {code}\n{end[-4000:]}")
    return output


def wait_until(
    what: str, check: Callable[[], object], seconds: float, service: "Service | None" = None
) -> None:
    """Ask `check` until it is true.

    Raises:
        ClusterError: the time is up, or `service` ended meanwhile; the text holds the end of its log.
    """
    deadline = time.monotonic() + seconds
    while not check():
        dead = service is not None and not service.running()
        if dead or time.monotonic() > deadline:
            problem = f"{service.name} ended" if service and dead else f"not within {seconds:.0f} s"
            log = f"\n{tail(service.log)}" if service else ""
            raise ClusterError(f"{what}: {problem}{log}")
        time.sleep(0.1)


@dataclass(frozen=True)
class Service:
    """A long-running process in the cluster's network namespace."""

    name: str
    argv: tuple[str, ...]

    @property
    def log(self) -> Path:
        """What it prints."""
        return LOGS / f"{self.name}.log"

    @property
    def _file(self) -> Path:
        return STATE / "services" / f"{self.name}.json"

    def start(self) -> "Service":
        """Start it; its session is its own, so that Ctrl-C reaches the harness alone."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*IN_NETWORK, *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        record = {"argv": self.argv, "pid": process.pid, "began": _began(process.pid)}
        self._file.write_text(json.dumps(record))
        return self

    def stop(self, grace: float = 10) -> None:
        """End it and return when it is gone: SIGTERM first, SIGKILL after `grace` seconds."""
        for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 10)):
            if self.running():
                os.kill(self._pid(), number)
            deadline = time.monotonic() + patience
            while self.running() and time.monotonic() < deadline:
                time.sleep(0.02)
        self._file.unlink(missing_ok=True)

    def running(self) -> bool:
        """Whether it lives. A zombie does not, and neither does a stranger that got its number."""
        if not self._file.exists():
            return False
        record = json.loads(self._file.read_text())
        return record["began"] is not None and _began(record["pid"]) == record["began"]

    def _pid(self) -> int:
        return int(json.loads(self._file.read_text())["pid"])


def recorded() -> Iterator[Service]:
    """The services that a run left in the state folder, running or not."""
    for path in sorted((STATE / "services").glob("*.json")):
        yield Service(path.stem, tuple(json.loads(path.read_text())["argv"]))


def recorded_service(name: str) -> Service:
    """One of them by its name."""
    return next(service for service in recorded() if service.name == name)


def _began(pid: int) -> str | None:
    """When a living process began, in clock ticks since boot; None for a dead one and for a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]
