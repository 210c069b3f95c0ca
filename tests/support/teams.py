"""Real trainer processes: one alone or several under TF_CONFIG, to be killed and started again."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.support.flags import set_flags
from tests.support.metrics import read_lines, without_timing
from trainer.environment import surroundings
from trainer.run import layout
from trainer.run.best import read as read_best
from trainer.storage import Store

DEADLINE_SECONDS = 150.0  # for anything a test waits for: a start takes about 10 s on two busy cores

# Short, with everything that a run does happening several times. 66 divides by 1, 2 and 3.
PLAIN = (
    "steps=60",
    "batch_size=66",
    # A seed whose first steps meet no activation within rounding of LeakyReLU's kink: where one does (about
    # every second seed), runs with other slices of the batch part from each other by 1e-3 within 20 steps.
    "seed=2",
    "checkpoints.every_steps=20",
    "samples.every_steps=20",
    "metrics.every_steps=1",
    "metrics.print_every_steps=20",
    "xla=off",  # its compiler takes 4 s of a start; one test goes without this
)
# The same with smaller networks: a step takes 12 ms of a core instead of 30. The weights and slots are still
# above 8 MiB, so that checkpoints go up to a bucket in resumable sessions, as a real run's do.
SMALL = (*PLAIN, "network.generator_units=[512]", "network.discriminator_units=[512]")
_DRAWS = random.SystemRandom()  # Hypothesis seeds the common one, in all processes alike
WILD = ("optimizer.learning_rate=1", "optimizer.beta2=0", "optimizer.epsilon=1e-30", "steps=60")
"""With these the plain GAN diverges."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different.

    They lie below those that the kernel gives to connections (from 32768 on), one of which somebody may have
    when a trainer comes to listen, seconds after we looked.
    """
    found: set[int] = set()
    while len(found) < count:
        port = _DRAWS.randrange(10_000, 30_000)
        with suppress(OSError), socket.create_server(("", port)):
            found.add(port)
    return [*found]


def pause(asking: float) -> None:
    """Pause before a condition is asked again, whose asking took so many seconds of processor time.

    Files are looked at 100 times a second: 500 times took a tenth of a core from what is waited for, and of a
    bucket it would be all of it.
    """
    time.sleep(max(0.01, 4 * asking))


class Team:
    """The worker processes of one attempt at a run."""

    def __init__(
        self,
        root: str,
        run: str,
        logs: Path,
        *,
        workers: int = 1,
        sets=SMALL,
        preset="mlp",
        options=(),
        env=None,
    ) -> None:
        addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
        logs.mkdir(parents=True, exist_ok=True)
        self.logs = [logs / f"{run}-{time.monotonic_ns()}-{index}.log" for index in range(workers)]
        command = [sys.executable, "-m", "trainer", "train", "--preset", preset, "--root", root]
        command += ["--experiment", "e", "--run", run, "--threads", "1", *options, *set_flags(sets)]
        self.processes = []
        for index, log in enumerate(self.logs):
            variables = surroundings.environment(os.environ) | (env or {})
            if workers > 1:
                task = {"type": "worker", "index": index}
                variables["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
            with log.open("wb") as output:
                self.processes.append(
                    subprocess.Popen(
                        command, env=variables, stdout=output, stderr=output, start_new_session=True
                    )
                )

    def __enter__(self) -> "Team":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def wait(self) -> list[int]:
        """Exit codes of all workers, negative for a signal."""
        return [process.wait(DEADLINE_SECONDS) for process in self.processes]

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for something that the run does; fails when all workers end before."""
        end = time.monotonic() + DEADLINE_SECONDS
        while (before := time.thread_time()) and not condition():
            alive = any(process.poll() is None for process in self.processes)
            assert alive, f"the run ended too early:\n{self.log()}"
            assert time.monotonic() < end, f"waited too long:\n{self.log()}"
            pause(time.thread_time() - before)

    def kill(self, *workers: int) -> None:
        """SIGKILL the workers named, or all, and wait until they are gone."""
        chosen = [self.processes[index] for index in workers] if workers else self.processes
        for process in chosen:
            process.kill()
        for process in chosen:
            process.wait(DEADLINE_SECONDS)

    def ask_to_stop(self, *workers: int) -> None:
        """SIGTERM the workers named, or all."""
        for index in workers or range(len(self.processes)):
            self.processes[index].send_signal(signal.SIGTERM)

    def log(self, worker: int | None = None) -> str:
        """What a worker printed, or all of them."""
        logs = self.logs if worker is None else [self.logs[worker]]
        return "\n".join(log.read_text(errors="replace") for log in logs)


def train(root: str, run: str, logs: Path, **options) -> Team:
    """Run a team to its end; fails unless every worker leaves with 0."""
    with Team(root, run, logs, **options) as team:
        codes = team.wait()
        assert codes == [0] * len(codes), f"exit codes {codes}:\n{team.log()}"
    return team


def saved(store: Store) -> int:
    """Step of the newest whole checkpoint, 0 while there is none; an older one may be pruned already."""
    found = [stat.name for stat in store.list("checkpoints/") if layout.is_complete(stat.name, stat.size)]
    return max((layout.checkpoint_step(name) or 0 for name in found), default=0)


def outcome(store: Store, step: int) -> dict[str, object]:
    """Everything of a run that is a function of its configuration: the bits that must not change."""
    lines = [without_timing(line) for line in read_lines(store)]
    found: dict[str, object] = {"metrics": lines}
    for stat in store.list(f"checkpoints/{step}/"):
        found[stat.name] = store.read(stat.name)  # weights and optimizer slots, and their sums
    for stat in store.list("samples/"):
        found[stat.name] = store.read(stat.name)
    if best := read_best(store):
        found["best"] = {name: best[name] for name in ("step", "value", "reported")}
    assert len(lines) == step
    assert f"checkpoints/{step}/manifest.json" in found
    assert f"samples/{step}.png" in found
    return found
