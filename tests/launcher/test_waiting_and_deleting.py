"""``launcher wait`` and ``launcher delete`` on runs of this machine, and spans of time as they are typed."""

import json

import pytest

from launcher.errors import RunAlive
from launcher.runs import verbs
from launcher.runs.find import Place
from tests.launcher.waiting import wait_until


def test_wait_tells_how_a_run_ended(past_run, root, launcher):
    past_run(name="good")
    past_run(name="bad", state="failed")
    done = launcher("wait", "good", "--root", root)
    assert (done.returncode, done.stdout) == (0, "run 'good' is finished at step 20\n")
    done = launcher("wait", "bad", "--root", root, "-o", "json")
    assert (done.returncode, json.loads(done.stdout)["state"]) == (1, "failed")
    assert launcher("wait", "none", "--root", root).returncode == 3


def test_wait_gives_up_and_comes_back_when_the_run_is_stopped(submit, root, launcher):
    submit("train")
    late = launcher("wait", "one", "--root", root, "--timeout", "1s")
    assert (late.returncode, late.stderr) == (4, "run 'one' has not ended after 1 s\n")
    assert verbs.wait(root, "one", 0.1) is None
    verbs.cancel(root, "one")
    assert verbs.wait(root, "one", 60).state == "stopped"


def test_status_is_watched_to_the_end(submit, root):
    submit("train")
    states = []
    for now in verbs.watch(root, "one", seconds=0.05):
        states.append(now.state)
        if now.state == "running":
            verbs.request_stop(root, "one")
    assert states[-1] == "stopped"
    assert "running" in states


def test_files_are_deleted_only_when_nobody_writes_them(submit, root, launcher):
    submit("train")
    wait_until(lambda: verbs.status(root, "one").state == "running")
    with pytest.raises(RunAlive, match="launcher cancel gan/one"):
        verbs.delete(root, "one", artifacts=True)
    verbs.cancel(root, "one")
    kept = launcher("delete", "one", "--root", root, "--artifacts", stdin=None)
    assert (kept.returncode, kept.stderr.count("\n")) == (2, 1)
    assert "--yes" in kept.stderr
    assert verbs.status(root, "one").state == "stopped"
    gone = launcher("delete", "one", "--root", root, "--artifacts", "--yes")
    assert gone.returncode == 0, gone.stderr
    assert launcher("status", "one", "--root", root).returncode == 3


def test_a_place_without_a_root_is_the_folder_here(past_run, root, launcher, tmp_path):
    past_run()
    found = launcher("status", "past", "-o", "json", cwd=tmp_path)
    assert json.loads(found.stdout)["root"] == "runs"
    assert [run.run for run in verbs.list_runs(Place(root=root))] == ["past"]
