"""What tests of the backend ask of folders and objects, and a way to the API server that loses answers."""

import os
import subprocess
from contextlib import contextmanager

import yaml

from launcher.backends.kubernetes.status.ours import Own
from launcher.render import job_name
from tests.support.proxy import Proxy
from trainer.storage import open_store


def own(api, run, attempt=1):
    """The objects of one attempt of a run."""
    return Own(api, run.path, job_name(run.name, attempt), attempt)


def files(run):
    """Names of all objects in a run's folder."""
    return [found.name for found in open_store(run.path.url).list()]


def nothing_left(kubectl, run):
    """Wait until the namespace and the run's folder are as if the run had never been."""
    kinds = "jobs,pods,services,networkpolicies"
    kubectl.wait_for("an empty namespace", lambda: not kubectl("get", kinds, "-o=name").stdout.strip())
    assert files(run) == []


def without_defaults(sent, kept):
    """What the API server keeps of an object, cut to the fields that were sent."""
    if isinstance(sent, dict):
        return {key: without_defaults(value, kept.get(key, [])) for key, value in sent.items()}
    if isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        return [without_defaults(one, other) for one, other in zip(sent, kept, strict=True)]
    return kept


@contextmanager
def plain_proxy(cluster, folder):
    """The API server behind a proxy that can lose answers; the proxy and a kubeconfig that leads to it."""
    own = {"KUBECONFIG": cluster.kubeconfig} if cluster.kubeconfig else {}
    front = subprocess.Popen(
        ["kubectl", f"--context={cluster.context}", "proxy", "--port=0"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | own,
    )
    try:
        address = front.stdout.readline().strip().rpartition(" ")[2]
        with Proxy(f"http://{address}") as proxy:
            path = folder / "proxied"
            path.write_text(
                yaml.safe_dump(
                    {
                        "current-context": "proxied",
                        "contexts": [{"name": "proxied", "context": {"cluster": "proxied", "user": "me"}}],
                        "clusters": [{"name": "proxied", "cluster": {"server": proxy.url}}],
                        "users": [{"name": "me", "user": {}}],
                    }
                )
            )
            yield proxy, str(path)
    finally:
        front.kill()
        front.communicate()
