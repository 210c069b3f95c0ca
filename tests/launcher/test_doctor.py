"""What the doctor says without a cluster: this machine, folders, buckets, clocks; what it sends to pods."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.backends.kubernetes.status.pods import pod_status
from launcher.diagnosis.doctor import FAIL, OK, WARN, Report, Result, examine, probe, subject_of
from launcher.diagnosis.doctor.clock import judged
from launcher.diagnosis.doctor.deep import probe_manifests, unfinished
from launcher.diagnosis.doctor.probed import Probed
from launcher.diagnosis.doctor.probed import results as pods_results
from launcher.diagnosis.doctor.storage import results, storage
from launcher.spec import settings
from tests.launcher.kubernetes_objects import pod
from tests.support.teams import free_ports
from trainer.storage import LocalStore, open_store


def subject(**flags):
    return subject_of(settings.layered(flags))


def levels(report):
    return {each.check: each.level for each in report.checks}


def test_this_machine_and_a_folder(launcher, desk):
    done = launcher("doctor", "-o", "json")
    report = json.loads(done.stdout)
    assert [each["check"] for each in report["checks"]] == [
        "python",
        "packages",
        "tensorflow",
        "disk",
        "folder",
    ]
    assert (done.returncode, report["fail"]) == (0, 0)
    assert list(desk.iterdir()) == []  # runs is not made by a look at it
    text = launcher("doctor").stdout
    assert "ok    python" in text
    assert text.splitlines()[-1] == f"{report['ok']} ok, {report['warn']} warn, 0 fail"


def test_a_cluster_that_does_not_answer(launcher, desk, tmp_path):
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    config = {"current-context": "c", "contexts": [context], "users": [{"name": "u", "user": {}}]}
    config["clusters"] = [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}]
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    # Nobody asked for one: runs on this machine are still possible.
    assert levels(examine(subject()))["cluster"] == WARN
    done = launcher("doctor", "--context", "c", "-o", "json")
    found = {each["check"]: each for each in json.loads(done.stdout)["checks"]}
    assert (done.returncode, found["cluster"]["level"]) == (1, FAIL)
    assert "http://127.0.0.1:9" in found["cluster"]["text"]
    assert found["cluster"]["fix"]
    assert "namespace" not in found
    assert "cluster" not in levels(examine(subject(backend="local")))


def test_a_bucket(gcs_root, desk):
    found = storage(subject(root=gcs_root, image="a/b:1"))
    assert [(each.check, each.level) for each in found] == [("bucket", OK), ("bucket clock", OK)]
    assert found[0].text == f"{gcs_root}: write, read, list, precondition, delete"
    assert list(open_store(gcs_root).list()) == []


def test_a_bucket_that_is_not_there(gcs_server, desk):
    [found] = storage(subject(root="gs://no-such-bucket/x", image="a/b:1"))
    assert found.level == FAIL
    assert "no-such-bucket" in found.text
    assert found.fix.startswith("gcloud storage buckets create gs://no-such-bucket,")


def test_nobody_is_logged_in(desk, monkeypatch):
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(desk))
    [found] = storage(subject(root="gs://bucket/x", image="a/b:1"))
    assert (found.level, found.fix) == (FAIL, "gcloud auth application-default login")


def test_a_folder_is_not_for_pods(desk):
    [found] = storage(subject(root="runs", image="a/b:1"))
    assert (found.level, "--root gs://" in found.fix) == (WARN, True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(desk):
    desk.chmod(0o500)
    assert storage(subject())[0].level == FAIL


def test_a_root_that_is_a_file(desk):
    (desk / "runs").write_text("")
    assert FAIL in {each.level for each in storage(subject())}


class Careless(LocalStore):
    """A store that takes every write, as some proxies and emulators do."""

    def write(self, name, content, if_generation=None):
        return super().write(name, content, 0 if if_generation == 0 else None)


def test_a_store_that_does_not_mind_conditions(tmp_path):
    steps = list(probe.try_storage(Careless(tmp_path), "probe"))
    [failed] = [each for each in results("bucket", steps, "gs://b", str) if each.level == FAIL]
    assert failed.check == "bucket precondition"
    assert "two writers" in failed.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("ahead", "level"), [(0, OK), (-4.9, OK), (5, WARN), (-60, WARN), (300, FAIL), (-4000, FAIL)]
)
def test_clocks(ahead, level):
    found = judged("bucket clock", ahead)
    assert found.level == level
    assert bool(found.fix) == (level != OK)
    assert level == OK or ("ahead of" if ahead > 0 else "behind") in found.text


def test_a_report_counts():
    report = Report.of([Result("a", OK, ""), Result("b", FAIL, "", ""), Result("c", OK, "")])
    assert (report.ok, report.warn, report.fail) == (2, 0, 1)


def test_nothing_need_be_given_and_what_is_wrong_is_refused(desk, launcher):
    asked = subject(workers=3, gpus=2)
    assert (asked.spec.workers, asked.image, asked.required, asked.local) == (3, None, False, True)
    assert subject(image="a/b:1", root="gs://bucket/x").required
    for words, told in ((["--memory", "1"], "memory is '1'"), (["--image", "a:latest"], "latest")):
        done = launcher("doctor", *words)
        assert (done.returncode, done.stdout, told in done.stderr) == (2, "", True)


def test_what_is_sent_into_pods_is_small_and_goes_by_itself(desk):
    asked = subject(
        image="a/b:1", root="gs://bucket/x", namespace="team", gpus=2, cpu="8", env=["A=$(B)"], context=None
    )
    asked._api = type("Known", (), {"namespace": "team"})()
    job, service = probe_manifests(asked, "doctor-1")
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    assert service["kind"] == "Service"
    assert (spec["completions"], spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (2, 0, 600)
    [container] = pod["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "10m", "memory": "128Mi"},
        "limits": {"memory": "256Mi"},
    }
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["args"][0] == "gs://bucket/x"
    assert container["args"][2:] == ["doctor-1-0.doctor-1", "doctor-1-1.doctor-1"]
    sent = container["command"][-1]
    assert sent.replace("$$", "$") == Path(probe.__file__).read_text()


STEPS = [("started", "now"), ("dns", ""), ("network", "")]
BUCKET = [(f"bucket {step}", "") for step in probe.STEPS]
DONE = [(probe.DONE, "")]


def probed(told, unfinished=(), troubles=(), late=False):
    """What a report says of pods that have told so much, by check: level and text."""
    asked = subject(image="a/b:1", root="gs://bucket/x")
    here = list(pods_results(asked, Probed(told, list(troubles), list(unfinished), 12.0, late)))
    return {each.check: (each.level, each.text) for each in here}


def test_pods_that_came_to_their_end_are_well():
    found = probed({0: [*STEPS, *BUCKET, *DONE], 1: [*STEPS, *DONE]})
    assert {level for level, _ in found.values()} == {OK}
    assert set(found) == {"image", "pod dns", "pod network", "pod bucket"}


@given(st.integers(0, 8), st.integers(0, 3), st.booleans())
def test_whatever_pods_did_not_come_to_is_no_success(first, second, late):
    whole = [*STEPS, *BUCKET]
    told = {0: whole[: first + 1], 1: STEPS[: second + 1]}
    found = probed(told, ["pod 0 came as far as something"], late=late)
    assert found["pods"][0] == FAIL
    well = {check for check, (level, _) in found.items() if level == OK} - {"image"}
    assert ("pod bucket" in well) == (first + 1 >= len(whole))
    assert ("pod network" in well) == (first >= 2 and second >= 2)
    assert first + 1 >= len(whole) or any(
        "not known" in text for check, (level, text) in found.items() if level == FAIL
    )


def test_a_wrong_answer_of_either_pod_counts():
    wrong = [("started", "now"), ("dns", "no address")]
    found = probed({0: [*STEPS, *BUCKET, *DONE], 1: [*wrong, *DONE]})
    assert found["pod dns"] == (FAIL, "no address")
    assert found["pod network"] == (FAIL, "not known: pod 1 did not come so far")


def pod_of_probe(phase="Running", code=None, **more):
    state = {"running": {}} if code is None else {"terminated": {"exitCode": code, "reason": "OOMKilled"}}
    return pod(0, phase=phase, state=state, **more)


def test_why_a_pod_does_not_end():
    def why(found, steps):
        return unfinished(pod_status(0, [found]), found, steps)

    assert why(pod_of_probe("Succeeded", 0), [*STEPS, *BUCKET, *DONE]) == ""
    assert why(pod_of_probe(), STEPS) == "pod 0 came as far as 'network'"
    killed = why(pod_of_probe("Failed", 137), STEPS)
    assert killed.startswith("pod 0 came as far as 'network': ") and "memory" in killed
    meshed = pod_of_probe(code=0)
    meshed["spec"]["containers"].append({"name": "istio-proxy"})
    assert "does not end, as container 'istio-proxy' goes on" in why(meshed, [*STEPS, *DONE])


def test_two_pods_meet_and_the_first_tries_the_bucket(gcs_root, gcs_server):
    """The file as it is sent, in two processes; on loopback they call each other by port, not by name."""
    source, ports, local = Path(probe.__file__).read_text(), free_ports(2), "127.0.0.1"
    started = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                _FOR_LOOPBACK.format(peer=ports[1 - index]) + source,
                gcs_root,
                "p",
                local,
                local,
            ],
            env=os.environ | {"JOB_COMPLETION_INDEX": str(index), "GANTRY_PORT": str(ports[index])},
            stdout=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    said = [
        [
            json.loads(line.removeprefix(probe.MARK))
            for line in process.communicate(timeout=120)[0].splitlines()
        ]
        for process in started
    ]
    assert [process.returncode for process in started] == [0, 0]
    assert [step for step, _ in said[1]] == ["started", "dns", "network", "done"]
    steps = dict(said[0])
    assert set(steps) >= {f"bucket {step}" for step in ("write", "read", "list", "precondition", "delete")}
    assert {said for step, said in steps.items() if step not in ("started", "bucket clock")} == {""}


_FOR_LOOPBACK = """
import socket
real = socket.create_connection
socket.create_connection = lambda address, **more: real((address[0], {peer}), **more)
"""


def test_a_peer_without_a_name_is_told():
    [(step, said)] = list(probe.meet("no-such-host.invalid", free_ports(1)[0], seconds=0.1))
    assert (step, "no-such-host.invalid" in said) == ("dns", True)
