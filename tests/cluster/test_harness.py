"""The cluster is what the other tests take it for."""

import json

import pytest
from google.cloud import storage

from tests.cluster.pods import pod, python
from trainer.config import preset_names


def test_the_node_is_ready_and_of_a_supported_version(kubectl):
    # Another test may have a node that is an object and nothing else.
    nodes = [node for node in kubectl.get("nodes")["items"] if node["status"]["nodeInfo"]["kubeletVersion"]]
    assert nodes
    for node in nodes:
        assert {c["type"]: c["status"] for c in node["status"]["conditions"]}["Ready"] == "True"
        assert [int(part) for part in node["status"]["nodeInfo"]["kubeletVersion"][1:].split(".")[:2]] >= [
            1,
            31,
        ]


def test_the_namespace_refuses_a_privileged_pod(cluster, kubectl):
    refused = pod(cluster, "privileged", "presets")
    refused["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    done = kubectl("apply", "-f", "-", stdin=json.dumps(refused), check=False)
    assert done.returncode
    assert 'violates PodSecurity "restricted:latest"' in done.stderr


def test_the_image_runs_restricted(cluster, kubectl):
    kubectl.apply(pod(cluster, "presets", "presets"))
    assert kubectl.finished("presets") == 0
    printed = kubectl("logs", "presets").stdout
    assert [line.split()[0] for line in printed.splitlines()] == list(preset_names())


def test_the_image_trains_alone(cluster, kubectl):
    run = ("--root", "/tmp/runs", "--experiment", "digits", "--run", "first")
    kubectl.apply(pod(cluster, "alone", "train", "--preset", "demo", "--set", "steps=20", *run))
    assert kubectl.finished("alone", 600) == 0, kubectl("logs", "alone").stdout


def test_the_images_init_forwards_signals_and_the_exit_code(cluster, kubectl):
    program = "import signal, time; signal.signal(15, lambda *_: exit(42)); print('up'); time.sleep(600)"
    command = ["dumb-init", "--", "python", "-c", program]
    kubectl.apply(pod(cluster, "init", command=command, terminationGracePeriodSeconds=60))
    kubectl.wait_for("the pod prints", lambda: "up" in kubectl("logs", "init", check=False).stdout)
    kubectl("patch", "pod", "init", "--type=merge", '-p={"metadata":{"finalizers":["gantry.dev/test"]}}')
    kubectl("delete", "pod", "init", "--wait=false")
    code = kubectl.finished("init")
    kubectl("patch", "pod", "init", "--type=merge", '-p={"metadata":{"finalizers":null}}')
    assert code == 42


def test_pods_find_each_other_by_a_headless_services_names(cluster, kubectl, namespace):
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "team"},
            "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": {"app": "server"}},
        },
        python(cluster, "server", "import time; time.sleep(600)", hostname="worker-0", subdomain="team"),
    )
    name = f"worker-0.team.{namespace}.svc.cluster.local"
    program = (
        "import socket, time\n"
        "for _ in range(300):\n"
        "    try:\n"
        f"        print(socket.gethostbyname('worker-0.team'), socket.gethostbyname('{name}'))\n"
        "        break\n"
        "    except OSError:\n"
        "        time.sleep(0.1)\n"
    )
    kubectl.apply(python(cluster, "client", program))
    assert kubectl.finished("client") == 0
    address = kubectl.get("pod", "server")["status"]["podIP"]
    assert kubectl("logs", "client").stdout.split() == [address, address]


def test_a_pod_writes_to_the_bucket_what_the_workstation_reads(cluster, kubectl, bucket):
    program = (
        "from trainer.storage import open_store\n"
        f"store = open_store('{bucket}/a')\n"
        "store.write('small', b'1')\n"
        "store.write('large', bytes(9 << 20))\n"  # over 8 MB: by the server's links
        "assert store.read('large') == bytes(9 << 20)\n"
    )
    kubectl.apply(python(cluster, "writer", program))
    assert kubectl.finished("writer") == 0
    name, _, prefix = bucket.removeprefix("gs://").partition("/")
    blobs = storage.Client(project="test").list_blobs(name, prefix=f"{prefix}/a/".lstrip("/"))
    assert sorted((blob.name.rpartition("/")[2], blob.size) for blob in blobs) == [
        ("large", 9 << 20),
        ("small", 1),
    ]


@pytest.mark.alone
def test_the_api_server_goes_away_and_comes_back(outage, kubectl):
    with outage():
        assert kubectl("get", "nodes", check=False).returncode
    kubectl("get", "nodes")


def test_the_audit_log_holds_what_was_sent(own_cluster, kubectl, namespace):
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}
    kubectl("create", "-f", "-", stdin=json.dumps(settings))
    (received,) = own_cluster.audit.received(namespace, "create", "configmaps")
    assert received["data"] == {"k": "v"}


def test_the_limited_user_may_do_what_is_granted_and_no_more(own_cluster, kubectl):
    limited = kubectl.as_user("limited")
    assert "Forbidden" in limited("get", "pods", check=False).stderr
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods")
    kubectl("create", "rolebinding", "reader", "--role=reader", "--user=limited")
    kubectl.wait_for("the grant", lambda: limited("get", "pods", check=False).returncode == 0)
    assert "Forbidden" in limited("delete", "pod", "any", check=False).stderr
