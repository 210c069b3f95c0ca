"""What goes wrong once pods start, from what a real cluster and the project's own code said."""

import os
import shlex
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from launcher.cli import app
from launcher.explain import diagnose
from launcher.explain.causes import CAUSES
from launcher.explain.causes.policies import forbidden
from launcher.explain.causes.words import words
from launcher.render import render, to_yaml
from launcher.spec import make_spec
from tests.launcher.explaining import answer, facts, local
from tests.launcher.kubernetes_objects import condition, ended, event, job, pod, said, stamp
from tests.support.refusing import Metadata, Refusing
from trainer.errors import AccessError, PeerLost, StorageAway, StorageError
from trainer.indexed_job import Member, wait_for_peers
from trainer.patience import Outage
from trainer.storage import open_store
from trainer.watchdog import Watchdog

MISTAKE = [("FailureTarget", "PodFailurePolicy", "failed with exit code 2 matching FailJob rule at index 0")]
TOO_MANY = [("FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit")]
LATE = [("FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline")]


def failed(worker, code, message="", reason="Error", at=10.0, **more):
    """A pod whose trainer ended so many seconds after the Job began."""
    return pod(
        worker,
        phase="Failed",
        state=ended(code, message, reason, finishedAt=stamp(at)),
        age=more.pop("age", 0.0),
        **more,
    )


def with_env(found, **variables):
    found["spec"]["containers"][0]["env"] = [
        {"name": key, "value": value} for key, value in variables.items()
    ]
    return found


# Exit 2.


def test_a_mistake_is_told_with_its_line_and_the_flag_that_changes_it():
    text = "error: data.source idx:/absent: /absent does not exist"
    here = facts(
        job(1, MISTAKE, failed=1), [failed(0, 2, text)], overrides=["steps=60", "data.source=idx:/absent"]
    )
    cause, sentence, fix, _ = answer(here)
    assert cause == "mistake"
    assert sentence.endswith("data.source idx:/absent: /absent does not exist")
    assert "worker 0" in sentence
    assert [(each.object, each.field, each.text) for each in diagnose(here).evidence][1:] == [
        ("run.json", "overrides", "--set data.source=idx:/absent")
    ]
    assert fix.startswith("launcher submit --preset mlp ")
    assert fix.endswith("--set steps=60 --set data.source=VALUE")


def test_a_variable_that_makes_no_sense_is_shown_where_it_stands():
    text = "error: GANTRY_PEER_SECONDS is 'abc', expected a number from 0 to 604800"
    here = facts(job(1, MISTAKE), [with_env(failed(0, 2, text), GANTRY_PEER_SECONDS="abc")])
    cause, _, fix, objects = answer(here)
    assert (cause, objects) == ("mistake", ["Pod/one-0-abcde", "Pod/one-0-abcde"])
    assert fix.endswith("--env GANTRY_PEER_SECONDS=VALUE")


def test_what_a_resumed_run_may_change_is_changed_by_resume():
    text = "error: steps is 60, but the run has taken 80 already"
    here = facts(job(1, MISTAKE), [failed(0, 2, text)], overrides=["steps=60"])
    assert answer(here)[2] == "launcher resume one --set steps=VALUE --root gs://runs/gan"


def test_a_mistake_of_a_local_run_is_in_its_log():
    here = local("failed", [2], {0: ["error: data.source idx:/absent: /absent does not exist"]})
    cause, sentence, fix, objects = answer(here)
    assert (cause, objects[0]) == ("mistake", "worker-0's log")
    assert "/absent does not exist" in sentence
    assert fix == "launcher submit --preset mlp --set data.source=VALUE"  # which wrote no run.json


# What trainers end by.


def test_divergence_names_step_tensor_and_rate():
    text = "step 17: gradient of generator/hidden_1/kernel is NaN or Inf; last good checkpoint: gs://runs/16/"
    pods = [failed(worker, 1, f"error: {text}") for worker in range(2)]
    here = facts(job(2, TOO_MANY, failed=2), pods, said=said("failed", message=text, checkpoint_step=16))
    cause, sentence, fix, objects = answer(here)
    assert cause == "diverged"
    assert sentence == (
        "training diverged: gradient of generator/hidden_1/kernel became NaN or Inf in step 17 "
        "(learning rate 0.0002); step 16 is the last good checkpoint"
    )
    assert fix.endswith("--set optimizer.learning_rate=2e-05")
    assert objects == ["Pod/one-0-abcde", "status.json", "run.json"]
    again = local("failed", [1], {0: [f"error: {text}"]}, said("failed", message=text))
    assert answer(again)[0] == "diverged"


OOM = "worker 1's trainer ran out of memory: the kernel killed it at the container's limit of 2,048 MiB"


@pytest.mark.parametrize(
    ("pods", "logs"),
    [
        ([pod(0), failed(1, 137, reason="OOMKilled")], {}),
        ([pod(0), pod(1)], {1: [f"starting again: {OOM}; all workers go on from step 20 (restart 1)"]}),
        ([failed(0, 1, f"error: 5 restarts brought no newer checkpoint than step 0; the last reason: {OOM}"),
          failed(1, 42, "error: worker 0, the chief, is gone or does not answer")], {}),
    ],
)  # fmt: skip
def test_want_of_memory_names_the_limit_and_doubles_it(pods, logs):
    here = facts(job(2), pods, said=said("restarting", message=OOM), logs=logs)
    cause, sentence, fix, _ = answer(here)
    assert cause == "out-of-memory"
    assert sentence == "worker 1 needs more than the memory limit of 2Gi: the kernel killed it"
    assert fix.endswith("launcher resume one --memory 4096Mi --root gs://runs/gan")


def test_a_signal_to_a_process_of_this_machine_is_no_proof_of_anything():
    cause, sentence, fix, _ = answer(
        local("interrupted", [0, -9], {}, explanation="worker 1 was killed by SIGKILL")
    )
    assert cause == "killed"
    assert "worker 1" in sentence and "not known" in sentence and "memory" in sentence
    assert fix == "launcher resume one"


def test_a_crash_is_told_by_the_line_that_names_the_exception():
    trace = [
        "Traceback (most recent call last):",
        '  File "x.py", line 1',
        "ValueError: no such layer",
        "note: bye",
    ]
    here = facts(job(1, TOO_MANY, failed=1), [failed(0, 1, "\n".join(trace))], logs={0: trace})
    cause, sentence, fix, objects = answer(here)
    assert (cause, objects) == ("crashed", ["Pod/one-0-abcde", "worker-0's log"])
    assert sentence == "worker 0 crashed with exit code 1: ValueError: no such layer"
    assert fix == "launcher logs one --worker 0 --tail 50 --root gs://runs/gan"
    early = 'Fatal Python error: config_init_hash_seed: PYTHONHASHSEED must be "random"\nPython runtime'
    assert "PYTHONHASHSEED" in answer(facts(job(1, TOO_MANY), [failed(0, 1, early)]))[1]
    assert answer(local("failed", [1], {0: trace}))[1] == sentence


# One cause and its consequences.


def test_of_several_endings_the_cause_is_named_and_not_what_followed():
    lost = "error: worker 0 lost a peer: Connection reset by peer"
    pods = [
        failed(0, 42, lost, at=11),
        failed(1, 1, "error: scratch folder /tmp/x (0 bytes free): No space left on device", at=10),
    ]
    cause, sentence, _, _ = answer(facts(job(2, TOO_MANY, failed=2), pods))
    assert cause == "disk-full"
    assert "worker 1" in sentence
    same = [failed(0, 1, "error: KeyError: 'b'", at=12), failed(1, 1, "error: KeyError: 'a'", at=11)]
    assert answer(facts(job(2, TOO_MANY), same))[1] == "worker 1 crashed with exit code 1: KeyError: 'a'"


def test_what_was_overcome_is_not_named_again():
    logs = {
        0: [
            "error: no step for 700 s (the limit is 600 s); the stacks are above",
            "generation 2: all 2 workers have met",
            "20/60 [D loss: 0.4 | D accuracy: 50%/50%] [G loss: 1]  9 images/s",
            "error: bucket 'runs' refuses to write",
        ]
    }
    assert [each.text for each in words(facts(job(2), [pod(0), pod(1)], logs=logs))] == [
        "bucket 'runs' refuses to write"
    ]


def test_a_run_that_began_again_is_well_and_says_why():
    told = said("running", restarts=1, restarted_because="worker 1's trainer died of SIGKILL")
    here = diagnose(facts(job(2), [pod(0), pod(1)], said=told))
    assert (here.healthy, here.cause, here.fix) == (True, None, None)
    assert here.sentence.endswith("after 1 restart; the last because worker 1's trainer died of SIGKILL")


@pytest.mark.parametrize(
    "message", ["worker 1's trainer died of SIGKILL", "no step for 700 s (the limit is 600 s)"]
)
def test_a_restart_that_goes_on_by_itself_is_well(message):
    told = said("restarting", restarts=1, message=f"{message}; all workers go on from step 20 (restart 1)")
    here = diagnose(facts(job(2), [pod(0), pod(1)], said=told))
    assert (here.healthy, here.cause) == (True, None)
    assert message in here.sentence
    stuck = diagnose(facts(job(2), [pod(0), pod(1)], said=told, seconds=400))
    assert not stuck.healthy


def test_restarts_that_bring_nothing_are_told_with_their_last_reason():
    text = "5 restarts brought no newer checkpoint than step 40; the last reason: worker 1 died of SIGSEGV"
    cause, sentence, fix, _ = answer(facts(job(2, TOO_MANY), [failed(0, 1, f"error: {text}"), failed(1, 42)]))
    assert cause == "restarts-in-vain"
    assert "than step 40" in sentence and "restarts_without_progress=5" in sentence and "SIGSEGV" in sentence
    assert fix == "launcher resume one --root gs://runs/gan"


# Peers.


def unresolved():
    """What a pod says whose peers' names do not resolve."""
    member = Member("one", "one", 0, 2, 2222, 1, "one-0-abcde")

    def resolve(*_, **__):
        raise OSError

    with pytest.raises(PeerLost) as failure:
        wait_for_peers(member, 0.0, resolve)
    return f"error: {failure.value}"


RESUME = "launcher resume one"


def apart(**more):
    mine = job(2, TOO_MANY, failed=2)
    mine["spec"]["template"]["spec"]["subdomain"] = "one"
    pods = [failed(worker, 42, unresolved()) for worker in range(2)]
    return facts(mine, pods, **more)


def service(**spec):
    whole = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": {"batch.kubernetes.io/job-name": "one"},
    }
    return {"Service/one": {"kind": "Service", "metadata": {"name": "one"}, "spec": {**whole, **spec}}}


def policy(name="deny", **spec):
    spec = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], **spec}
    return {f"NetworkPolicy/{name}": {"kind": "NetworkPolicy", "metadata": {"name": name}, "spec": spec}}


@pytest.mark.parametrize(
    ("others", "text", "fix"),
    [
        ({}, "headless Service 'one' is gone", RESUME),
        (service(clusterIP="10.0.0.1"), "spec.clusterIP of Service 'one' is 10.0.0.1", RESUME),
        (service(publishNotReadyAddresses=False), "publishNotReadyAddresses of Service 'one'", RESUME),
        (service(selector={"app": "other"}), "spec.selector of Service 'one' is app=other", RESUME),
        (service() | policy(), "NetworkPolicy 'deny' of namespace 'team' does not allow the workers to ask",
         "launcher submit"),
        (service(), "the workers of run 'one' cannot meet: after 0 s the names one-0.one, one-1.one do not",
         "kubectl -n team get pods"),
    ],
)  # fmt: skip
def test_workers_that_do_not_meet_are_explained_by_what_keeps_them_apart(others, text, fix):
    cause, sentence, command, objects = answer(apart(others=others))
    assert cause == "peer-unreachable"
    assert text in sentence
    assert command.startswith(fix)
    assert objects[0] == "Pod/one-0-abcde"


def test_a_service_that_nobody_may_look_at_is_not_told_to_be_gone():
    assert "gone" not in answer(apart(unasked=["Service 'one': forbidden"]))[1]


def test_pods_that_wait_for_long_are_told_of_before_they_give_up():
    mine = job(2)
    mine["spec"]["template"]["spec"]["subdomain"] = "one"
    pods = [pod(worker, startTime=stamp(1)) for worker in range(2)]
    logs = {1: ["waiting for the chief at one-0.one:2222: Connection timed out"]}
    early, late = (
        facts(mine, pods, logs=logs, others=service() | policy(egress=[{}]), seconds=s) for s in (30, 90)
    )
    assert diagnose(early).healthy
    cause, sentence, _, _ = answer(late)
    assert cause == "peer-unreachable"
    assert "to be called by each other (port 2222)" in sentence and "Connection timed out" in sentence


LABELS = {"app.kubernetes.io/instance": "one", "batch.kubernetes.io/job-name": "one"}
DNS = {"ports": [{"protocol": "UDP", "port": 53}]}
SAME_RUN = {"key": "app.kubernetes.io/instance", "operator": "In", "values": ["one"]}
EACH_OTHER = {"podSelector": {"matchExpressions": [SAME_RUN]}}


@pytest.mark.parametrize(
    ("policies", "lacking"),
    [
        ([], []),
        ([policy(podSelector={"matchLabels": {"app": "other"}})], []),
        ([policy(policyTypes=["Ingress"])], ["to be called by each other (port 2222)"]),
        ([policy(), policy("all", ingress=[{}], egress=[{}])], []),
        ([policy(egress=[DNS, {"to": [EACH_OTHER]}], ingress=[{"from": [EACH_OTHER]}])], []),
        ([policy(egress=[DNS, {"to": [EACH_OTHER], "ports": [{"port": 2222}]}], ingress=[{}])],
         ["to call each other on any port but those named"]),
        ([policy(egress=[{"to": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]}], ingress=[{}])],
         ["to call each other (port 2222)"]),
        ([policy(policyTypes=None, egress=[DNS])],
         ["to call each other (port 2222)", "to be called by each other (port 2222)"]),
    ],
)  # fmt: skip
def test_policies_are_read_as_the_api_means_them(policies, lacking):
    found = [each for named in policies for each in named.values()]
    assert [each.what for each in forbidden(found, LABELS, 2222)] == lacking


def test_the_profile_that_mends_it_forbids_nothing_that_workers_need():
    spec = make_spec(
        "mlp", name="one", workers=2, image="reg/gantry:1", root="gs://runs", profiles=["network-policy"]
    )
    objects = render(spec)
    mine = [each for each in objects if each["kind"] == "NetworkPolicy"]
    [labels] = [each["spec"]["template"]["metadata"]["labels"] for each in objects if each["kind"] == "Job"]
    deny = policy().popitem()[1]
    assert len(mine) == 1
    assert forbidden([deny], labels, 2222) != []
    assert forbidden([deny, *mine], labels, 2222) == []


def test_a_stall_names_worker_and_limit():
    told, reasons = threading.Event(), []
    dog = Watchdog(0.05, lambda reason: (reasons.append(reason), told.set()))
    dog.beat()
    assert told.wait(30)
    logs = {
        1: [
            "Thread 0x1 (most recent call first):",
            '  File "/app/trainer/feed.py", line 61 in take',
            f"error: {reasons[0]}",
        ]
    }
    here = facts(
        job(2, TOO_MANY, failed=2),
        [failed(0, 42, "error: peer"), failed(1, 42, f"error: {reasons[0]}")],
        logs=logs,
    )
    cause, sentence, _, objects = answer(here)
    assert cause == "stalled"
    assert "worker 1 took no step for 0 s" in sentence and "recovery.stall_seconds" in sentence
    assert any("trainer/feed.py" in each.text for each in diagnose(here).evidence)
    assert "worker-1's log" in objects
    silent = facts(job(2), [pod(0), pod(1)], said=said("running"), seconds=300)
    assert answer(silent)[0] == "stalled"


# Storage.


@pytest.mark.parametrize("status", [403, 404])
def test_a_bucket_that_refuses_or_is_not_there(status, monkeypatch):
    with Refusing(status) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        with pytest.raises(AccessError) as failure:
            open_store("gs://runs/gan/gan/one").check()
    pods = [failed(0, 2, f"error: {failure.value}")]
    cause, sentence, fix, objects = answer(facts(job(1, MISTAKE), pods))
    if status == 404:
        assert (cause, sentence) == ("bucket-missing", "bucket 'runs' does not exist")
        assert fix.startswith("gcloud storage buckets create gs://runs && launcher resume one")
        return
    assert cause == "storage-denied"
    assert sentence == "bucket 'runs' refuses worker 0 to list: its account needs storage.objects.list"
    assert "--member=principal://" in fix and "/subject/ns/team/sa/default" in fix
    bound = answer(facts(job(1, MISTAKE), pods, others=account()))
    assert "--member=serviceAccount:t@p.iam.gserviceaccount.com" in bound[2]
    assert objects == ["Pod/one-0-abcde"]  # nobody looked at the account
    assert "ServiceAccount/default" in bound[3]


def account(google="t@p.iam.gserviceaccount.com"):
    """The service account of the pods, bound to a Google one."""
    metadata = {"name": "default", "annotations": {"iam.gke.io/gcp-service-account": google}}
    return {"ServiceAccount/default": {"metadata": metadata}}


ASK = "from trainer.storage import open_store; open_store('gs://runs/gan/one').check()"


def asked(folder, **environment):
    """What Google's own library says of this environment, which it reads when it is imported."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    kept |= {"CLOUDSDK_CONFIG": str(folder), "HOME": str(folder), **environment}
    done = subprocess.run([sys.executable, "-c", ASK], env=kept, capture_output=True, text=True, check=False)
    return done.stderr.splitlines()[-1].removeprefix("trainer.errors.AccessError: ")


def refused(folder):
    """A metadata server that hands out no token."""
    with Metadata() as server:
        return asked(folder, GCE_METADATA_HOST=server.address, GCE_METADATA_IP=server.address)


def without(folder):
    """No credentials, and no metadata server."""
    return asked(folder, NO_GCE_CHECK="true")


@pytest.mark.parametrize(
    ("trouble", "words"),
    [(refused, "iam.serviceAccounts.getAccessToken"), (without, "no Google credentials")],
)
def test_a_service_account_without_identity(trouble, words, tmp_path):
    text = f"error: {trouble(tmp_path)}"
    assert words in text
    pods = [failed(0, 2, text)]
    cause, sentence, fix, _ = answer(facts(job(1, MISTAKE), pods))
    assert cause == "no-identity"
    assert "service account 'default' of worker 0's pod has no Google identity" in sentence
    assert fix.endswith("--google-service-account NAME@PROJECT.iam.gserviceaccount.com")
    cause, sentence, fix, _ = answer(facts(job(1, MISTAKE), pods, others=account()))
    assert (cause, "may not act as 't@p.iam" in sentence) == ("no-identity", True)
    assert "'--member=serviceAccount:p.svc.id.goog[team/default]'" in fix
    mine = local("failed", [2], {0: [text]})
    assert answer(mine)[2] == "gcloud auth application-default login && launcher resume one"


def test_storage_that_is_away():
    outage = Outage(0.0, lambda text: None)
    with pytest.raises(StorageAway) as failure:
        outage.failed(StorageError("gs://runs/gan/one: 503 Backend Error"), time.monotonic() - 700)
    pods = [
        failed(0, 42, f"error: {failure.value}"),
        failed(1, 42, "error: worker 0, the chief, is gone or does not answer"),
    ]
    cause, sentence, _, _ = answer(facts(job(2, TOO_MANY), pods))
    assert cause == "storage-away"
    assert "700 s" in sentence and "storage_patience_seconds=600" in sentence and "503" in sentence
    now = facts(job(2), [pod(0), pod(1)], said=said("running", storage=outage.line))
    assert answer(now)[0] == "storage-away"
    assert "training goes on" in answer(now)[1]


def test_a_full_disk_of_this_machine():
    text = "error: runs/gan/one/checkpoints/20/state.index: no space left on device"
    cause, sentence, fix, _ = answer(local("failed", [1], {0: [text]}))
    assert cause == "disk-full"
    assert "worker 0" in sentence
    assert fix == "df -h runs && launcher resume one"


# Ends from outside.


def test_a_deadline_that_passed_before_anything_began_names_what_was_in_the_way():
    mine = job(1, LATE, failed=1)
    mine["spec"]["activeDeadlineSeconds"] = 3
    late = facts(mine, [], said=said("stopped", checkpoint_step=40))
    cause, sentence, fix, _ = answer(late)
    assert (cause, fix) == ("deadline", "launcher resume one --root gs://runs/gan")
    assert "deadline of 3 s" in sentence and "saved at step 40" in sentence
    stuck = event(pod(0), "FailedMount", 'configmap "c" not found')
    cause, sentence, fix, _ = answer(facts(mine, [], [stuck]))
    assert (cause, 'configmap "c" not found' in sentence) == ("deadline", True)
    assert "--deadline 6" in fix


def taken(code, reason, message):
    """A pod of worker 0 that the cluster took away."""
    return failed(0, code, conditions=[condition("DisruptionTarget", reason, message)])


def waits_for_a_node(worker, name="one-0-new"):
    unplaced = condition(
        "PodScheduled", "Unschedulable", "0/1 nodes are available: 1 Insufficient cpu.", status="False"
    )
    return pod(worker, name, phase="Pending", age=12, node=None, conditions=[unplaced])


@pytest.mark.parametrize(
    ("gone", "events", "cause"),
    [
        ([], [("Preempted", "Preempted by pod e37f9534 on node node-a")], "preempted"),
        ([taken(143, "PreemptionByScheduler", "preempting")], [], "preempted"),
        ([taken(42, "EvictionByEvictionAPI", "Eviction API: evicting")], [], "evicted"),
        ([], [("Evicted", "The node was low on resource: memory.")], "evicted"),
        ([], [("Killing", "Stopping container trainer")], "evicted"),
        ([taken(137, "DeletionByTaintManager", "Taint manager: deleting")], [], "node-lost"),
    ],
)  # fmt: skip
def test_a_pod_that_was_taken_away_is_told_with_what_its_successor_waits_for(gone, events, cause):
    seen = [event(pod(0, "one-0-old"), reason, message, kind="Normal") for reason, message in events]
    found = answer(facts(job(1), [waits_for_a_node(0), *gone], seen, said=said("running")))
    assert found[0] == cause
    assert (
        "worker 0" in found[1]
        and "its new pod has no node: 0/1 nodes are available: 1 Insufficient cpu" in found[1]
    )
    running = facts(job(1), [pod(0, "one-0-new", age=12), *gone], seen, said=said("running"))
    assert diagnose(running).healthy


def test_a_node_that_is_not_ready():
    lost = pod(0, conditions=[condition("Ready", status="False"), condition("ContainersReady")])
    cause, sentence, fix, _ = answer(facts(job(1), [lost], said=said("running"), seconds=300))
    assert cause == "node-lost"
    assert "node 'node-a' of worker 0" in sentence
    assert "kubectl -n team delete pod one-0-abcde --force" in fix


def test_a_pod_that_somebody_deleted():
    mine = job(1, TOO_MANY, failed=1)
    stop = event(pod(0, "one-0-old"), "Killing", "Stopping container trainer", kind="Normal")
    left = facts(mine, [], [stop], logs={0: ["error: asked to stop (SIGTERM) while waiting for the others"]})
    cause, sentence, _, objects = answer(left)
    assert (cause, objects) == ("deleted", ["Pod/one-0-old", "worker-0's log", "Job/one"])
    assert "worker 0" in sentence and "no more than 3" in sentence
    there = facts(mine, [failed(0, 137, going=True)])
    assert answer(there)[0] == "deleted"


def test_too_many_pods_that_say_nothing():
    cause, sentence, _, objects = answer(facts(job(2, TOO_MANY, failed=4), [failed(0, 42), failed(1, 42)]))
    assert cause == "backoff-limit"
    assert sentence.startswith(
        "4 pods of run 'one' failed, and its limit is 3 (--backoff-limit); worker 0 exited"
    )
    assert "Job/one" in objects


def test_a_run_that_was_cut_off():
    told = "none of its processes is alive, and nobody saw them end"
    cause, sentence, fix, objects = answer(local("interrupted", [None], {}, said("running"), told))
    assert (cause, objects) == ("cut-off", ["status.json"])
    assert told in sentence and "step 20" in sentence
    assert fix == "launcher resume one"


def test_a_run_that_another_process_trains():
    text = (
        "error: gs://runs/gan/one: is being trained by one-0-x (process 7 on one-0), which renewed its lease "
        "2 s ago and holds it since 2026-11-20T12:00:00+00:00; stop that one first"
    )
    cause, sentence, fix, _ = answer(facts(job(1, MISTAKE), [failed(0, 2, text)]))
    assert cause == "held"
    assert "one-0-x" in sentence
    assert fix.startswith("launcher status one")


# Laws.


def test_the_command_to_begin_again_begins_the_same_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    spec = make_spec(
        "mlp", ["steps=60", "data.source=idx:/a b"], name="one", workers=2, image="reg/gantry:1", root="gs://runs/gan",
        experiment="faces", memory="3Gi", cpu="2", namespace="team", profiles=["spot", "network-policy"],
        env={"A": "b c", "GANTRY_PEER_SECONDS": "9"}, backoff_limit=7, active_deadline_seconds=90,
        grace_seconds=30,
    )  # fmt: skip
    text = "error: GANTRY_PEER_SECONDS is '9', expected more"
    pods = [with_env(failed(0, 2, text), GANTRY_PEER_SECONDS="9")]
    fix = answer(facts(job(1, MISTAKE), pods, spec=spec.model_dump(mode="json")))[2]
    words = shlex.split(fix.replace("VALUE", "8"))
    assert words[:2] == ["launcher", "submit"]
    done = CliRunner().invoke(app, ["render", *words[2:], "--name", "one"])
    assert done.exit_code == 0, done.output
    assert done.output == to_yaml(
        render(spec.model_copy(update={"env": {"A": "b c", "GANTRY_PEER_SECONDS": "8"}}))
    )


ENDINGS = (
    None,
    ended(0),
    ended(1, "error: x"),
    ended(1, "No space left on device"),
    ended(1, "step 3: d_loss is NaN or Inf"),
    ended(2, "data.source x"),
    ended(42, unresolved()),
    ended(137, reason="OOMKilled"),
    ended(255, reason="Unknown"),
)
some_pods = st.lists(
    st.builds(
        pod,
        worker=st.integers(0, 2),
        name=st.text("abc", min_size=1, max_size=4),
        phase=st.sampled_from(["Pending", "Running", "Failed", "Succeeded"]),
        age=st.integers(0, 5),
        node=st.sampled_from([None, "n"]),
        state=st.sampled_from(ENDINGS),
        going=st.booleans(),
        conditions=st.lists(
            st.builds(
                condition,
                st.sampled_from(["DisruptionTarget", "PodScheduled", "Ready", "ContainersReady"]),
                st.sampled_from(["PreemptionByScheduler", "Unschedulable", ""]),
                st.just("words"),
                st.sampled_from(["True", "False"]),
            ),
            max_size=2,
        ),
    ),
    max_size=4,
)
some_events = st.lists(
    st.builds(
        event,
        some_pods.filter(bool).map(lambda found: found[0]),
        st.sampled_from(["Preempted", "Evicted", "Killing", "FailedScheduling", "FailedMount"]),
        st.just("words"),
        st.integers(0, 9),
    ),
    max_size=3,
)
some_words = st.none() | st.builds(
    said,
    st.sampled_from(["starting", "running", "restarting", "stopped", "failed"]),
    st.integers(-50, 50),
    message=st.sampled_from([None, "no step for 9 s (the limit is 9 s)", "storage has been away for 9 s: x"]),
    storage=st.sampled_from([None, "away for 9 s: x"]),
)
LINES = (
    "error: x",
    "waiting for the chief at a:1: b",
    "generation 2: all 2 workers have met",
    "ValueError: x",
    "warning: storage does not answer and is asked again; training goes on: x",
)
some_logs = st.dictionaries(st.integers(0, 2), st.lists(st.sampled_from(LINES), min_size=1))
verdicts = st.sampled_from([(), TOO_MANY, LATE, MISTAKE, [("Complete", "CompletionsReached", "")]])


@settings(max_examples=100, deadline=None)
@given(
    pods=some_pods,
    events=some_events,
    word=some_words,
    logs=some_logs,
    end=verdicts,
    gone=st.booleans(),
    at=st.integers(0, 900),
)
def test_whatever_is_seen_there_is_one_answer(pods, events, word, logs, end, gone, at):
    mine = None if gone else job(3, end, failed=1)
    here = diagnose(facts(mine, pods, events, word, logs, seconds=at))
    assert here.healthy == (here.cause is None)
    assert here.healthy == (here.fix is None)
    assert here.sentence
    assert not any(
        "\n" in text for text in (here.sentence, here.fix or "", *(each.text for each in here.evidence))
    )
    assert here.healthy or here.evidence or here.cause in ("unknown", "job-gone")


def test_every_cause_has_a_name_of_its_own():
    keys = [cause.key for cause in CAUSES]
    assert len(keys) == len({*keys})
    assert all(cause.title and cause.seen and cause.mend for cause in CAUSES)
