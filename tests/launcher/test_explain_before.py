"""What keeps workers from starting, from what a real API server, scheduler and kubelet said of it.

Texts of other registries and runtimes than the test cluster's, and Kueue's objects, are as documented.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.backends.kubernetes.capacity.matching import attracted, selected, untolerated
from launcher.diagnosis.explain import diagnose
from launcher.diagnosis.explain.facts import KUEUE
from tests.launcher.explaining import answer, facts
from tests.launcher.kubernetes_objects import condition, event, job, pod, said, stamp, waiting

ABSENT = (
    'rpc error: code = NotFound desc = failed to pull and unpack image "reg/gantry:1": failed to resolve '
    'reference "reg/gantry:1": reg/gantry:1: not found'
)


def pulling(message, reason="ImagePullBackOff"):
    """A run whose only pod waits for its image."""
    return facts(job(1), [pod(0, phase="Pending", state=waiting(reason, message))])


def refused(message, **more):
    """A run whose pods are not let in."""
    one = job(1, startTime=stamp())
    return facts(one, [], [event(one, "FailedCreate", f"Error creating: {message}", 5.0)], **more)


def homeless(message, nodes=(), asked=None, events=True, **spec):
    """A run whose only pod has no node."""
    found = pod(0, phase="Pending", node=None)
    found["spec"] |= {"tolerations": [], **spec}
    found["spec"]["containers"][0]["resources"] = {"requests": asked or {"cpu": "1", "memory": "2Gi"}}
    found["status"]["conditions"] = [condition("PodScheduled", "Unschedulable", message, "False")]
    seen = [event(found, "FailedScheduling", message, 3.0)] if events else []
    return facts(job(1), [found], seen, nodes=nodes)


def node(name="a", labels=None, taints=(), unschedulable=False, **allocatable):
    room = {"cpu": "4", "memory": "16Gi", "pods": "110", "ephemeral-storage": "90Gi", **allocatable}
    spec = {"taints": list(taints), **({"unschedulable": True} if unschedulable else {})}
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": spec,
        "status": {"allocatable": room},
    }


TAINT = {"key": "team", "value": "others", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        ("image-missing", ABSENT),
        ("image-missing", 'Back-off pulling image "reg/gantry:1": ErrImagePull: manifest unknown'),
        ("wrong-architecture", "code = NotFound desc = no match for platform in manifest: not found"),
        ("wrong-architecture", "no matching manifest for linux/arm64/v8 in the manifest list entries"),
        ("image-unauthorized", "from host reg failed with status code [manifests 1]: 401 Unauthorized"),
        ("image-unauthorized", "failed to fetch oauth token: unexpected status: 403 Forbidden"),
        (
            "image-unauthorized",
            "pull access denied, repository does not exist or may require authorization: server message: "
            "insufficient_scope: authorization failed",
        ),
        ("registry-unreachable", 'Head "https://reg/v2/": dial tcp: lookup reg: no such host'),
        ("registry-unreachable", "tls: failed to verify certificate: x509: unknown authority"),
    ],
)  # fmt: skip
def test_why_an_image_cannot_be_pulled(cause, message):
    key, sentence, fix, seen = answer(pulling(message))
    assert (key, seen) == (cause, ["Pod/one-0-abcde"])
    assert "reg/gantry:1" in sentence
    assert "launcher resume gan/one" in fix
    assert "--replace --root gs://runs/gan" in fix


def test_the_reason_is_the_event_s_while_the_state_says_back_off_alone():
    one = pod(0, phase="Pending", state=waiting("ImagePullBackOff", 'Back-off pulling image "reg/gantry:1"'))
    told = event(one, "Failed", f'Failed to pull image "reg/gantry:1": {ABSENT}', 4.0)
    told["involvedObject"]["uid"] = one["metadata"]["uid"]
    cause, _, _, seen = answer(facts(job(1), [one], [told]))
    assert (cause, seen) == ("image-missing", ["Pod/one-0-abcde"] * 2)


def test_a_registry_that_hides_whether_an_image_is_there_is_told_as_it_is():
    text = "pull access denied, repository does not exist or may require authorization"
    _, sentence, fix, _ = answer(pulling(text))
    assert "or it does not exist there" in sentence
    assert "--docker-server=docker.io" in fix  # no host in the image's name


@pytest.mark.parametrize(
    ("message", "cause", "word", "fix"),
    [
        (
            'pods "one-0-a" is forbidden: exceeded quota: team, requested: requests.cpu=50, '
            "used: requests.cpu=3120m, limited: requests.cpu=40",
            "quota", "50 of requests.cpu, and 3.12 of 40 is used", "--cpu 36.88",
        ),
        (
            "exceeded quota: team, requested: pods=1, used: pods=5, limited: pods=5",
            "quota", "1 of pods, and 5 of 5", "describe resourcequota team",
        ),
        (
            'pods "one-0-a" is forbidden: failed quota: team: must specify limits.cpu for: trainer',
            "quota", "limits.cpu for: trainer", "--manifests DIR",
        ),
        (
            'pods "one-0-a" is forbidden: maximum memory usage per Container is 200Gi, but limit is 900Gi',
            "limit-range", "at most 200Gi of memory, and a worker asks for 900Gi", "--memory 200Gi",
        ),
        (
            'pods "one-0-a" is forbidden: minimum cpu usage per Container is 1, but request is 100m',
            "limit-range", "at least 1 of cpu, and a worker asks for 100m", "--cpu 1",
        ),
        (
            'pods "one-0-a" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
            "pod-security", "runAsNonRoot != true", "launcher rerun gan/one --manifests DIR",
        ),
        (
            'error looking up service account team/absent: serviceaccount "absent" not found',
            "service-account-missing", "'absent'", "kubectl -n team create serviceaccount absent",
        ),
        (
            'pods "one-0-a" is forbidden: no PriorityClass with name absent was found',
            "priority-class-missing", "'absent'", "kubectl get priorityclasses",
        ),
        (
            'Internal error occurred: failed calling webhook "a.b.c": failed to call webhook: Post '
            '"https://x/": dial tcp 127.0.0.1:1: connect: connection refused',
            "webhook-failing", "'a.b.c' does not answer", "custom-columns=",
        ),
        (
            'admission webhook "a.b.c" denied the request: no',
            "admission-refused", "'a.b.c' refuses the pods: no", "--manifests DIR",
        ),
        (
            "is forbidden: ValidatingAdmissionPolicy 'p' with binding 'q' denied request: no",
            "admission-refused", "'p' refuses the pods: no", "--manifests DIR",
        ),
    ],
)  # fmt: skip
def test_why_pods_cannot_be_made(message, cause, word, fix):
    key, sentence, command, seen = answer(refused(message))
    assert (key, seen[0]) == (cause, "Job/one")
    assert word in sentence
    assert fix in command


def crowded(workers, here, message, batch="batch_size=60", **more):
    """A run of so many workers of one core each, of which so many have a pod; a quota lets no more in."""
    one, pods = job(workers, startTime=stamp()), [pod(index) for index in range(here)]
    for each in pods:
        each["spec"]["containers"][0]["resources"]["requests"] = {"cpu": "1"}
    text = f'Error creating: pods "one-4-a" is forbidden: exceeded quota: team, {message}'
    return facts(one, pods, [event(one, "FailedCreate", text, 5.0)], overrides=[batch], **more)


def test_what_the_run_s_own_pods_use_is_not_what_others_use():
    full = "requested: requests.cpu=1, used: requests.cpu=4, limited: requests.cpu=4"
    cause, sentence, fix, _ = answer(crowded(6, 4, full))
    assert cause == "quota"
    assert sentence.endswith("and 4 of 4 is used, all of it by the run's own 4 pods")
    assert fix.endswith("launcher resume gan/one --workers 4 --replace --root gs://runs/gan")
    assert answer(crowded(6, 4, full, "batch_size=42"))[2].endswith(
        "--workers 3 --replace --root gs://runs/gan"
    )
    beside = "requested: requests.cpu=1, used: requests.cpu=5, limited: requests.cpu=5"
    _, sentence, fix, _ = answer(crowded(6, 3, beside))
    assert sentence.endswith("and 5 of 5 is used, 3 of it by the run's own 3 pods and 2 by others")
    assert "resume gan/one --workers 3" in fix
    patient = "requested: requests.cpu=1, used: requests.cpu=6, limited: requests.cpu=6"
    assert "the Job tries again by itself" in answer(crowded(6, 3, patient))[2]  # six fit when others end


def test_workers_of_which_none_fits_are_made_smaller_all_of_them():
    small = "requested: requests.cpu=1, used: requests.cpu=0, limited: requests.cpu=900m"
    assert "--cpu 0.15" in answer(crowded(6, 0, small))[2]
    memory = "requested: requests.memory=8Gi, used: requests.memory=0, limited: requests.memory={}"
    assert "--memory 2730Mi" in answer(crowded(3, 0, memory.format("8191Mi")))[2]
    # A third of 2 GiB is less than a worker needs, however it is asked for.
    fix = answer(crowded(3, 0, memory.format("2Gi")))[2]
    assert "--memory" not in fix and "have it raised" in fix


def test_a_default_limit_below_what_is_asked_for():
    text = (
        'Pod "one-0-a" is invalid: spec.containers[0].resources.requests: Invalid value: "500m": must be '
        "less than or equal to cpu limit of 150m"
    )
    cause, sentence, fix, _ = answer(refused(text))
    assert cause == "limit-default"
    assert "asks for 500m of cpu" in sentence and "one of 150m" in sentence
    assert "--cpu 150m" in fix


def test_no_less_memory_is_advised_than_a_worker_needs():
    low = "maximum memory usage per Container is 256Mi, but limit is 2Gi"
    fix = answer(refused(low))[2]
    assert fix == "kubectl -n team describe limitrange  # have it raised: a worker needs 1280Mi"
    message = "0/1 nodes are available: 1 Insufficient memory."
    asked = {"memory": "100Gi"}
    assert "resume gan/one --memory 1280Mi" in answer(homeless(message, [node()], asked))[2]
    assert "describe nodes" in answer(homeless(message, [node(memory="1Gi")], asked))[2]


def limited(limit="150m", **more):
    """A run whose pod has a limit on CPU that its Job's template has not."""
    one = pod(0)
    one["spec"]["containers"][0]["resources"] = {"limits": {"memory": "2Gi", "cpu": limit}}
    one["metadata"]["annotations"] = {"kubernetes.io/limit-ranger": "LimitRange plugin set: cpu limit"}
    return facts(job(1), [one], **more)


def test_a_limit_that_nobody_asked_for_is_why_a_run_starts_slowly():
    cause, sentence, fix, seen = answer(limited())
    assert (cause, seen) == ("throttled", ["Pod/one-0-abcde"] * 2)
    assert sentence.startswith("run 'one' starts slowly, as container 'trainer' gets limits.cpu 0.15")
    assert "--manifests DIR" in fix
    roomy = diagnose(limited("8"))
    assert roomy.healthy and "gets limits.cpu 8, which nobody asked for" in roomy.sentence


def test_of_a_run_that_trains_it_is_told_what_its_pods_were_given():
    here = diagnose(limited(said=said()))
    assert here.healthy
    assert "trains, step 20" in here.sentence
    assert "; but container 'trainer' gets limits.cpu 0.15, which nobody asked for" in here.sentence


def test_a_quota_s_own_figures_are_evidence_where_they_may_be_read():
    hard, used = {"pods": "5"}, {"pods": "5"}
    quota = {"kind": "ResourceQuota", "metadata": {"name": "team"}, "status": {"hard": hard, "used": used}}
    message = "exceeded quota: team, requested: pods=1, used: pods=5, limited: pods=5"
    here = diagnose(refused(message, quotas=[quota]))
    assert [(each.field, each.text) for each in here.evidence[1:]] == [
        ("status.hard", "pods 5"),
        ("status.used", "pods 5"),
    ]


def test_a_refusal_that_nobody_knows_is_unknown_and_not_well():
    here = diagnose(refused("something new"))
    assert (here.healthy, here.cause) == (False, "unknown")
    assert "something new" in here.evidence[0].text


def test_a_refusal_is_over_once_the_pods_are_there():
    one = job(1)
    here = facts(one, [pod(0)], [event(one, "FailedCreate", "Error creating: exceeded quota: team", 1.0)])
    assert diagnose(here).healthy


@pytest.mark.parametrize(
    ("resource", "asked", "cause", "word"),
    [
        ("cpu", {"cpu": "6"}, "insufficient-cpu", "6 cores: the largest node that it may go to has 4 cores"),
        ("memory", {"memory": "20Gi"}, "insufficient-memory", "20Gi of memory: the largest"),
        ("nvidia.com/gpu", {"nvidia.com/gpu": "1"}, "no-gpu", "no node has GPUs"),
        ("ephemeral-storage", {"ephemeral-storage": "1Ti"}, "insufficient-other", "largest node that"),
        ("cpu", {"cpu": "3"}, "insufficient-cpu", "others have a part"),
    ],
)  # fmt: skip
def test_what_nodes_have_too_little_of(resource, asked, cause, word):
    message = (
        f"0/2 nodes are available: 1 Insufficient {resource}, 1 node(s) had untolerated taint(s). no new"
    )
    here = homeless(message, [node(), node("b", taints=[TAINT])], asked)
    key, sentence, _, seen = answer(here)
    assert (key, seen) == (cause, ["Pod/one-0-abcde", "Node/a"])
    assert word in sentence
    assert answer(homeless(message, asked=asked))[0] == cause  # without a look at the nodes


def test_nodes_that_do_not_measure_their_disks():
    message, asked = (
        "0/1 nodes are available: 1 Insufficient ephemeral-storage.",
        {"ephemeral-storage": "2304Mi"},
    )
    rootless = node()
    del rootless["status"]["allocatable"]["ephemeral-storage"]
    cause, sentence, fix, _ = answer(homeless(message, [rootless], asked))
    assert (cause, sentence) == (
        "insufficient-other",
        "no node measures its disk, and worker 0 requests 2.25Gi of it",
    )
    assert fix.startswith("launcher rerun gan/one --profile no-disk-request")
    fix = answer(homeless(message, [node(), rootless], asked))[2]  # the other is full for now
    assert "no-disk-request" not in fix
    _, sentence, _, _ = answer(homeless(message, asked=asked))  # nobody may look
    assert sentence.endswith("take it with --profile no-disk-request alone")


def test_too_many_pods():
    assert answer(homeless("0/1 nodes are available: 1 Too many pods.", [node()]))[0] == "insufficient-other"


SELECTOR = (
    "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, "
    "1 node(s) had untolerated taint(s)"
)
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def test_of_two_nodes_the_one_that_is_meant_decides():
    selecting = {"nodeSelector": {"disk": "ssd"}}
    meant = [node(), node("b", {"disk": "ssd"}, [TAINT])]
    cause, sentence, _, seen = answer(homeless(SELECTOR, meant, **selecting))
    assert (cause, seen[1]) == ("taint", "Node/b")
    assert "team=others:NoSchedule" in sentence
    other = [node(), node("b", {}, [TAINT])]
    assert answer(homeless(SELECTOR, other, **selecting))[0] == "node-selector"
    cause, sentence, _, _ = answer(homeless(SELECTOR, **selecting))  # nobody may look
    assert cause == "no-node"
    assert (
        "1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had untolerated taint(s)" in sentence
    )


def test_a_cordoned_node():
    tainted = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    here = homeless("0/1 nodes are available: 1 node(s) were unschedulable.", [node(taints=[tainted])])
    cause, sentence, fix, _ = answer(here)
    assert (cause, fix) == ("taint", "kubectl uncordon a")
    assert "cordoned" in sentence


def test_the_taint_is_named_by_older_schedulers():
    text = "0/1 nodes are available: 1 node(s) had untolerated taint {team: others}."
    assert "{team: others}".strip("{}") in answer(homeless(text))[1]


@pytest.mark.parametrize(
    ("message", "affinity", "word"),
    [
        (
            "1 node(s) didn't match Pod's node affinity/selector",
            {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
            ]}}},
            "required node affinity",
        ),
        (
            "1 node(s) didn't match pod affinity rules",
            {"podAffinity": {REQUIRED: [{"topologyKey": "zone"}]}},
            "nearness to other pods",
        ),
        (
            "1 node(s) didn't match pod anti-affinity rules",
            {"podAntiAffinity": {REQUIRED: [{"topologyKey": "zone"}]}},
            "distance from other pods",
        ),
    ],
)  # fmt: skip
def test_affinity_that_cannot_be_met(message, affinity, word):
    cause, sentence, _, _ = answer(
        homeless(f"0/1 nodes are available: {message}.", [node()], affinity=affinity)
    )
    assert cause == "affinity"
    assert word in sentence


def test_a_claim_without_a_volume():
    claim = {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"storageClassName": "fast"},
        "status": {"phase": "Pending"},
    }
    here = homeless("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found")
    here = here.__class__(**{**here.__dict__, "others": {"PersistentVolumeClaim/data": claim}})
    cause, sentence, fix, seen = answer(here)
    assert (cause, seen[1]) == ("volume-unbound", "PersistentVolumeClaim/data")
    assert "claim 'data' is bound to none (storage class 'fast')" in sentence
    assert fix == "kubectl -n team describe persistentvolumeclaim data"


@pytest.mark.parametrize(
    ("taint", "toleration", "keeps_away"),
    [
        (TAINT, {"key": "team", "operator": "Exists"}, False),
        (TAINT, {"operator": "Exists"}, False),
        (TAINT, {"key": "team", "value": "others"}, False),
        (TAINT, {"key": "team", "value": "ours"}, True),
        (TAINT, {"key": "team", "operator": "Exists", "effect": "NoExecute"}, True),
        ({**TAINT, "effect": "PreferNoSchedule"}, {"key": "other"}, False),
    ],
)
def test_tolerations_are_read_as_the_scheduler_reads_them(taint, toleration, keeps_away):
    found = untolerated(node(taints=[taint]), {"tolerations": [toleration]})
    assert bool(found) == keeps_away


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"))


@given(LABELS, LABELS)
def test_a_node_selector_says_the_same_as_an_affinity_with_its_labels(labels, wanted):
    terms = [{"key": key, "operator": "In", "values": [value]} for key, value in wanted.items()]
    required = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": terms}]}}}
    here = node(labels=labels)
    assert selected(here, {"nodeSelector": wanted}) == attracted(here, {"affinity": required})


@given(LABELS, st.sampled_from("abc"), st.lists(st.sampled_from("xyz"), min_size=1))
def test_what_is_in_is_not_not_in(labels, key, values):
    def meets(operator):
        term = {"matchExpressions": [{"key": key, "operator": operator, "values": values}]}
        return attracted(
            node(labels=labels), {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [term]}}}}
        )

    assert meets("In") != meets("NotIn")
    assert meets("Exists") != meets("DoesNotExist")


QUEUE = {"kueue.x-k8s.io/queue-name": "research"}
NO_QUOTA = (
    "couldn't assign flavors to pod set main: insufficient unused quota for cpu in flavor a, 1 more needed"
)


def queued(**others):
    one = job(1, suspend=True, labels=QUEUE, conditions=[("Suspended", "JobSuspended", "Job suspended")])
    return facts(one, [], others={key.replace("__", "/"): value for key, value in others.items()})


def test_a_queue_of_a_cluster_without_kueue():
    here = facts(job(1, suspend=True, labels=QUEUE), [], others={KUEUE: {}})
    cause, sentence, _, _ = answer(here)
    assert cause == "queued"
    assert (
        sentence
        == "run 'one' waits in queue 'research', and the cluster has no Kueue that could let it begin"
    )


def test_a_queue_with_its_reason_and_the_place_in_it():
    group = {"kind": "APIGroup", "version": "kueue.x-k8s.io/v1beta1"}
    conditions = [condition("QuotaReserved", "Pending", NO_QUOTA, "False")]
    workload = {"kind": "Workload", "metadata": {"name": "job-one"}, "status": {"conditions": conditions}}
    place = {"kind": "PendingWorkload", "metadata": {"name": "job-one"}, "positionInLocalQueue": 2}
    others = {KUEUE: group, "Workload/job-one": workload, "PendingWorkload/job-one": place}
    here = facts(job(1, suspend=True, labels=QUEUE), [], others=others)
    cause, sentence, fix, seen = answer(here)
    assert cause == "queued"
    assert sentence == f"run 'one' waits in queue 'research', at position 3: {NO_QUOTA}"
    assert fix == "kubectl -n team describe workload job-one"
    assert seen == ["Workload/job-one", "PendingWorkload/job-one", "Job/one"]


def test_a_queue_that_kueue_does_not_know():
    here = facts(job(1, suspend=True, labels=QUEUE), [], others={KUEUE: {"kind": "APIGroup"}})
    assert "its LocalQueue may not exist" in answer(here)[1]


def test_who_suspended_a_job_is_told():
    one = job(1, suspend=True, conditions=[("Suspended", "JobSuspended", "Job suspended")])
    one["metadata"]["managedFields"] = [
        {"manager": "launcher", "time": stamp(0), "fieldsV1": {"f:spec": {"f:suspend": {}}}},
        {"manager": "kubectl-patch", "time": stamp(9), "fieldsV1": {"f:spec": {"f:suspend": {}}}},
    ]
    cause, sentence, fix, _ = answer(facts(one, []))
    assert (cause, fix) == ("suspended", "launcher resume gan/one --root gs://runs/gan")
    assert "with kubectl-patch" in sentence
    one["metadata"]["annotations"]["gantry/cancelled"] = stamp(9)
    assert answer(facts(one, []))[0] == "cancelled"


def test_a_job_that_is_gone():
    here = facts(None, [], said={"state": "running", "step": 20, "updated": stamp(5)})
    cause, sentence, _, _ = answer(here)
    assert cause == "job-gone"
    assert "cut off at step 20: its Job 'one' is gone from namespace 'team'" in sentence
    unseen = here.__class__(**{**here.__dict__, "unasked": ["the cluster: no answer"]})
    assert answer(unseen)[0] != "job-gone"


STOPPED = {"state": "stopped", "step": 20, "updated": stamp(5), "checkpoint_step": 20}


def test_a_run_whose_job_was_deleted_was_not_cancelled():
    cause, sentence, fix, _ = answer(facts(None, [], said=STOPPED, cancelled=False))
    assert (cause, fix) == ("job-gone", "launcher resume gan/one --root gs://runs/gan")
    assert sentence == (
        "run 'one' was told to stop, saved at step 20, and not by `launcher cancel`: its Job 'one' is gone "
        "from namespace 'team'"
    )
    assert answer(facts(None, [], said=STOPPED, cancelled=True))[0] == "cancelled"
    assert answer(facts(None, [], said=STOPPED))[0] == "cancelled"  # nobody looked
    unseen = facts(None, [], said=STOPPED, cancelled=False, unasked=["the cluster: forbidden"])
    assert "by whom nobody knows, as its Job cannot be seen, saved at step 20" in answer(unseen)[1]


def test_a_namespace_that_is_gone_or_goes():
    gone = answer(facts(None, [], said=STOPPED, cancelled=False, others={"Namespace/team": {}}))
    assert gone[:2] == ("namespace-gone", "namespace 'team' is gone, and run 'one' with it, saved at step 20")
    assert gone[2].startswith("kubectl create namespace team && launcher resume gan/one")
    before = answer(facts(None, [], said=STOPPED, cancelled=True, others={"Namespace/team": {}}))
    assert before[1] == "run 'one' was asked to stop and did, saved at step 20; its namespace 'team' is gone"
    going = {"kind": "Namespace", "metadata": {"name": "team", "deletionTimestamp": stamp(9)}}
    cause, sentence, fix, seen = answer(facts(None, [], said=STOPPED, others={"Namespace/team": going}))
    assert (cause, seen) == ("namespace-gone", ["Namespace/team"])
    assert "is being deleted" in sentence
    assert fix.startswith("kubectl wait --for=delete namespace/team")
    there = {"kind": "Namespace", "metadata": {"name": "team"}}
    assert (
        answer(facts(None, [], said=STOPPED, cancelled=False, others={"Namespace/team": there}))[0]
        == "job-gone"
    )
