"""Runs in a queue of Kueue itself: waiting, admitted, evicted and let in again, cancelled, resumed, fired."""

import json
from pathlib import Path

import pytest

from tests.cluster.flags import on
from tests.cluster.kueue import kueue, queue
from tests.cluster.schedules import NEVER
from tests.cluster.test_fixes import desk, fixing
from tests.cluster.waiting import wait_until
from tests.support.flags import set_flags
from tests.support.metrics import read_lines, without_timing
from tests.support.teams import PLAIN
from trainer.run.layout import is_complete
from trainer.storage import open_store

__all__ = ["desk", "fixing"]
ROLE = Path(__file__).parents[2] / "docs/launcher-role.yaml"
EVERY = 50
KEPT = [f"checkpoints.every_steps={EVERY}", f"checkpoints.keep_every={EVERY}", f"samples.every_steps={EVERY}"]
SETS = set_flags([*PLAIN, *KEPT, "steps=100000"])  # no run ends before it is made to
RUN = ["--preset", "mlp", "--workers", "1", "--threads", "1", "--memory", "1Gi", *SETS]


class Queued:
    """Runs in the queue 'research', looked at by a user with the documented Role alone."""

    def __init__(self, launcher, cluster, namespace, bucket, kubectl):
        self._bucket, self._kubectl = bucket, kubectl
        self._launcher, self._flags = launcher, [*on(cluster, namespace, bucket), "--queue", "research"]
        self._where = ["--context", cluster.context, "-n", namespace, "--root", bucket]
        self._user = {"KUBECONFIG": cluster.user_kubeconfig("limited")}

    def __call__(self, command, *words):
        done = self._launcher(command, *words, *self._where, env=self._user)
        assert done.returncode in (0, 1), done.stderr
        return done

    def submit(self, name, *sets):
        words = [*RUN, *set_flags(sets), "--name", name, *self._flags]
        self._launcher("submit", *words, env=self._user, check=True)

    def status(self, name):
        return json.loads(self("status", name, "-o", "json").stdout)

    def ends(self, name):
        done = self("wait", name, "--timeout", "10m")
        assert done.returncode == 0, done.stdout + done.stderr

    def in_turn(self, *names):
        """The names in the order in which the queue lets them in, each once it is; it must stop then."""
        left = list(names)
        while left:
            name = wait_until(lambda: next(filter(self.is_admitted, left), None), f"one of {left}")
            left.remove(name)
            yield name

    def is_admitted(self, name):
        return not self._kubectl.get("job", name)["spec"]["suspend"]

    def store(self, name):
        return open_store(f"{self._bucket}/gan/{name}")

    def saves(self, name, step):
        """Wait for the checkpoint of a step."""
        manifest = f"checkpoints/{step}/manifest.json"

        def is_there():
            found = self.store(name).stat(manifest)
            return found and is_complete(manifest, found.size)

        wait_until(is_there, f"{name} at step {step}")

    def doctor(self):
        flags = [*self._flags, "--memory", "1Gi"]
        told = self._launcher("doctor", *flags, "-o", "json", env=self._user)
        return next(each for each in json.loads(told.stdout)["checks"] if each["check"] == "kueue")

    def explained(self, name, *words):
        """Wait until the sentence has these words; the whole finding."""
        last = []

        def told():
            last[:] = [json.loads(self("explain", name, "-o", "json").stdout)]
            return last[0]["cause"] == "queued" and all(word in last[0]["sentence"] for word in words)

        try:
            wait_until(told, f"{name}: {words}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {last}") from None
        return last[0]


@pytest.mark.prints
def test_runs_in_a_queue(launcher, cron, own_cluster, namespace, bucket, kubectl, fixing, tmp_path):
    kubectl("apply", "-f", str(ROLE))
    kubectl("create", "rolebinding", "it", "--role=gantry-launcher", "--user=limited")
    queued = Queued(launcher, own_cluster, namespace, bucket, kubectl)
    queued.submit("first")
    found = queued.explained("first", "queue 'research'", "has no Kueue")
    assert found["fix"].startswith("launcher cancel gan/first")
    assert "not installed" in queued.doctor()["text"]

    (tmp_path / "kueue").mkdir()
    with kueue(own_cluster, namespace, tmp_path / "kueue"):
        found = queued.explained("first", "queue 'research'", "LocalQueue research doesn't exist")
        assert any("place in the queue" in each for each in found["unasked"])  # so said Kueue's other server
        assert "no LocalQueue 'research'" in queued.doctor()["text"]
        kubectl.apply(*queue("research", cpu="100m", memory="1Gi"))  # for one run of one worker
        _begin_in_turn(queued)
        commands = fixing("second", "queued")
        assert "QuotaReserved" in fixing.run(commands).stdout
        fixing.tell(commands, "it shows what the queue has no room for")
        _is_cancelled_and_resumed(queued, kubectl)
        _is_evicted_and_let_in_again(queued, kubectl, launcher, bucket)
        queued.ends("third")
        _is_queued_as_a_firing_too(queued, cron)


def _begin_in_turn(queued):
    """The first begins, the second waits for its room, and is told its place."""
    assert queued.doctor()["level"] == "ok"
    wait_until(lambda: queued.is_admitted("first"), "the first run's admission")
    told = queued("diff", "first")
    assert told.returncode == 0, told.stdout
    queued.submit("second")
    found = queued.explained("second", "queue 'research'", "at position 1", "quota")
    assert any(each["object"].startswith("Workload/") for each in found["evidence"])
    assert "describe workload" in found["fix"]
    queued.submit("third", "steps=20")
    queued.explained("third", "at position 2")
    assert queued.status("second")["state"] == "queued"


def _is_cancelled_and_resumed(queued, kubectl):
    """A queue would let it in again, so its Job is gone; resumed it has a new one, which waits again."""
    told = queued("cancel", "third").stdout
    assert told.startswith("run 'third' is stopped: nothing is saved; go on with `launcher resume gan/third")
    assert "third" not in kubectl("get", "jobs", "-o=name").stdout
    assert json.loads(queued("explain", "third", "-o", "json").stdout)["cause"] == "cancelled"
    queued("resume", "third")
    assert queued.status("third")["state"] == "queued"


def _is_evicted_and_let_in_again(queued, kubectl, launcher, bucket):
    """Its worker saves and leaves, it waits again, and goes on with the bits of one that was let alone."""
    queued.saves("first", EVERY)
    following = launcher.start("logs", "first", "--root", bucket, "-f")
    hold = '{"spec":{"stopPolicy":"%s"}}'
    kubectl("patch", "clusterqueue", "research", "--type=merge", "-p", hold % "HoldAndDrain")
    wait_until(lambda: queued.status("first")["state"] == "queued", "its eviction")
    compared = (queued.status("first")["checkpoint_step"] // EVERY + 1) * EVERY
    queued.explained("first", "queue 'research'")
    kubectl("patch", "clusterqueue", "research", "--type=merge", "-p", hold % "None")

    for name in queued.in_turn("first", "second"):
        queued.saves(name, compared)
        assert queued("cancel", name).returncode == 0
    assert _bits(queued.store("first"), compared) == _bits(queued.store("second"), compared)
    out, err = following.communicate(timeout=120)
    assert out.count("worker-0 | pod first-0-") == 2, err
    assert sorted(queued("logs", "first").stdout.splitlines()) == sorted(out.splitlines())


def _bits(store, step):
    """Metrics up to a step, and its checkpoint and grid."""
    lines = [line for line in read_lines(store) if line["step"] <= step]
    assert len(lines) == step
    names = [stat.name for stat in store.list(f"checkpoints/{step}/")]
    assert f"checkpoints/{step}/manifest.json" in names
    found = {name: store.read(name) for name in [*names, f"samples/{step}.png"]}
    return found | {"metrics": [without_timing(line) for line in lines]}


def _is_queued_as_a_firing_too(queued, cron):
    """A firing's Job waits as well, here for a moment, and its schedule's history has it."""
    cron.create("weekly", NEVER, "--workers", "1", "--queue", "research")
    run = cron("trigger", "weekly").stdout.strip()
    queued.ends(run)
    assert [(each["run"], each["state"]) for each in cron.data("history", "weekly")] == [(run, "finished")]
    cron("delete", "weekly")
