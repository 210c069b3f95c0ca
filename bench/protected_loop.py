"""Contestant: the plain GAN's steps, alone or with all that protects a run at work beside them.

``python -m bench.protected_loop without|with FOLDER``. With: the chief's lease on a store, the watchdog
around every call, and the first process of a pod, which polls its trainer's output and beats to a peer.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from bench.contestant import serve
from bench.gantry_loop import Loop, build
from trainer.config import RunConfig, resolve
from trainer.environment.tf_config import Cluster
from trainer.run import ownership
from trainer.storage import open_store
from trainer.training import distribution
from trainer.training.abort import Abort
from trainer.training.watchdog import Watchdog


def main() -> None:
    """Build, protect if asked to, serve."""
    who, folder = sys.argv[1], Path(sys.argv[2])
    if who == "supervise":
        return supervise(folder)
    config = resolve("mlp", ("batch_size=64",))
    distribution.set_threads(2)
    strategy = distribution.connect(Cluster(), config.recovery.heartbeat_seconds)
    stepper, _, images = build(config, strategy)
    loop = Loop(config, stepper, images)
    loop(20)
    run = protected(loop, config, folder) if who == "with" else loop
    serve({"run": run})
    return None


def protected(loop: Loop, config: RunConfig, folder: Path) -> Callable[[int], None]:
    """The same loop with everything of a run's protection at work until this process ends."""
    abort = Abort()
    hold = ownership.take(open_store(str(folder / "protected")), config, "bench")
    hold.lease.when_lost(abort.lease_lost)
    watchdog = Watchdog(config.recovery.stall_seconds, abort.stalled)
    command = [sys.executable, "-m", "bench.protected_loop", "supervise", str(folder)]
    subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    every = config.metrics.every_steps

    def run(count: int) -> None:
        for start in range(0, count, every):
            watchdog.beat()
            loop(min(every, count - start))
            with watchdog.held():
                pass
        watchdog.stop()

    return run


def supervise(folder: Path) -> None:
    """A chief's pod and a peer with trainers that do nothing, until the contestant is gone."""
    from trainer.pod.indexed_job import Member
    from trainer.pod.log_uploader import LogCopy
    from trainer.pod.rendezvous import Caller, Host
    from trainer.pod.rendezvous.ports import free_port
    from trainer.pod.trainer_process import Child, Requests

    port, requests = free_port(), Requests()
    host = Host(Member("bench", "bench", 0, 2, port, 1, "bench-0"), port, 10)
    caller = Caller(Member("bench", "bench", 1, 2, port, 1, "bench-1"), 10, ("127.0.0.1", port))
    wait = threading.Event().wait
    threading.Thread(target=caller.gather, args=(60, print, wait), daemon=True).start()
    host.gather(60, print, wait)
    threading.Thread(
        target=lambda: (sys.stdin.read(), os.kill(os.getpid(), signal.SIGTERM)), daemon=True
    ).start()
    log = LogCopy(open_store(str(folder / "supervised")), 1, 0)
    Child("a trainer", log, requests, 5.0).run(["sleep", "3600"], os.environ, host.over)


if __name__ == "__main__":
    main()
