"""What is said of runs and schedules does not hang on the workstation's clock, context or namespace."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.cluster.flags import on
from tests.cluster.waiting import wait_until
from tests.support.clock import HOURS_WRONG, shifted
from tests.support.flags import set_flags

ENDLESS = set_flags(["batch_size=12", "xla=off", "steps=1000000", "checkpoints.every_steps=100"])


@pytest.fixture
def trains(launcher, cluster, namespace, bucket):
    """A run that trains until its namespace goes."""
    flags = ["--preset", "mlp", "--threads", "1", "--memory", "1Gi", *ENDLESS]
    launcher("submit", "--name", "one", *flags, *on(cluster, namespace, bucket), check=True)

    def saved():
        return json.loads(launcher("status", "one", "--root", bucket, "-o", "json").stdout)["checkpoint_step"]

    wait_until(saved, "a first checkpoint")
    return "one"


def test_a_clock_that_is_hours_wrong_changes_nothing(launcher, cron, trains, bucket):
    # Half an hour away: it neither fires nor is missed now, by the one clock that counts.
    minute = (datetime.now(UTC) + timedelta(minutes=30)).minute
    cron.create("hourly", f"{minute} * * * *")
    root = ["--root", bucket]
    runs = (["status", trains, *root], ["list", *root], ["explain", trains, *root])
    words = ("cron next hourly", "cron history hourly", "cron list", "explain hourly")
    schedules = [[*each.split(), *cron.where] for each in words]

    def said(hours):
        """The runs' states and the text about the schedule, of a workstation whose clock is wrong."""
        with ThreadPoolExecutor(2) as pool:
            call = [(*words, "-o", "json") for words in runs] + schedules
            done = list(pool.map(lambda words: launcher(*words, env=shifted(hours)), call))
        assert [each.returncode for each in done] == [0] * len(done), [each.stderr for each in done]
        status, (listed,), explained = (json.loads(each.stdout) for each in done[:3])
        for now in (status, listed):
            assert 0 <= now["age_seconds"] < 60
        assert 0 <= status["checkpoint_age_seconds"] < 3600
        told = re.sub(r"\d+", "N", re.sub(r", [^,]+ left", ", N left", explained["sentence"]))
        shown = [(each.stdout, each.stderr) for each in done[3:]]
        return status["state"], status["explanation"], listed["state"], told, shown

    right = said(0.0)
    assert right[:3] == ("running", "", "running")
    assert "trains, step N" in right[3]
    for hours in HOURS_WRONG:
        assert said(hours) == right
    cron("delete", "hourly", "--yes")


def test_a_run_that_was_not_asked_about_is_not_gone(
    launcher, trains, bucket, cluster, namespace, own_cluster, kubectl, tmp_path
):
    def states(*words, **environment):
        """The run's state as `list` and `status` tell it."""
        found = []
        for call in (["list"], ["status", trains]):
            done = launcher(*call, *words, "--root", bucket, "-o", "json", env=environment)
            assert done.returncode == 0, done.stderr
            said = json.loads(done.stdout)
            found.append(said[0]["state"] if call == ["list"] else said["state"])
        return found

    # The context's namespace is another one.
    assert states("--context", cluster.context) == ["running"] * 2
    config = yaml.safe_load(Path(cluster.kubeconfig).read_text())
    config["clusters"][0]["cluster"] = {"server": "https://127.0.0.1:1"}
    away = tmp_path / "away.yaml"
    away.write_text(yaml.safe_dump(config))
    assert states(KUBECONFIG=str(away)) == ["running"] * 2  # as its folder says, which is being written
    # Nor does one who may not ask lose it.
    nobody = {"KUBECONFIG": own_cluster.user_kubeconfig("nobody")}
    assert states(**nobody) == ["running"] * 2

    every = json.loads(launcher("list", "-A", "-o", "json", check=True).stdout)
    [own] = [run for run in every if run["root"] == bucket]
    assert (own["state"], own["namespace"], own["owner"]) == ("running", namespace, "admin")
    shown = launcher("list", "-A", "--root", bucket, check=True).stdout.splitlines()
    assert [line.split()[:5] for line in shown] == [
        ["namespace", "owner", "experiment", "run", "state"],
        [namespace, "admin", "gan", trains, "running"],
    ]
    # Whoever may read one namespace alone is told which they may not.
    kubectl("create", "role", "reader", "--verb=list", "--resource=jobs")
    kubectl("create", "rolebinding", "reader", "--role=reader", "--user=limited")
    config = yaml.safe_load(Path(own_cluster.user_kubeconfig("limited")).read_text())
    context = config["contexts"][0]
    mine = {"name": "mine", "context": {**context["context"], "namespace": namespace}}
    theirs = {"name": "theirs", "context": {**context["context"], "namespace": "kube-system"}}
    limited = tmp_path / "limited.yaml"
    limited.write_text(yaml.safe_dump({**config, "contexts": [mine, theirs], "current-context": "mine"}))
    done = launcher("list", "-A", "-o", "json", check=True, env={"KUBECONFIG": str(limited)})
    assert [(run["run"], run["namespace"]) for run in json.loads(done.stdout)] == [(trains, namespace)]
    assert "note: namespaces whose Jobs you may not list: kube-system\n" in done.stderr
