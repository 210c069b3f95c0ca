"""What a cluster makes of pods on their way in, and what quotas leave; pure functions of objects."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.backends.kubernetes.capacity.admitted import CPU_LIMIT, changes
from launcher.backends.kubernetes.capacity.requests import shortages
from launcher.backends.kubernetes.capacity.room import even, fewer, fitting, used_by, workers_within
from launcher.backends.kubernetes.jobs.judgement import passes, room, worker_pod
from launcher.render import render
from launcher.render.cronjob import Cluster, Timing, render_schedule
from launcher.spec.runspec import make_spec


def spec(preset="mlp", overrides=(), **values):
    given = {"root": "gs://bucket/gan", "image": "registry/gantry:0.1.0", "namespace": "gan", **values}
    return make_spec(preset, overrides, "one", **given)


def template(**values):
    return render(spec(**values))[0]["spec"]["template"]["spec"]


def admitted(pod, **more):
    """The same pod with what every API server adds to it, and with `more`."""
    usual = [
        {
            "key": f"node.kubernetes.io/{key}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 300,
        }
        for key in ("not-ready", "unreachable")
    ]
    tolerations = [*pod.get("tolerations", []), *usual]
    return {**pod, "schedulerName": "default-scheduler", "priority": 0, "tolerations": tolerations, **more}


def sized(pod, **resources):
    """A pod whose trainer has other resources."""
    [trainer] = pod["containers"]
    stated = trainer["resources"]
    return {
        **pod,
        "containers": [
            {**trainer, "resources": {key: {**stated[key], **resources.get(key, {})} for key in stated}}
        ],
    }


@pytest.mark.parametrize("profiles", [(), ("gpu",), ("spot",), ("network-policy",)])
def test_what_every_server_adds_is_no_change(profiles):
    pod = template(profiles=profiles)
    assert changes(pod, admitted(pod)) == []


def test_a_limit_range_that_throttles_is_harmful_and_first():
    pod = template(cpu="100m", memory="2Gi")
    filled = sized(pod, limits={"memory": "2Gi", "cpu": "150m"}, requests={"memory": "2Gi", "cpu": "200m"})
    found = changes(pod, admitted(filled))
    assert [(each.field, bool(each.harm)) for each in found] == [(CPU_LIMIT, True), ("requests.cpu", False)]
    assert found[0].text == "container 'trainer' gets limits.cpu 0.15, which nobody asked for"
    assert found[1].text == "container 'trainer' gets requests.cpu 0.2, not the 0.1 that was asked for"
    assert "throttled" in str(found[0])


def test_the_same_amount_in_other_words_is_no_change():
    pod = template(cpu="500m", memory="2Gi")
    assert (
        changes(pod, sized(pod, limits={"memory": "2048Mi"}, requests={"cpu": "0.5", "memory": "2Gi"})) == []
    )
    [less] = changes(pod, sized(pod, limits={"memory": "1Gi"}))
    assert (less.field, "not the 2Gi" in less.text, "kills" in less.harm) == ("limits.memory", True, True)


def test_injected_containers_schedulers_and_tolerations_are_named():
    pod = template()
    proxy = {"name": "istio-proxy", "image": "istio/proxyv2:1"}
    other = admitted(
        pod,
        containers=[*pod["containers"], proxy],
        initContainers=[
            {"name": "native", "image": "a:1", "restartPolicy": "Always"},
            {"name": "init", "image": "b:1"},
        ],
        schedulerName="batch-scheduler",
        nodeSelector={"pool": "team"},
    )
    other["tolerations"] = [*other["tolerations"], {"key": "team", "value": "ours", "effect": "NoSchedule"}]
    found = changes(pod, other)
    assert found[0].text == "container 'istio-proxy' (istio/proxyv2:1) is put beside the trainer"
    assert [each.field for each in found if each.harm] == ["containers"]
    assert [each.text for each in found[1:]] == [
        "sidecar 'native' (a:1) is added",
        "init container 'init' (b:1) is added",
        "schedulerName is 'batch-scheduler', not 'default-scheduler'",
        "nodes are chosen by pool=team, which nobody asked for",
        "taints are tolerated that nobody asked for: team=ours:NoSchedule",
    ]


def test_the_pod_that_is_judged_is_the_one_the_controller_would_make():
    for manifests in (
        render(spec(profiles=["network-policy"])),
        render_schedule(spec(), Timing("0 3 * * 1"), Cluster("gan", "c", "https://c")),
    ):
        pod = worker_pod(manifests)
        labels, [owner] = pod["metadata"]["labels"], pod["metadata"]["ownerReferences"]
        assert pod["metadata"]["name"].startswith("one-0-")
        assert (labels["batch.kubernetes.io/job-name"], labels["app.kubernetes.io/name"]) == ("one", "gantry")
        assert labels["batch.kubernetes.io/job-completion-index"] == "0"
        assert (owner["kind"], owner["controller"], "blockOwnerDeletion" in owner) == ("Job", True, False)
        assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("one-0", "one")


def test_an_account_that_comes_with_the_run_is_not_looked_for():
    google = "t@p.iam.gserviceaccount.com"
    manifests = render(spec(google_service_account=google))
    assert manifests[0]["spec"]["template"]["spec"]["serviceAccountName"]
    assert "serviceAccountName" not in worker_pod(manifests)["spec"]
    assert worker_pod(render(spec(service_account="team")))["spec"]["serviceAccountName"] == "team"


@pytest.mark.parametrize(
    ("text", "later"),
    [
        ("exceeded quota: a, requested: pods=1, used: pods=5, limited: pods=5", True),
        ("exceeded quota: a, requested: cpu=6,pods=1, used: pods=0, limited: cpu=5,pods=5", False),
        ("exceeded quota: a, requested: requests.memory=2Gi, used: , limited: requests.memory=1Gi", False),
        ("failed quota: a: must specify limits.cpu for: trainer", False),
        ('error looking up service account team/default: serviceaccount "default" not found', True),
        ('error looking up service account team/absent: serviceaccount "absent" not found', False),
        ("maximum memory usage per Container is 1Gi, but limit is 2Gi", False),
    ],
)  # fmt: skip
def test_a_refusal_that_may_pass_is_none(text, later):
    assert passes(f'pods "one-0-a" is forbidden: {text}') == later


def quota(hard, used=None, name="team"):
    used = used or dict.fromkeys(hard, "0")
    return {"metadata": {"name": name}, "spec": {"hard": hard}, "status": {"hard": hard, "used": used}}


def test_room_for_fewer_workers_is_advised_if_they_share_the_batch():
    asked = spec(workers=6, cpu="1", overrides=["batch_size=60"])
    manifests = render(asked)
    has = room([quota({"requests.cpu": "4"})], manifests, asked)
    assert ([each.resource for each in has.never], has.now, has.advice) == (
        ["requests.cpu"],
        [],
        "--workers 4",
    )
    has = room([quota({"requests.cpu": "8"}, {"requests.cpu": "3"})], manifests, asked)
    assert (has.never, [each.resource for each in has.now], has.advice) == (
        [],
        ["requests.cpu"],
        "--workers 5",
    )
    seven = spec(workers=7, cpu="1", overrides=["batch_size=49"])
    assert room([quota({"requests.cpu": "5"})], render(seven), seven).advice == "--workers 1"
    assert room([quota({"requests.cpu": "500m"})], render(seven), seven).advice == ""
    assert room([quota({"requests.cpu": "7"})], render(seven), seven) == ((), (), 0)


def test_what_a_limit_range_fills_in_is_counted():
    asked = spec(workers=2, cpu="1")
    manifests = render(asked)
    limits = quota({"limits.cpu": "3"})
    assert [each.asked for each in room([limits], manifests, asked).never] == [None]
    pod = manifests[0]["spec"]["template"]["spec"]
    filled = sized(pod, limits={"memory": "2Gi", "cpu": "1"})
    assert room([limits], manifests, asked, filled).never == ()
    [lack] = room([quota({"limits.cpu": "1"})], manifests, asked, filled).never
    assert lack.asked == Decimal(2)


def test_the_firings_of_a_schedule_are_counted_as_a_run_is():
    asked = spec(workers=4, cpu="1")
    firing = render_schedule(asked, Timing("0 3 * * 1"), Cluster("gan", "c", "https://c"))
    small = [quota({"requests.cpu": "2"})]
    assert [each.asked for each in shortages(small, firing)] == [Decimal(4)]
    assert room(small, firing, asked).advice == "--workers 2"


amounts = st.integers(1, 50)


@given(
    st.integers(1, 40),
    st.integers(1, 60),
    amounts,
    st.integers(0, 400),
    st.integers(0, 400),
    st.integers(0, 3),
)
def test_the_workers_that_are_advised_fit_and_no_larger_number_does(workers, share, cores, hard, used, gpus):
    batch = workers * max(1, gpus) * share
    pod = {"containers": [{"resources": {"requests": {"cpu": str(cores)}}}]}
    quotas = [quota({"requests.cpu": str(hard)}, {"requests.cpu": str(used)})]
    count = fewer(quotas, pod, workers, batch, gpus)
    now = hard - used if hard - used >= cores else hard
    assert 0 <= count < workers
    if count:
        assert count * cores <= hard and batch % (count * max(1, gpus)) == 0
        assert (
            not any(
                more * cores <= now and batch % (more * max(1, gpus)) == 0
                for more in range(count + 1, workers)
            )
            or now == hard
        )
    assert workers_within(quotas, pod, empty=True) == hard // cores


@given(st.integers(0, 50), st.integers(1, 500), st.integers(0, 4))
def test_workers_share_the_batch_evenly(workers, batch, gpus):
    count = even(workers, batch, gpus)
    assert count == max(
        (each for each in range(1, workers + 1) if batch % (each * max(1, gpus)) == 0), default=0
    )


def test_own_pods_are_counted_until_they_have_ended():
    def pod(phase):
        spec = {"containers": [{"resources": {"requests": {"cpu": "2"}, "limits": {"memory": "1Gi"}}}]}
        return {"spec": spec, "status": {"phase": phase}}

    own = used_by([pod("Running"), pod("Pending"), pod("Failed"), pod("Succeeded")])
    assert (own["requests.cpu"], own["cpu"], own["pods"]) == (4, 4, 2)
    assert own["limits.memory"] == 2 * 2**30
    assert fitting({"pods": Decimal(1), "requests.cpu": Decimal(2)}, {"requests.cpu": Decimal(7)}, 9) == 3
