"""What the cluster's parts are called, where their files lie and how progress is told."""

import os
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]

CACHE = Path(os.environ.get("GANTRY_CACHE") or Path.home() / ".cache" / "gantry")
"""Kept between runs: binaries, images, containerd's unpacked layers, logs of the last run."""
NAME = os.environ.get("GANTRY_CLUSTER_NAME", "gantry-cluster")
"""A cluster's processes and files go by it; one beside the first needs another, and another GANTRY_CACHE."""
STATE = Path("/var/lib") / NAME
"""One run's files, where a later run finds them; short, as a socket's path has 107 characters at most."""
LOGS = CACHE / "logs"

CONTEXT = "gantry-test"
NODE = "gantry-node"
NODE_ADDRESS = "10.199.0.1"
POD_SUBNET = "10.244.0.0/24"
SERVICE_SUBNET = "10.96.0.0/16"
API_URL = f"https://{NODE_ADDRESS}:6443"
STORAGE_URL = f"http://{NODE_ADDRESS}:4443"

IMAGE = "localhost/gantry:test"
PAUSE_IMAGE = "localhost/pause:1"
BASE_IMAGE = "localhost/python-base:1"

_began = time.monotonic()


class ClusterError(Exception):
    """A step failed; the text says which, and holds the end of its log."""


def say(text: str) -> None:
    """Print one line of progress with the seconds since the command began."""
    print(f"[{time.monotonic() - _began:6.1f} s] {text}", flush=True)


def tail(path: Path, lines: int = 25) -> str:
    """The last lines of a log, empty when there is none."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
