"""Two clusters of the tests on one machine: the second is refused until both its variables say others."""

import fcntl
import os
import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def held(path):
    """Its lock is another process' for all that `up` can tell."""
    with path.open("a+") as file:
        file.write("4711")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize("same", ["cache", "name"])
def test_a_cluster_beside_another_is_told_the_variables_that_allow_it(tmp_path, same):
    cache, name = tmp_path / "cache", f"test-{uuid.uuid4().hex[:8]}"
    lock = {"cache": tmp_path / "cache.lock", "name": Path("/run/lock") / f"{name}.lock"}[same]
    environment = os.environ | {"GANTRY_CACHE": str(cache), "GANTRY_CLUSTER_NAME": name}
    with held(lock):
        done = subprocess.run(
            [sys.executable, "-m", "tests.cluster", "up"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    (Path("/run/lock") / f"{name}.lock").unlink(missing_ok=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: process 4711 keeps a cluster; use it with: python -m tests.cluster exec -- COMMAND; for a "
        f"second, set both GANTRY_CLUSTER_NAME and GANTRY_CACHE to others than {name} and {cache}\n"
    )
