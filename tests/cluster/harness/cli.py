"""``python -m tests.cluster``: up, run, exec, load, kueue, kwok, clean.

up              start a cluster and keep it until Ctrl-C; leaves a kubectl to try things with
run -- COMMAND  start one, run the command inside it, remove it; the command's exit code
exec -- COMMAND run the command inside the one that `up` keeps
load            build the image anew and give it to the running cluster
kueue           compile Kueue, which its own test wants and a cluster without a way out cannot fetch
kwok            compile KWOK, which a benchmark wants
clean           remove everything the cache holds

A second cluster beside the first has another GANTRY_CLUSTER_NAME and another GANTRY_CACHE, which each of
these commands goes by.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from tests.cluster.harness import cluster, images
from tests.cluster.harness.access import command_environment
from tests.cluster.harness.binaries import ensure_kueue, ensure_kwok
from tests.cluster.harness.loading import load_images
from tests.cluster.harness.processes import IN_NETWORK
from tests.cluster.harness.settings import CACHE, LOGS, NAME, STATE, ClusterError, say

ENDINGS = (signal.SIGTERM, signal.SIGHUP)
LOCKS = Path("/run/lock")


def main(argv: Sequence[str]) -> int:
    """Run one verb; the exit code."""
    verbs = {
        "up": up,
        "run": run,
        "exec": execute,
        "load": load,
        "kueue": kueue,
        "kwok": kwok,
        "clean": clean,
    }
    verb, *rest = argv or [""]
    if verb not in verbs or (bool(rest) != (verb in ("run", "exec"))):
        print(__doc__, file=sys.stderr)
        return 2
    for number in ENDINGS:
        signal.signal(number, _interrupt)
    try:
        return verbs[verb](rest[1:] if rest[:1] == ["--"] else rest)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def up(_: Sequence[str]) -> int:
    """Start a cluster and wait for a signal."""
    with _cluster():
        say("try: python -m tests.cluster exec -- kubectl get pods -A   (or: -- bash); Ctrl-C removes all")
        signal.pause()
    return 0


def run(command: Sequence[str]) -> int:
    """Start a cluster, run a command in it, remove it; or run it on that of GANTRY_TEST_CONTEXT."""
    if context := os.environ.get("GANTRY_TEST_CONTEXT"):
        say(f"on the cluster of context {context}")
        return subprocess.run(command, check=False).returncode
    with _cluster():
        say(f"running {' '.join(command)}")
        return _call(command)


def execute(command: Sequence[str]) -> int:
    """Run a command in the cluster that another process keeps."""
    _need_running()
    return _call(command)


def load(_: Sequence[str]) -> int:
    """Bring the running cluster's image up to date; pods that start from now on take it."""
    _need_running()
    images.ensure_images()
    load_images()
    return 0


def kueue(_: Sequence[str]) -> int:
    """See to it that the cache has Kueue, unless the cluster is one of GANTRY_TEST_CONTEXT."""
    if context := os.environ.get("GANTRY_TEST_CONTEXT"):
        say(f"the cluster of context {context} is not given one")
        return 0
    say(f"{ensure_kueue()}")
    return 0


def kwok(_: Sequence[str]) -> int:
    """See to it that the cache has KWOK."""
    say(f"{ensure_kwok()}")
    return 0


def clean(_: Sequence[str]) -> int:
    """Remove binaries, images and layers."""
    with _lock():
        cluster.stop()
        shutil.rmtree(CACHE, ignore_errors=True)
    return 0


def _call(command: Sequence[str]) -> int:
    """Run it in the network namespace; Ctrl-C reaches it too, and it is given 30 s to end."""
    process = subprocess.Popen([*IN_NETWORK, *command], env=command_environment())
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
        raise


@contextmanager
def _cluster() -> Iterator[None]:
    """A cluster that is removed whatever happens; signals wait while it is."""
    with _lock():
        try:
            cluster.start()
            yield
        finally:
            for number in (*ENDINGS, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            cluster.stop()
            say(f"removed; its logs are in {LOGS}")


@contextmanager
def _lock() -> Iterator[None]:
    """One cluster of a name, and one of a cache: they would share processes or layers."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        for path in (CACHE.parent / f"{CACHE.name}.lock", LOCKS / f"{NAME}.lock"):
            _take(stack.enter_context(path.open("a+")))
        yield


def _take(file: TextIO) -> None:
    """Hold a file's lock and write our number there."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise ClusterError(
            f"process {file.read().strip()} keeps a cluster; "
            "use it with: python -m tests.cluster exec -- COMMAND; "
            "for a second, set both "
            f"GANTRY_CLUSTER_NAME and GANTRY_CACHE to others than {NAME} and {CACHE}"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()


def _need_running() -> None:
    if not (STATE / "services").exists():
        raise ClusterError(f"no cluster {NAME} is running; start one with: python -m tests.cluster up")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
