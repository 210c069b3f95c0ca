"""What keeps workers from starting, made to happen on the cluster, and what `launcher explain` says of it.

All runs are submitted at once and none of them trains. Those that wait in a queue are in test_kueue.py.
"""

import json
import os
import uuid
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest

from tests.cluster import explain_stage
from tests.cluster.explain_stage import Stage, cluster_wide
from tests.cluster.kubectl import Kubectl
from tests.cluster.registry import registry
from tests.cluster.webhook import REASON, webhook


@pytest.fixture(scope="module")
def stage(cluster, tmp_path_factory):
    """All runs and schedules, submitted and tampered with."""
    if cluster.api_server is None:
        pytest.skip("makes policies, webhooks and a node, which the cluster of GANTRY_TEST_CONTEXT is spared")
    folder, name = tmp_path_factory.mktemp("explain"), f"test-{uuid.uuid4().hex[:8]}"
    kubectl, settings = Kubectl(cluster, name), {"XDG_CONFIG_HOME": str(folder), "NO_COLOR": "1"}
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, {**settings, "KUBECONFIG": cluster.kubeconfig}))
        address, refusing = stack.enter_context(registry()), stack.enter_context(webhook(folder))
        kubectl("create", "namespace", name)
        stack.callback(kubectl, "delete", "namespace", name, "--wait=false")
        kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
        wide = [*explain_stage.policy(name), explain_stage.webhooks(name, refusing), explain_stage.node(name)]
        stack.enter_context(cluster_wide(kubectl, *wide))
        kubectl.apply(*explain_stage.limits(), *explain_stage.claims(), explain_stage.secret())
        kubectl.apply(*explain_stage.submitters_role())
        made = Stage(cluster, name, _bucket(name), folder)
        made.wait_until_ready()
        made.refused = {
            name: made.submit(name, *words, edit=edit)
            for name, (words, edit) in UNJUDGED.items()
            if name in REFUSALS
        }
        made.submit_unjudged(UNJUDGED)
        made.submit_all(_runs(address, name))
        _tamper(made)
        yield made


def _bucket(name):
    from google.cloud import storage

    storage.Client(project="test").create_bucket(name)
    return f"gs://{name}"


UNJUDGED = {
    "quota": (["--cpu", "50"], None),
    "crowded": (["--cpu", "15", "--workers", "4"], None),
    "limit": (["--memory", "900Gi"], None),
    "rude": ([], explain_stage.rude),
    "account": (["--service-account", "absent"], None),
    "priority": ([], explain_stage.important),
    "policy": ([], None),
    "webhook": ([], None),
    "webhook-away": ([], None),
}
"""Flags and edits of runs that `submit` would refuse if it could have a pod judged."""


def _runs(registry, node):
    """Flags and edits of the pods' template, by run."""
    selecting = explain_stage.selecting
    away = ["--image", "127.0.0.1:9/gantry:1"]
    return {
        "missing": (["--image", f"{registry}/absent:1"], None),
        "never": (["--image", "localhost/gantry:none", "--image-pull-policy", "Never"], None),
        "private": (["--image", f"{registry}/private:1"], None),
        "away": (away, None),
        "index": (["--image", f"{registry}/arm:honest"], None),
        "binary": (["--image", f"{registry}/arm:wrong", "--backoff-limit", "0"], None),
        "secret": (["--env-secret", "HUB_TOKEN=absent/token"], None),
        "key": (["--env-secret", "HUB_TOKEN=hub/token"], None),
        "file": ([], explain_stage.reading),
        "cpu": (["--cpu", "3"], None),
        "memory": (["--memory", "100Gi"], None),
        "gpu": (["--gpus", "1"], None),
        "disk": ([], explain_stage.filling),
        "taint": ([], selecting(**{"gantry.test/node": node})),
        "gated": ([], explain_stage.gated),
        "selector": ([], selecting(disk="ssd")),
        "affinity": ([], explain_stage.attracted),
        "nearness": ([], explain_stage.near),
        "unbound": ([], explain_stage.mounting("bare")),
        "no-claim": ([], explain_stage.mounting("absent")),
        "suspended": (away, None),
        "cancelled": (away, None),
        "gone": (away, None),
    }


def _tamper(stage):
    """What people do to runs and schedules, and time does."""
    kubectl = stage.kubectl
    kubectl("patch", "job", "suspended", "--type=merge", "-p", '{"spec": {"suspend": true}}')
    kubectl("delete", "job", "gone", "--wait=false")
    cancelled = explain_stage.command_line("cancel", "cancelled", *stage.where)
    assert cancelled.returncode == 0, cancelled.stderr
    now = datetime.now(UTC)
    stage.schedule("fine", now + timedelta(hours=10))
    for name, more in (
        ("wedged", {}),
        ("off", {"suspended": True}),
        ("late", {"starting_deadline_seconds": 15}),
    ):
        stage.schedule(name, now - timedelta(minutes=20), **more)
        stage.move(name, now - timedelta(minutes=20))
    kubectl.wait_for("the firing", lambda: kubectl.get("cronjob", "wedged")["status"].get("active"))
    # Due once more while the first firing still is there.
    stage.move("wedged", now - timedelta(minutes=10))


# By run: the cause, parts of the sentence, what the evidence is of, and a part of the command.
CASES = {
    "missing": ("image-missing", ["/absent:1' does not exist"], "Pod/missing-0-", "resume gan/missing"),
    "never": ("image-missing", ["image_pull_policy Never"], "Pod/never-0-", "resume gan/never --image"),
    "private": ("image-unauthorized", ["does not let", "/private:1"], "Pod/private-0-", "docker-registry"),
    "away": ("registry-unreachable", ["127.0.0.1:9", "connection refused"], "Pod/away-0-", "resume gan/away"),
    "index": ("wrong-architecture", ["/arm:honest", "worker 0"], "Pod/index-0-", "resume gan/index --image"),
    "binary": ("wrong-architecture", ["exec format error"], "Pod/binary-0-", "resume gan/binary --image"),
    "quota": ("quota", ["'team'", "50 of requests.cpu", "of 40 is used"], "Job/quota", "--cpu "),
    "crowded": ("quota", ["30 of it by the run's own 2 pods"], "Job/crowded", "crowded --workers 2"),
    "limit": ("limit-range", ["at most 200Gi of memory", "900Gi"], "Job/limit", "--memory 200Gi"),
    "secret": ("secret-missing", ["Secret 'absent'"], "Pod/secret-0-", "absent --from-file=token=FILE"),
    "key": ("secret-missing", ["Secret 'hub' has no key 'token'"], "Pod/key-0-", "edit secret hub"),
    "file": ("secret-missing", ["Secret 'files'"], "Pod/file-0-", "create secret generic files"),
    "rude": ("pod-security", ["'restricted:latest'", "runAsNonRoot"], "Job/rude", "--unset manifests"),
    "account": ("service-account-missing", ["'absent'"], "Job/account", "create serviceaccount absent"),
    "priority": ("priority-class-missing", ["'absent'"], "Job/priority", "get priorityclasses"),
    "policy": ("admission-refused", ["AdmissionPolicy", "cost centre"], "Job/policy", "--man"),
    "webhook": ("admission-refused", ["'webhook.gantry.test'", REASON], "Job/webhook", "--manifests"),
    "webhook-away": ("webhook-failing", ["'webhook-away.gantry.test'"], "Job/webhook-away", "kubectl "),
    "cpu": ("insufficient-cpu", ["worker 0", "3 cores"], "Pod/cpu-0-", "rerun gan/cpu --cpu"),
    "memory": ("insufficient-memory", ["100Gi of memory"], "Pod/memory-0-", "--memory"),
    "gpu": ("no-gpu", ["no node has GPUs", "asks for 1"], "Pod/gpu-0-", "rerun gan/gpu --gpus 0"),
    "disk": ("insufficient-other", ["ephemeral-storage"], "Pod/disk-0-", "describe nodes"),
    "taint": ("taint", ["gantry.test/team=others:NoSchedule"], "Pod/taint-0-", "toleration"),
    "selector": ("node-selector", ["disk=ssd"], "Pod/selector-0-", "kubectl label node"),
    "affinity": ("affinity", ["required node affinity", "ssd"], "Pod/affinity-0-", "preferred"),
    "nearness": ("affinity", ["nearness to other pods"], "Pod/nearness-0-", "preferred"),
    "unbound": ("volume-unbound", ["claim 'bare'", "no storage class"], "PersistentVolumeClaim/bare", "bare"),
    "no-claim": ("volume-unbound", ["'absent' does not exist"], "Pod/no-claim-0-", "apply"),
    "gated": ("unknown", ["no known cause fits"], "Pod/gated-0-", "launcher logs gan/gated"),
    "suspended": ("suspended", ["spec.suspend", "kubectl-patch"], "Job/suspended", "resume gan/suspended"),
    "cancelled": ("cancelled", ["asked to stop"], "Job/cancelled", "resume gan/cancelled"),
    "gone": ("job-gone", ["Job 'gone' is gone"], None, "resume gan/gone"),
    "wedged": (
        "schedule-blocked", ["'127.0.0.1:9'", "Forbid", "at the latest"], "CronJob/wedged", "gan/wedged-",
    ),
    "off": ("schedule-suspended", ["schedule 'off'"], "CronJob/off", "launcher cron resume off"),
    "late": ("schedule-missed", ["schedule 'late'", "missed"], "CronJob/late", "launcher cron trigger late"),
}  # fmt: skip


@pytest.fixture(scope="module")
def explained(stage):
    """The exit code and the JSON of `launcher explain NAME`, asked until its cause is there in all words."""

    def call(name, cause=None, words=()):
        def asked():
            done = stage.explain(name)
            assert done.returncode in (0, 1), done.stderr
            found = json.loads(done.stdout)
            told = found["cause"] == cause and all(word in found["sentence"] for word in words)
            return (done.returncode, found) if told else last.append(found)

        last = []
        try:
            return stage.kubectl.wait_for(f"{name}: {cause}", asked, 180)
        except AssertionError as error:
            raise AssertionError(f"{error}: {last[-1:]}") from None

    return call


@pytest.mark.parametrize("name", CASES)
def test_the_cause_the_evidence_and_what_mends_it(explained, name):
    cause, words, seen, fix = CASES[name]
    # With its words, as a firing that blocks a schedule comes to its own cause later.
    code, found = explained(name, cause, words)
    assert (code, found["healthy"], found["name"]) == (1, False, name)
    assert fix in found["fix"]
    objects = [each["object"] for each in found["evidence"]]
    assert seen is None or any(each.startswith(seen) for each in objects), objects
    assert all(each["text"] for each in found["evidence"])


def test_a_schedule_that_is_well_and_a_name_that_nobody_has(explained, stage):
    code, found = explained("fine")
    assert (code, found["healthy"], found["evidence"]) == (0, True, [])
    assert "next at" in found["sentence"]
    unknown = stage.explain("nobody")
    assert unknown.returncode == 3
    assert unknown.stderr.count("\n") == 1
    assert "no schedule 'nobody'" in unknown.stderr


def test_a_firing_is_a_run_though_it_has_left_nothing_in_the_bucket(explained, stage):
    (job,) = stage.kubectl.get("jobs", "-l", "gantry/schedule=wedged")["items"]
    due = datetime.fromtimestamp(60 * int(job["metadata"]["name"].rpartition("-")[2]), UTC)
    code, found = explained(f"wedged-{due:%Y%m%d-%H%M}", "registry-unreachable")
    assert (code, found["kind"], found["state"]) == (1, "run", "pending")


def test_a_job_that_is_refused_itself_is_told_by_submit(stage):
    done = stage.submit("policy-job")
    assert done.returncode == 2
    assert done.stderr.startswith("error: Job 'policy-job': the cluster refuses it: ")
    assert "runs must name their cost centre" in done.stderr


REFUSALS = {
    "quota": 'the cluster refuses its pods: pods "quota-0-',
    "crowded": "asks for 60, and the namespace has 40 of requests.cpu by quota 'team'",
    "limit": "maximum memory usage per Container is 200Gi, but limit is 900Gi",
    "rude": 'violates PodSecurity "restricted:latest"',
    "account": "error looking up service account",
    "priority": "no PriorityClass with name absent was found",
    "policy": "runs must name their cost centre",
    "webhook": REASON,
}
"""What `submit` says of runs whose pods it had judged; the same names were free afterwards."""


@pytest.mark.parametrize("name", REFUSALS)
def test_pods_that_would_never_be_made_are_told_by_submit(stage, name):
    done = stage.refused[name]
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith(f"error: Job '{name}'")
    assert REFUSALS[name] in done.stderr


def test_for_people_there_is_the_time_of_each_event(stage, explained, launcher):
    explained("quota", "quota")
    done = launcher("explain", "quota", *stage.where)
    assert (done.returncode, done.stderr) == (1, "")
    first, *evidence = done.stdout.splitlines()
    assert first.startswith("quota 'team' of namespace") and first.endswith("(quota)")
    year = f"  {datetime.now(UTC):%Y-}"
    assert any(line.startswith(year) and "Job/quota event FailedCreate: " in line for line in evidence)
    assert any("ResourceQuota/team status.hard: requests.cpu 40" in line for line in evidence)
    assert evidence[-1].startswith("mend it with: launcher rerun gan/quota --cpu ")


def test_who_may_not_see_nodes_or_quotas_is_told_less(stage, cluster, explained, launcher):
    explained("selector", "node-selector")
    rules = explain_stage.least_role()
    stage.kubectl.apply(*rules)
    env = {"KUBECONFIG": cluster.user_kubeconfig("limited")}
    done = launcher("explain", "selector", *stage.where, "-o", "json", env=env)
    found = json.loads(done.stdout)
    assert (done.returncode, found["cause"]) == (1, "no-node"), done.stderr
    assert "didn't match Pod's node affinity/selector" in found["sentence"]
    assert any("nodes" in text for text in found["unasked"])
    found = json.loads(launcher("explain", "quota", *stage.where, "-o", "json", env=env).stdout)
    assert found["cause"] == "quota"
    assert any("resourcequotas" in text for text in found["unasked"])


def test_status_and_wait_say_it_of_a_run_that_failed(stage, explained):
    explained("binary", "wrong-architecture")
    for verb in ("status", "wait"):
        assert "for another architecture" in explain_stage.command_line(verb, "binary", *stage.where).stdout
