"""The command of every cause of a run whose pods began, run as it stands by `make test-fixes`."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cluster.fixing import Fixing, running
from tests.cluster.test_explain_after import CASES, failures
from trainer.storage import open_store

__all__ = ["failures"]
pytestmark = pytest.mark.fixes

PATIENCE_SECONDS = 240.0
QUEUED = {"apart", "policed", "deleted", "evicted", "preempted"}  # their queue does not exist


class After:
    """A failed run, and the newest of its Jobs and pods."""

    def __init__(self, failures, cluster, folder, run):
        self.kubectl, self.run = failures.place(run), run
        self.where = ["--context", cluster.context, "-n", self.kubectl.namespace, "--root", failures.bucket]
        self.fixing = Fixing(cluster, self.where, folder)

    def runs(self):
        """Names of the runs of this place."""
        return {each["run"] for each in self.data("list")}

    def data(self, *words):
        """What a command of the launcher says in JSON."""
        return json.loads(self.fixing.launcher(*words, *self.where, "-o", "json").stdout)

    def began(self, job):
        """Whether a Job's pod runs, awaited; of a Job in a queue, whether it waits there.

        Of one with a deadline of seconds, whether it has another: a busy node makes no pod by then.
        """
        if self.run in QUEUED:
            return self.kubectl.get("job", job)["spec"]["suspend"]
        if self.run == "late":
            return self.kubectl.get("job", job)["spec"]["activeDeadlineSeconds"] > 2
        # Of a made-up account, pods begin and soon end.
        others = ("Succeeded", "Failed") if self.run == "nobody" else ("Succeeded",)
        return running(self.kubectl, job, PATIENCE_SECONDS, *others)


@pytest.fixture
def after(failures, cluster, tmp_path):
    return lambda run: After(failures, cluster, tmp_path, run)


@pytest.mark.parametrize("run", [run for run in CASES if run not in ("evicted", "preempted")])
def test_as_it_stands(after, failures, cluster, run):
    at = after(run)
    commands = at.fixing(run, CASES[run][0], PATIENCE_SECONDS)
    if not commands or not all(word[0] in ("launcher", "kubectl") for word in commands):
        pytest.skip("another program's, or none")
    before = at.runs()
    blanks = {"VALUE": "600", "URL": cluster.storage_url, "NAME@PROJECT": "me@here", "PROJECT": "here"}
    at.fixing.run(commands, **blanks)
    at.fixing.tell(commands, there(at, commands, before))
    for left in {run, *at.runs() - before}:
        at.fixing.launcher("cancel", f"gan/{left}", "--now", *at.where)


def there(at, commands, before):
    """What the last command promised, looked for."""
    verb, words = commands[-1][1], commands[-1]
    if verb == "rerun":
        (new,) = at.runs() - before
        assert at.began(new)
        spec = json.loads(open_store(f"{at.where[-1]}/gan/{new}").read("cluster.json"))["spec"]
        changed = [word for word in words if "=" in word]
        assert all(word in json.dumps(spec) for word in changed if "VALUE" not in word and "URL" not in word)
        said = {"late": "has a longer deadline"} | dict.fromkeys(QUEUED, "waits in its queue")
        return f"a new run {said.get(at.run, 'begins, and its pod runs')}"
    if verb == "resume":
        job = f"{at.run}-r2"
        assert at.began(job)
        assert at.data("status", at.run)["attempt"] == 2
        return (
            f"the second attempt {'waits in its queue' if at.run in QUEUED else 'begins, and its pod runs'}"
        )
    return "it left with 0"


@pytest.mark.parametrize("run", ["evicted", "preempted"])
def test_one_that_goes_on_by_itself_is_followed_to_its_end(after, run):
    at = after(run)
    commands = at.fixing(run, CASES[run][0], PATIENCE_SECONDS)
    at.kubectl("delete", "pod", f"rival-{run}", "--wait=false")
    with ThreadPoolExecutor(1) as pool:
        watch = pool.submit(at.fixing.launcher, *commands[0][1:])
        assert running(at.kubectl, run, PATIENCE_SECONDS, "Succeeded")
        at.fixing.launcher("cancel", f"gan/{run}", "--now", *at.where)
        told = watch.result(PATIENCE_SECONDS).stdout
    assert "stopped" in told, told
    at.fixing.tell(commands, "it follows the run, whose new pod begins, until it has ended")
