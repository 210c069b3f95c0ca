"""An API server that goes away for 20 seconds under commands that are at work."""

import json
import threading

import pytest

from tests.cluster.flags import on
from tests.cluster.waiting import wait_until

AWAY_SECONDS = 20


@pytest.fixture
def api_away(own_cluster):
    """A function that takes the API server away for a while, in the background."""
    threads = []

    def begin():
        own_cluster.api_server.stop()
        timer = threading.Timer(AWAY_SECONDS, own_cluster.api_server.start)
        timer.start()
        threads.append(timer)

    yield begin
    for timer in threads:
        timer.join()


def test_commands_at_work_survive(launcher, namespace, bucket, cluster, api_away):
    flags = ["--preset", "mlp", "--threads", "1", "--set", "batch_size=12", "--set", "xla=off"]
    flags += on(cluster, namespace, bucket)
    flags += ["--set", "metrics.print_every_steps=100", "--set", "steps=8000"]
    assert launcher("submit", *flags, "--name", "through").returncode == 0

    def status():
        return json.loads(launcher("status", "through", "--root", bucket, "-o", "json").stdout)

    wait_until(lambda: (status()["step"] or 0) > 0, "a first step")
    logs = launcher.start("logs", "through", "--root", bucket, "-f")
    watching = launcher.start("status", "through", "--root", bucket, "--watch")
    waiting = launcher.start("wait", "through", "--root", bucket, "--timeout", "5m")
    seen = [logs.stdout.readline()]  # they have all had their first answer when the server goes
    watched = [watching.stdout.readline()]
    wait_until(lambda: waiting.poll() is None, "a command that waits", 5)
    api_away()
    submitting = launcher.start("submit", *flags, "--name", "meanwhile")
    out, err = waiting.communicate(timeout=300)
    assert waiting.returncode == 0, err
    seen += logs.communicate(timeout=60)[0].splitlines(keepends=True)
    assert logs.returncode == 0
    watched += watching.communicate(timeout=60)[0].splitlines(keepends=True)
    assert watching.returncode == 0
    assert any("finished" in line for line in watched)
    stored = launcher("logs", "through", "--root", bucket).stdout.splitlines(keepends=True)
    assert seen == stored  # every line once, in order
    # First contact with a server that is away is an error: nothing was begun.
    _, refusal = submitting.communicate(timeout=60)
    assert submitting.returncode == 2
    assert refusal.startswith("error: no cluster reachable")
