"""What the launcher makes of an API server's refusals, its Jobs' words and its version; pure functions."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.backends.kubernetes.client.kinds import kind_of
from launcher.backends.kubernetes.client.rejections import rejection
from launcher.backends.kubernetes.jobs.preflight import check_version, needed
from launcher.backends.kubernetes.status.jobs import (
    attempt_of,
    is_stopped,
    missing_workers,
    verdict,
    workers_of,
)
from launcher.errors import (
    AlreadyExists,
    ApiFailed,
    ApiRejected,
    CannotAsk,
    Expired,
    Forbidden,
    NamespaceMissing,
    NotFound,
    NotLoggedIn,
    SpecError,
    Transient,
    Unsupported,
)
from launcher.render.labels import MANAGED, belongs, of_run
from tests.launcher.kubernetes_objects import job
from trainer.errors import EXIT_USER
from trainer.run.layout import RunPath


def status(message, reason="", **details):
    return json.dumps({"kind": "Status", "message": message, "reason": reason, "details": details}).encode()


CANNOT = (
    'jobs.batch is forbidden: User "eve" cannot create resource "jobs" in API group "batch" '
    'in the namespace "team"'
)
FAILED_WEBHOOK = (
    'Internal error occurred: failed calling webhook "a.b.c": failed to call webhook: Post '
    '"https://10.0.0.1:443/": context deadline exceeded'
)
NODE = '"https://10.0.0.7:10250/containerLogs/team/one-0-x7k2p/trainer?follow=true"'
CONVERSION = "conversion webhook for x.y/v1, Kind=Z failed: connect: connection refused"
FINALIZERS = (
    'services "one" is forbidden: cannot set blockOwnerDeletion if an ownerReference refers to a resource '
    "you can't set finalizers on"
)


@pytest.mark.parametrize(
    ("code", "body", "kind", "words"),
    [
        (
            403,
            status(CANNOT, "Forbidden"),
            Forbidden,
            ["'eve'", "create jobs.batch", "'team'", "launcher-role"],
        ),
        (403, status(CANNOT.replace("eve", "system:anonymous")), NotLoggedIn, ["'here'"]),
        (403, status(FINALIZERS, "Forbidden"), Forbidden, ["update jobs/finalizers.batch", "launcher-role"]),
        (
            403,
            status('pods "x" is forbidden: exceeded quota: q', "Forbidden"),
            ApiRejected,
            ["exceeded quota"],
        ),
        (401, status("Unauthorized", "Unauthorized"), NotLoggedIn, ["'here'", "expired"]),
        (404, status('namespaces "x" not found', kind="namespaces", name="x"), NamespaceMissing, ["'x'"]),
        (404, status('jobs.batch "x" not found', "NotFound", kind="jobs"), NotFound, ["x"]),
        (409, status('jobs.batch "x" already exists', "AlreadyExists"), AlreadyExists, ["x"]),
        (409, status("Operation cannot be fulfilled on resourcequotas", "Conflict"), Transient, ["409"]),
        (409, status("the UID in the precondition does not match", "Conflict"), ApiRejected, ["UID"]),
        (410, status("too old resource version", "Expired"), Expired, ["too old"]),
        (422, status("spec.x:\n  Invalid value", "Invalid"), ApiRejected, ["spec.x: Invalid value"]),
        (429, status("slow down"), Transient, ["429"]),
        (503, b"<html><b>no healthy upstream</b></html>", Transient, ["no healthy upstream"]),
        (502, b"", Transient, ["502"]),
        (504, b"", Transient, ["504"]),
        (500, b"", ApiFailed, ["500"]),
        (500, status("Internal error occurred: no idea", "InternalError"), ApiFailed, ["no idea"]),
        (500, status("etcdserver: leader changed"), Transient, ["leader changed"]),
        (500, status("etcdserver: request timed out"), Transient, ["timed out"]),
        (500, status("etcdserver: mvcc: database space exceeded"), ApiFailed, ["space exceeded"]),
        (500, status("rpc error: code = Unavailable desc = transport is closing"), Transient, ["closing"]),
        (500, status("The list operation could not be completed", "ServerTimeout"), Transient, ["list"]),
        (500, status(FAILED_WEBHOOK, "InternalError"), ApiFailed, ["failed calling webhook", "10.0.0.1"]),
        (500, status(CONVERSION, "InternalError"), ApiFailed, ["conversion webhook"]),
        (500, status(f"Get {NODE}: dial tcp 10.0.0.7:10250: i/o timeout"), ApiFailed, ["containerLogs"]),
        (503, status('admission webhook "a.b.c" denied the request: not now'), ApiRejected, ["not now"]),
        (429, status('admission webhook "a.b.c" denied the request: enough'), ApiRejected, ["enough"]),
    ],
)
def test_refusals(code, body, kind, words):
    error = rejection(code, body, "here")
    assert type(error) is kind
    assert "\n" not in str(error)
    for word in words:
        assert word in str(error)


def test_the_user_can_mend_what_is_the_users():
    for kind in (Forbidden, NotLoggedIn, NamespaceMissing):
        assert kind.exit_code == EXIT_USER


def test_a_server_says_how_long_to_leave_it_alone():
    assert rejection(429, b"", "here", "7").after == 7.0
    assert rejection(429, b"", "here", "Wed, 21 Oct 2026 07:28:00 GMT").after == 0.0
    assert rejection(500, status("wait", "ServerTimeout", retryAfterSeconds=3), "here").after == 3.0


def test_what_cannot_be_asked_is_known_as_such():
    for kind in (Forbidden, NotLoggedIn, NamespaceMissing, ApiFailed):
        assert issubclass(kind, CannotAsk)
    for kind in (NotFound, AlreadyExists, ApiRejected):
        assert not issubclass(kind, CannotAsk)


@given(code=st.integers(300, 599), body=st.binary() | st.text().map(lambda text: status(text)))
def test_any_refusal_is_one_line(code, body):
    error = rejection(code, body, "here")
    assert isinstance(error, Exception)
    assert str(error).strip()
    assert len(str(error).splitlines()) == 1


@given(code=st.integers(400, 599), before=st.text(), after=st.text())
def test_the_word_of_a_webhook_is_never_tried_again(code, before, after):
    said = status(f'{before} failed calling webhook "a.b.c": {after}', "InternalError")
    assert not isinstance(rejection(code, said, "here"), Transient)


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], None),
        ([("Suspended", "JobSuspended", "")], None),
        ([("SuccessCriteriaMet", "CompletionsReached", "")], True),
        ([("Complete", "CompletionsReached", "")], True),
        ([("FailureTarget", "PodFailurePolicy", "")], False),
        ([("SuccessCriteriaMet", "", "", "False"), ("Failed", "BackoffLimitExceeded", "")], False),
    ],
)
def test_a_job_is_decided_as_soon_as_its_controller_says_so(conditions, expected):
    found = verdict(job(conditions=conditions))
    assert (None if found is None else found.succeeded) is expected
    assert is_stopped(job(conditions=conditions)) == (expected is not None)


def test_a_suspended_job_is_stopped_unless_a_queue_holds_it():
    assert is_stopped(job(suspend=True))
    assert not is_stopped(job(suspend=True, labels={"kueue.x-k8s.io/queue-name": "team"}))
    assert not is_stopped(job())


def test_counts_of_a_job():
    assert workers_of(job(workers=3)) == 3
    assert missing_workers(job(workers=3, ready=1, succeeded=1)) == 1
    assert missing_workers(job(workers=1)) == 1
    assert attempt_of(job()) == 1
    assert attempt_of(job(labels={"gantry/attempt": "x"})) is None


def test_objects_of_a_run_are_those_with_its_labels_and_its_root():
    path = RunPath("gs://runs/gan/", "gan", "one")
    assert belongs(job(), path)
    assert not belongs(job(), path._replace(root="gs://other"))
    assert not belongs(job(), path._replace(name="two"))
    assert not belongs(job(labels={"app.kubernetes.io/part-of": "other"}), path)
    assert not belongs({"metadata": {}}, path)
    assert of_run(path) == (
        "app.kubernetes.io/name=gantry,app.kubernetes.io/instance in (one),app.kubernetes.io/part-of=gan"
    )
    assert MANAGED == "app.kubernetes.io/managed-by=gantry"


@pytest.mark.parametrize(
    ("major", "minor", "ok"), [("1", "31", True), ("1", "36+", True), ("2", "0", True), ("1", "30+", False)]
)
def test_versions(major, minor, ok):
    version = {"major": major, "minor": minor, "gitVersion": f"v{major}.{minor}.1"}
    if ok:
        return check_version(version)
    with pytest.raises(Unsupported, match=r"v1\.30\+\.1: expected 1\.31 or newer.*podFailurePolicy"):
        check_version(version)
    return None


def test_permissions_grow_with_what_is_sent():
    sent = [{"apiVersion": "batch/v1", "kind": "Job"}, {"apiVersion": "v1", "kind": "Service"}]
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    few, more = ({str(each) for each in needed(objects)} for objects in (sent, [*sent, policy]))
    assert more - few == {"create networkpolicies.networking.k8s.io"}
    assert {"create services", "patch jobs.batch", "get pods/log", "list events"} <= few


def test_addresses_of_objects():
    assert kind_of("Job").path("team", "one") == "/apis/batch/v1/namespaces/team/jobs/one"
    assert kind_of("Pod").path("team") == "/api/v1/namespaces/team/pods"
    review = kind_of("SelfSubjectAccessReview")
    assert review.path("team") == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    with pytest.raises(SpecError, match="kind Deployment: expected one of ConfigMap"):
        kind_of("Deployment")
