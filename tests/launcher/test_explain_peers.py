"""Workers that do not find one another, or wait for one that is stuck."""

import threading

import pytest

from launcher.diagnosis.explain import diagnose
from launcher.diagnosis.explain.causes.policies import forbidden
from launcher.render import render
from launcher.spec.runspec import make_spec
from tests.launcher.explaining import TOO_MANY, answer, facts, failed, unresolved
from tests.launcher.kubernetes_objects import job, pod, said, stamp
from trainer.training.watchdog import Watchdog

RESUME = "launcher resume gan/one"


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
         "launcher rerun gan/one --profile network-policy"),
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
    labels["batch.kubernetes.io/job-name"] = "one"  # by the Job's controller
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
            '  File "/app/trainer/training/input_pipeline.py", line 61 in take',
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
    assert any("trainer/training/input_pipeline.py" in each.text for each in diagnose(here).evidence)
    assert "worker-1's log" in objects
    silent = facts(job(2), [pod(0), pod(1)], said=said("running"), seconds=300)
    assert answer(silent)[0] == "stalled"
