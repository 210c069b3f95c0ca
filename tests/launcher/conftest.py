"""A run's folder, workers that stand in for the trainer, and a hand that ends what a test left alive."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from launcher.backends.local.living import is_alive, send
from launcher.backends.local.record import read_record
from launcher.runs import verbs
from launcher.spec.runspec import make_spec
from tests.launcher.waiting import wait_until
from trainer.config import resolve
from trainer.storage import LocalStore

FAKE = Path(__file__).with_name("fake_trainer.py")


@pytest.fixture
def root(tmp_path):
    """A root for runs; whatever a test left alive in it is killed."""
    folder = tmp_path / "runs"
    yield str(folder)
    for path in folder.glob("*/*/local.json"):
        # The supervisor ends its workers itself: killed, it might leave one that it had not written down yet.
        supervisor = read_record(LocalStore(path.parent)).supervisor
        send(supervisor, signal.SIGQUIT)
        wait_until(lambda: not is_alive(supervisor), "the end of a supervisor")  # noqa: B023
        for process in read_record(LocalStore(path.parent)).processes:
            send(process, signal.SIGKILL)


@pytest.fixture
def fake(monkeypatch):
    """From what each worker shall do to a command for `submit` and `resume`."""
    monkeypatch.setenv("FAKE_CONFIG", json.dumps(resolve("mlp").model_dump(mode="json")))

    def command(*plan):
        what = json.dumps({str(worker): each for worker, each in enumerate(plan)})
        return lambda spec, threads: [sys.executable, str(FAKE), str(Path(spec.path.url).absolute()), what]

    return command


@pytest.fixture
def submit(root, fake):
    """Start a fake run with one worker for each entry of its plan."""

    def start(*plan, name="one", grace_seconds=60.0):
        spec = make_spec("mlp", name=name, root=root, workers=len(plan))
        return verbs.submit(spec, command=fake(*plan), grace_seconds=grace_seconds)

    return start


@pytest.fixture
def launcher():
    """Run the command line in a process of its own."""

    def call(*arguments, **options):
        return subprocess.run(
            [sys.executable, "-m", "launcher", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            **{"env": {**os.environ, "COLUMNS": "200"}, **options},
        )

    return call


@pytest.fixture
def past_run(root):
    """Write the folder of a run that some trainer finished without this launcher."""

    def write(name="past", experiment="gan", state="finished", updated=None, files=()):
        folder = Path(root) / experiment / name
        folder.mkdir(parents=True)
        config = resolve("mlp").model_dump(mode="json")
        begun = {"format": 1, "preset": "mlp", "overrides": [], "config": config, "world_size": 1}
        (folder / "run.json").write_text(json.dumps(begun))
        status = {
            "state": state,
            "step": 20,
            "steps": 10000,
            "images_per_second": 123.4,
            "eta_seconds": 9.0,
            "updated": updated or datetime.now(UTC).isoformat(),
            "metrics": {"d_loss": 0.5},
        }
        (folder / "status.json").write_text(json.dumps(status))
        for file in files:
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.encode() * 10)
        return folder

    return write


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A working folder where no setting, no root and no kubeconfig of this machine counts."""
    folder = tmp_path / "desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.delenv("GANTRY_ROOT", raising=False)
    return folder
