"""Secrets and ConfigMaps that are not there, in the words of a real kubelet."""

import pytest

from launcher.diagnosis.explain import diagnose
from tests.launcher.explaining import answer, facts
from tests.launcher.kubernetes_objects import event, job, pod, waiting

CONFIG = "CreateContainerConfigError"


def stuck(message, **variables):
    """A pod whose container waits for its environment; variables are ``NAME=(Secret, key)``."""
    found = pod(0, phase="Pending", state=waiting(CONFIG, message))
    found["spec"]["containers"][0]["env"] = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
        for name, (secret, key) in variables.items()
    ]
    return found


def mounting(message):
    found = pod(0, phase="Pending", state=waiting("ContainerCreating"))
    told = event(found, "FailedMount", message)
    told["involvedObject"]["uid"] = found["metadata"]["uid"]
    return found, told


def test_a_secret_that_is_not_there_is_made_with_all_keys_that_are_asked_for():
    asked = {
        "HUB": ("hub", "token"),
        "USER": ("hub", "user"),
        "OTHER": ("other", "x"),
        "AGAIN": ("hub", "token"),
    }
    cause, sentence, fix, seen = answer(facts(job(1), [stuck('secret "hub" not found', **asked)]))
    assert (cause, seen) == ("secret-missing", ["Pod/one-0-abcde"])
    assert sentence == "worker 0 cannot start: Secret 'hub' is not in namespace 'team'"
    assert fix == "kubectl -n team create secret generic hub --from-file=token=FILE --from-file=user=FILE"


@pytest.mark.parametrize(
    ("message", "sentence", "fix"),
    [
        ("couldn't find key token in Secret team/hub", "Secret 'hub' has no key 'token'", "edit secret hub"),
        ("couldn't find key a.b in ConfigMap team/c", "ConfigMap 'c' has no key 'a.b'", "edit configmap c"),
        ('configmap "c" not found', "ConfigMap 'c' is not in", "create configmap c --from-file=KEY=FILE"),
    ],
)
def test_a_key_or_a_configmap_is_named(message, sentence, fix):
    cause, said, mend, _ = answer(facts(job(1), [stuck(message)]))
    assert cause == "secret-missing"
    assert sentence in said
    assert fix in mend


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ('MountVolume.SetUp failed for volume "keys" : secret "hub" not found', "Secret 'hub' is not in"),
        ('MountVolume.SetUp failed for volume "c" : configmap "c" not found', "ConfigMap 'c' is not in"),
        (
            'MountVolume.SetUp failed for volume "keys" : references non-existent secret key: token',
            "a Secret that it mounts has no key 'token'",
        ),
    ],
)
def test_a_volume_of_one_is_told_by_its_event(message, sentence):
    found, told = mounting(message)
    cause, said, _, seen = answer(facts(job(1), [found], [told]))
    assert (cause, seen) == ("secret-missing", ["Pod/one-0-abcde"])
    assert sentence in said


def test_what_was_overcome_is_not_named():
    found, told = mounting('MountVolume.SetUp failed for volume "keys" : secret "hub" not found')
    running = pod(0)
    told["involvedObject"]["uid"] = running["metadata"]["uid"]
    assert diagnose(facts(job(1), [running], [told])).healthy
    assert found["metadata"]["uid"] == running["metadata"]["uid"]
