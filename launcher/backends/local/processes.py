"""Worker processes on one machine: their share of it, their addresses, and how they are started."""

import json
import os
import random
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from launcher.errors import SpecError
from trainer.environment import surroundings

# Below the ports that Linux (32768 and up) and macOS (49152 and up) give to outgoing connections, so that
# none is taken by accident in the seconds until TensorFlow listens on it.
_PORTS = range(20000, 32768)


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share_threads(workers: int, cores: int, threads: int | None = None) -> int:
    """Threads of each worker: what was asked for, else an even share of the cores, at least 1."""
    return threads or max(1, cores // workers)


def free_ports(count: int) -> list[int]:
    """Distinct loopback ports that nobody listens on; all are held open until the last one is found."""
    found: list[int] = []
    with ExitStack() as held:
        for port in random.sample(_PORTS, len(_PORTS)):
            if len(found) == count:
                return found
            listener = held.enter_context(socket.socket())
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
    raise SpecError(f"workers is {count}: expected at most as many as there are free ports ({len(found)})")


def tf_config(ports: Sequence[int], worker: int) -> str:
    """TF_CONFIG of one worker: the address of all, and which one it is; worker 0 is the chief.

    https://www.tensorflow.org/guide/distributed_training#TF_CONFIG
    """
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    return json.dumps({"cluster": cluster, "task": {"type": "worker", "index": worker}})


def worker_environment(base: Mapping[str, str], ports: Sequence[int], worker: int) -> dict[str, str]:
    """Environment of one worker; without ports it stands alone and must not see an inherited TF_CONFIG."""
    environment = {key: value for key, value in surroundings.environment(base).items() if key != "TF_CONFIG"}
    if ports:
        environment["TF_CONFIG"] = tf_config(ports, worker)
    environment["PYTHONUNBUFFERED"] = "1"  # a file is block-buffered otherwise, and its reader waits
    return environment


def spawn(
    command: Sequence[str], environment: Mapping[str, str], log: Path, lock: int
) -> subprocess.Popen[bytes]:
    """Start a process whose output goes to a file, out of reach of the terminal's Ctrl-C.

    It inherits the descriptor `lock`, and the run's lock with it.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[lock],
        )
