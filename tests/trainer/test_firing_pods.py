"""Pods of one firing of a schedule, as processes: they come to one run, and a replacement goes on with it."""

import json
import os
import subprocess
import sys

import psutil

from tests.support.flags import set_flags
from tests.support.teams import SMALL, Team
from tests.trainer.pods import environment
from tests.trainer.test_firing import template
from trainer.run import firing_names, index
from trainer.storage import open_store

MINUTES = 29366100  # since 1970: 2025-11-01 03:00 UTC
RUN, DUE = "nightly-20251101-0300", "2025-11-01T03:00:00+00:00"


class Fired(Team):
    """The pod of a firing with one worker."""

    def __init__(self, root, folder, pod, *more, **changes) -> None:
        command = [sys.executable, "-m", "trainer", "worker", "--preset", "mlp", "--root", root]
        command += ["--experiment", "e", "--schedule", "nightly", "--threads", "1", *more]
        command += set_flags((*SMALL, "steps=20"))
        about = {"GANTRY_JOB": f"nightly-{MINUTES}", "GANTRY_RECORD": template(workers=1), **changes}
        given = environment(GANTRY_POD=pod, **about)
        self.logs = [folder / f"{pod}.log"]
        with self.logs[0].open("wb") as output:
            self.processes = [
                subprocess.Popen(
                    command, env=os.environ | given, stdout=output, stderr=output, start_new_session=True
                )
            ]


def test_a_pod_and_the_one_that_replaces_it_are_one_run(gcs_root, tmp_path):
    store = open_store(f"{gcs_root}/e/{RUN}")
    with Fired(gcs_root, tmp_path, "nightly-0-first") as first:
        first.until(lambda: store.stat("cluster.json"))
        for child in psutil.Process(first.processes[0].pid).children(recursive=True):
            child.kill()
        first.kill()
    written = store.read("cluster.json")
    with Fired(gcs_root, tmp_path, "nightly-0-second") as second:
        assert second.wait() == [0], second.log()
    assert store.read("cluster.json") == written
    cluster, record = json.loads(written), json.loads(store.read("run.json"))
    assert (cluster["job"], cluster["spec"]["name"]) == (f"nightly-{MINUTES}", RUN)
    assert (record["schedule"], record["scheduled"], record["backend"]) == ("nightly", DUE, "kubernetes")
    assert store.stat("result.json") and store.stat("logs/1/worker-0.00000.log")
    entries = index.read(open_store(f"{gcs_root}/e"))
    assert entries.keys() == {RUN}
    entry = entries[RUN]
    assert (entry.state, entry.step, entry.schedule, entry.scheduled) == ("finished", 20, "nightly", DUE)
    assert entry == index.look(open_store(f"{gcs_root}/e"), RUN)


def test_a_pod_that_cannot_tell_its_run_leaves_with_2_and_a_line(tmp_path):
    with Fired(str(tmp_path / "runs"), tmp_path, "nightly-0-x", "--run", "mine") as fired:
        assert fired.wait() == [2]
    assert fired.log().startswith("error: --run 'mine'") and len(fired.log().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_job_that_somebody_made_by_hand_is_a_run_and_so_is_its_namesake_later(gcs_root, tmp_path):
    mine = {"GANTRY_JOB": "mytest", "GANTRY_JOB_UID": "0b1f2c3d"}
    run = firing_names.by_hand("nightly", "mytest", "0b1f2c3d")
    store = open_store(f"{gcs_root}/e/{run}")
    with Fired(gcs_root, tmp_path, "mytest-0-first", **mine) as first:
        first.until(lambda: store.stat("cluster.json"))
        for child in psutil.Process(first.processes[0].pid).children(recursive=True):
            child.kill()
        first.kill()
    with Fired(gcs_root, tmp_path, "mytest-0-second", **mine) as second:
        assert second.wait() == [0], second.log()
    cluster, record = json.loads(store.read("cluster.json")), json.loads(store.read("run.json"))
    assert (cluster["job"], cluster["spec"]["name"]) == ("mytest", run)
    assert (record["schedule"], record["scheduled"]) == ("nightly", None)
    with Fired(gcs_root, tmp_path, "mytest-0-later", **mine | {"GANTRY_JOB_UID": "4e5f6a7b"}) as later:
        assert later.wait() == [0], later.log()
    entries = index.read(open_store(f"{gcs_root}/e"))
    assert set(entries) == {run, firing_names.by_hand("nightly", "mytest", "4e5f6a7b")}
    assert {(entry.state, entry.schedule, entry.scheduled) for entry in entries.values()} == {
        ("finished", "nightly", None)
    }


def test_a_firing_leaves_a_run_alone_that_somebody_gave_its_name(gcs_root, tmp_path):
    store = open_store(f"{gcs_root}/e/{RUN}")
    theirs = template(job=RUN).encode()
    store.write("cluster.json", theirs)
    with Fired(gcs_root, tmp_path, "nightly-0-x") as fired:
        assert fired.wait() == [2]
    assert f"it is of Job '{RUN}'" in fired.log()
    assert store.read("cluster.json") == theirs
    assert store.stat("run.json") is None
