"""What a process can be doing when it is asked to end, and how it must end then.

A phase starts the real program, brings it there, asks, and says what was wrong afterwards. `HERE` is what
``make test`` goes through: of phases whose ways out differ one each; ``make test-ends`` goes through all.
"""

import json
import os
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.ends.process import Asked, blocks, catches, has_tensorflow, listens
from tests.support.flags import set_flags
from tests.support.proxy import Proxy
from tests.support.teams import PLAIN, free_ports
from tests.trainer.pods import arguments, environment
from trainer import config
from trainer.run import layout
from trainer.storage import Store, open_store

SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP")
ENDLESS = (*PLAIN, "steps=1000000")
RESTART = 42


@dataclass
class Stage:
    """Where a phase is played."""

    folder: Path
    root: str
    """A folder, or a bucket behind `proxy`."""
    number: str
    terminal: bool
    proxy: Proxy | None = None
    started: list[Asked] = field(default_factory=list)

    @property
    def store(self) -> Store:
        """The run's folder."""
        return open_store(f"{self.root}/e/one")

    def start(self, *argv, env=None) -> Asked:
        """Start a program of ours."""
        process = Asked(*argv, env=env, terminal=self.terminal)
        self.started.append(process)
        return process

    def train(self, *options, sets=ENDLESS, env=None) -> Asked:
        """Start a trainer by hand."""
        told = ["--preset", "mlp", "--root", self.root, "--experiment", "e", "--run", "one", "--threads", "1"]
        return self.start("-m", "trainer", "train", *told, *options, *set_flags(sets), env=env)

    def says(self, state: str) -> bool:
        """Whether status.json has this state."""
        found = self.store
        return bool(found.stat("status.json")) and json.loads(found.read("status.json"))["state"] == state

    def launcher(self, *words) -> Asked:
        """Start the launcher."""
        return self.start("-m", "launcher", *words)

    def local(self) -> dict:
        """The launcher's record of the run, empty while there is none."""
        path = Path(self.root) / "e" / "one" / "local.json"
        return json.loads(path.read_text()) if path.exists() else {}


@dataclass(frozen=True)
class Phase:
    """One row of the table."""

    who: str
    doing: str
    play: Callable[[Stage], tuple[int, str]]
    """Brings a process there and asks it to end: its exit code and what it said."""
    code: int | None = RESTART
    """How it must end; None for a shell's, 128 and the signal."""
    line: str = ""
    """What must be among what it says, SIGNAL for the signal's name."""
    bucket: bool = False
    here: tuple[str, ...] = ()
    """Signals that ``make test`` tries, with ``tty`` after those of a terminal."""

    @property
    def name(self) -> str:
        return f"{self.who}: {self.doing}"

    def check(self, number: str, code: int, output: str) -> None:
        """Fail unless it ended as it must."""
        expected = 128 + signal.Signals[number] if self.code is None else self.code
        assert code == expected, f"exit code {code}, expected {expected}:\n{output}"
        wanted = self.line.replace("SIGNAL", number)
        assert re.search(wanted, output), f"not said: {wanted}\n{output}"
        assert "Traceback" not in output and "Error" not in output, output


def _begins(stage: Stage) -> tuple[int, str]:
    process = stage.train()
    process.until(lambda: blocks(process.pid))
    return _end(stage, process)


def _imports(stage: Stage) -> tuple[int, str]:
    process = stage.train()
    process.until(lambda: has_tensorflow(process.pid))
    return _end(stage, process)


def _waits(index: int) -> Callable[[Stage], tuple[int, str]]:
    def play(stage: Stage) -> tuple[int, str]:
        ports = free_ports(2)
        addresses = [f"127.0.0.1:{port}" for port in ports]
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        process = stage.train(env={"TF_CONFIG": json.dumps(task)})
        process.until(lambda: listens(ports[index]))
        return _end(stage, process)

    return play


def _is_held(method: str, contains: str, sets=ENDLESS) -> Callable[[Stage], tuple[int, str]]:
    """A trainer that storage does not answer; the request goes on when the trainer was asked."""

    def play(stage: Stage) -> tuple[int, str]:
        held = stage.proxy.hold(method, contains)
        process = stage.train(sets=sets)
        process.until(held.reached.is_set)
        process.ask(stage.number)
        held.release()
        return process.leave(), process.output

    return play


def _looks(stage: Stage) -> tuple[int, str]:
    held = stage.proxy.hold("GET", "run.json")
    process = stage.train()
    process.until(held.reached.is_set)
    return _end(stage, process)


def _traces(stage: Stage) -> tuple[int, str]:
    sets = [each for each in ENDLESS if not each.startswith("xla")]
    process = stage.train(sets=(*sets, "xla=auto"))
    process.until(lambda: stage.store.stat("status.json"))
    ended = _end(stage, process)
    assert stage.says("stopped"), stage.store.read("status.json")
    return ended


def _trains(*sets: str) -> Callable[[Stage], tuple[int, str]]:
    def play(stage: Stage) -> tuple[int, str]:
        process = stage.train(sets=(*ENDLESS, *sets))
        process.until(lambda: "[D loss" in process.output)
        ended = _end(stage, process)
        assert stage.says("stopped"), stage.store.read("status.json")
        return ended

    return play


def _samples(stage: Stage) -> tuple[int, str]:
    run = {"format": layout.FORMAT, "config": config.resolve("mlp").model_dump(mode="json")}
    open_store(stage.root).write(layout.RUN, json.dumps(run).encode())
    process = stage.start("-m", "trainer", "sample", "--run-dir", stage.root, "--out", "grid.png")
    process.until(lambda: has_tensorflow(process.pid))
    return _end(stage, process)


def _prepares(stage: Stage) -> tuple[int, str]:
    scratch, target = stage.folder / "tmp", stage.folder / "shards"
    scratch.mkdir()
    words = ("-m", "trainer", "data", "prepare", "digits", f"tfrecord:{target}", "--shard-images", "256")
    process = stage.start(*words, env={"TMPDIR": str(scratch)})
    process.until(lambda: [*target.glob("*.tfrecord")])
    ended = _end(stage, process)
    assert not (target / "index.json").exists()
    assert not [*scratch.glob("gantry-*")], "what was begun stays behind"
    return ended


def _pod(ready: Callable[[Stage, Asked], bool], peers: bool = False, hold: str = "") -> Callable[..., object]:
    def play(stage: Stage) -> tuple[int, str]:
        given = environment(0, 2 if peers else 1, GANTRY_TERMINATION_LOG=stage.folder / "termination")
        if peers:
            addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 0}}
            given["TF_CONFIG"] = json.dumps(task)
        if hold:
            stage.proxy.hold("GET", hold)
        process = stage.start("-m", "trainer", *arguments(stage.root, "one", ENDLESS), env=given)
        process.until(lambda: ready(stage, process))
        return _end(stage, process)

    return play


def _child_imports(stage: Stage, process: Asked) -> bool:
    return any(has_tensorflow(child.pid) for child in psutil.Process(process.pid).children())


def _nameless(stage: Stage) -> tuple[int, str]:
    given = environment(0, 2, GANTRY_TERMINATION_LOG=stage.folder / "termination")
    process = stage.start("-m", "trainer", *arguments(stage.root, "one", ENDLESS), env=given)
    process.until(lambda: "worker 0 of 2" in process.output)
    return _end(stage, process)


def _launcher_begins(stage: Stage) -> tuple[int, str]:
    run = Path(stage.root) / "gan" / "one"  # of nobody: it is watched for 12 s, so that no signal is too late
    run.mkdir(parents=True)
    (run / "status.json").write_text('{"state": "starting"}')
    process = stage.launcher("status", "one", "--root", stage.root)
    process.until(lambda: catches(process.pid))
    return _end(stage, process)


def _submit(stage: Stage) -> Asked:
    words = ("submit", "--preset", "mlp", "--root", stage.root, "--experiment", "e", "--name", "one")
    return stage.launcher(*words, *set_flags(ENDLESS))


def _foreground(stage: Stage) -> tuple[int, str]:
    process = _submit(stage)
    process.until(lambda: "[D loss" in process.output)
    process.ask(stage.number)
    code = process.leave()
    _await_end(process, stage)
    assert stage.says("stopped")
    # A terminal that closes is no place to wait in, hence 129 at once.
    return (RESTART if stage.number == "SIGHUP" and code == 129 else code), process.output


def _follows(stage: Stage) -> tuple[int, str]:
    run = stage.train()
    run.until(lambda: "[D loss" in run.output)
    process = stage.launcher("watch" if stage.terminal else "wait", "e/one", "--root", stage.root)
    process.until(lambda: psutil.Process(process.pid).cpu_times().user > 0.5)
    ended = _end(stage, process)
    assert run.process.poll() is None, "the run must go on"
    return ended


def _supervisor(stage: Stage) -> tuple[int, str]:
    process = _submit(stage)
    process.until(lambda: "[D loss" in process.output)
    os.kill(stage.local()["supervisor"]["pid"], signal.Signals[stage.number])
    code = process.leave()
    assert stage.says("stopped") and stage.local()["cancelled"]
    return code, process.output


def _await_end(process: Asked, stage: Stage) -> None:
    waiting = Asked("-m", "launcher", "wait", "e/one", "--root", stage.root)
    waiting.leave()
    waiting.close()


def _end(stage: Stage, process: Asked) -> tuple[int, str]:
    process.ask(stage.number)
    return process.leave(), process.output


_WHILE = r"stopped \(SIGNAL\) while {}; start again to go on"
_GRIDS = ("samples.every_steps=1", "samples.rows=20", "samples.columns=20")  # which is all it does then
_SAVED = r"stopped after step \d+; the checkpoint is saved"
PHASES = (
    Phase("trainer", "its first line", _begins, line=r"stopped \(SIGNAL\)", here=("SIGHUP",)),
    Phase("trainer", "importing", _imports, line=_WHILE.format("TensorFlow was imported"), here=("SIGTERM",)),
    Phase(
        "trainer",
        "worker 0 waiting for its peers",
        _waits(0),
        line=_WHILE.format("it waited for the other workers"),
        here=("SIGINT tty",),
    ),
    Phase(
        "trainer",
        "worker 1 waiting for its peers",
        _waits(1),
        line=_WHILE.format("it waited for the other workers"),
    ),
    Phase(
        "trainer",
        "waiting for storage at its start",
        _looks,
        line=_WHILE.format("it looked at the run and its data"),
        bucket=True,
    ),
    Phase(
        "trainer",
        "tracing",
        _traces,
        line=_WHILE.format("the first steps were traced"),
        here=("SIGTERM",),
    ),
    Phase("trainer", "training", _trains(), line=_SAVED),
    Phase("trainer", "drawing grids", _trains(*_GRIDS), line=_SAVED),
    Phase(
        "trainer",
        "uploading a checkpoint",
        _is_held("POST", "checkpoints/20/state.data"),
        line=_SAVED,
        bucket=True,
    ),
    Phase(
        "trainer",
        "writing its result",
        _is_held("POST", "export/generator.keras", PLAIN),
        code=0,
        line="finished 60 steps",
        bucket=True,
    ),
    Phase("trainer sample", "importing", _samples, code=None, here=("SIGINT",)),
    Phase("trainer data prepare", "writing shards", _prepares, code=None, here=("SIGTERM",)),
    Phase("pod", "its first line", _pod(lambda _, process: blocks(process.pid)), line=r"stopped \(SIGNAL\)"),
    Phase("pod", "waiting for its peers' names", _nameless, line=r"stop(ped)? \(SIGNAL\)", here=("SIGTERM",)),
    Phase(
        "pod",
        "waiting in the meeting",
        _pod(lambda _, process: "worker 0 of 2" in process.output, peers=True),
    ),
    Phase(
        "pod",
        "waiting for storage",
        _pod(lambda stage, _: stage.proxy.seen("GET", "result.json"), hold="result.json"),
        line=r"stopped \(SIGNAL\) while storage did not answer",
        bucket=True,
        here=("SIGTERM",),
    ),
    Phase(
        "pod", "its trainer importing", _pod(_child_imports), line=_WHILE.format("TensorFlow was imported")
    ),
    Phase("launcher", "its first line", _launcher_begins, code=None, here=("SIGINT", "SIGTERM")),
    Phase("launcher", "a run in the foreground", _foreground, here=("SIGHUP tty",)),
    Phase("launcher", "looking at a run", _follows, code=None),
    Phase("supervisor", "training", _supervisor),
)
"""Every phase; with each signal, in a terminal and without one, they are the matrix."""
