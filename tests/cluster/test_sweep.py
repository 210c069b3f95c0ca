"""A sweep on a real cluster: left with Ctrl-C while one run trains, and done by the same command."""

import json
import signal
from pathlib import Path

from tests.cluster.flags import on
from tests.support.flags import set_flags
from tests.support.teams import PLAIN

SWEEP = "name: s\nbase: {preset: mlp, threads: 1}\ngrid: {optimizer.beta1: [0.4, 0.5]}\n"


def test_a_sweep_is_left_and_gone_on_with(launcher, kubectl, namespace, bucket, cluster, tmp_path):
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    command = ["sweep", "-f", "sweep.yaml", *set_flags(PLAIN), *on(cluster, namespace, bucket)]
    first = launcher.start(*command)
    begun = lambda: first.poll() is not None or "s-1" in kubectl("get", "jobs", "-o=name").stdout  # noqa: E731
    kubectl.wait_for("the first run", begun)
    assert first.poll() is None, first.stderr.read()
    kubectl.wait_for("its release", lambda: kubectl.get("job", "s-1")["spec"]["suspend"] is False)
    first.send_signal(signal.SIGINT)
    _, told = first.communicate(timeout=240)
    assert first.returncode == 42, told
    assert "s-1 goes on" in told and "go on with the sweep: launcher sweep -f sweep.yaml" in told
    assert kubectl("get", "jobs", "-o=name").stdout.split() == ["job.batch/s-1"]

    done = launcher(*command, "--max-parallel", "2", "--sort", "d_loss", "-o", "json", timeout=600)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert {row["run"]: row["state"] for row in rows} == {"s-1": "finished", "s-2": "finished"}
    assert [row["metrics"]["d_loss"] for row in rows] == sorted(row["metrics"]["d_loss"] for row in rows)
    assert "s-2 started" in done.stderr and "s-1 started" not in done.stderr
    assert Path(tmp_path / "runs").exists() is False
