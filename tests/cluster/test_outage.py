"""An API server that goes away for a minute under commands that are at work."""

import json

import pytest

from tests.cluster.flags import on
from tests.cluster.waiting import wait_until


class Command:
    """A command at work whose output can be looked at meanwhile, which a pipe would not let us."""

    def __init__(self, launcher, folder, *words):
        self.path = folder / f"{words[0]}.out"
        with self.path.open("wb") as output:
            self.process = launcher.start(*words, stdout=output)

    @property
    def output(self):
        return self.path.read_text()


@pytest.mark.alone
def test_commands_at_work_survive(launcher, namespace, bucket, own_cluster, outage, tmp_path):
    flags = ["--preset", "mlp", "--threads", "1", "--set", "batch_size=12", "--set", "xla=off"]
    flags += [*on(own_cluster, namespace, bucket), "--set", "steps=1000000"]
    flags += ["--set", "metrics.print_every_steps=50"]
    assert launcher("submit", *flags, "--name", "through").returncode == 0
    where = ["through", "--root", bucket]
    logs = Command(launcher, tmp_path, "logs", *where, "-f")
    watch = Command(launcher, tmp_path, "status", *where, "--watch")
    wait = Command(launcher, tmp_path, "wait", *where)
    wait_until(lambda: "worker-0 | 50/" in logs.output, "a line of training")
    wait_until(lambda: "step" in watch.output, "a status with a step")

    with outage():
        # First contact with a server that is away is an error, and nothing was begun.
        refused = launcher("submit", *flags, "--name", "meanwhile")
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        assert refused.stderr.startswith("error: no cluster reachable: context 'gantry-test' at https://")
        # What the run's folder knows is told all the same.
        told = json.loads(launcher("status", *where, "-o", "json").stdout)
        assert told["step"] > 0
        assert "no cluster reachable" in told["explanation"]
    before = logs.output.count("\n")
    wait_until(lambda: logs.output.count("\n") > before + 2, "lines after the outage")
    assert launcher("cancel", *where).returncode == 0
    for command, code in ((logs, 0), (watch, 0), (wait, 1)):
        _, err = command.process.communicate(timeout=240)
        assert command.process.returncode == code, err
        assert err.count("does not answer") <= 1, err
    assert "run 'through' is stopped" in wait.output
    assert "gan/through: stopped" in watch.output
    # Every line once and in order, as the pod wrote it and the bucket keeps it.
    assert launcher("delete", *where).returncode == 0
    assert logs.output == launcher("logs", *where).stdout
    assert launcher("status", "meanwhile", "--root", bucket).returncode == 3
