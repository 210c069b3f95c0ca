"""``k8s/`` as this cluster's own kubectl and API server take it."""

import json
import shutil

import pytest
import yaml

from launcher.render import render, to_yaml
from launcher.spec import templates
from tests.launcher.test_manifests import (
    SPECS,
    kustomized,
    spec,
    test_kustomize_and_the_launcher_read_the_same,
)

__all__ = ["kustomized", "test_kustomize_and_the_launcher_read_the_same"]


@pytest.mark.parametrize("values", SPECS.values(), ids=SPECS.keys())
def test_the_api_server_takes_every_profile_without_a_warning(kubectl, namespace, values):
    manifests = render(spec(**{**values, "namespace": namespace}))
    taken = kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=to_yaml(manifests))
    assert taken.stderr == ""
    assert len(taken.stdout.splitlines()) == len(manifests)


@pytest.mark.parametrize("values", SPECS.values(), ids=SPECS.keys())
def test_pod_security_restricted_lets_the_pods_in(kubectl, namespace, values):
    template = render(spec(**{**values, "namespace": namespace}))[0]["spec"]["template"]
    template["spec"].pop("serviceAccountName", None)  # which a dry run has not made
    template["metadata"]["name"] = "one-0"
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))
    del pod["spec"]["securityContext"]["seccompProfile"]
    refused = kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod), check=False)
    assert 'violates PodSecurity "restricted' in refused.stderr


def test_the_demo_runs_as_it_stands_but_for_its_image(cluster, kubectl, tmp_path):
    shutil.copytree(templates.folder(), tmp_path / "k8s")
    name, _, tag = cluster.image.rpartition(":")
    demo = {"resources": ["../k8s"], "images": [{"name": "gantry", "newName": name, "newTag": tag}]}
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/kustomization.yaml").write_text(yaml.safe_dump(demo))
    assert kubectl("apply", "-k", str(tmp_path / "demo")).stderr == ""

    def ended():
        conditions = kubectl.get("job", "gantry-demo")["status"].get("conditions", [])
        return [each["type"] for each in conditions if each["type"] in ("Complete", "Failed")]

    found = kubectl.wait_for("the demo ends", ended, seconds=300)
    logs = kubectl("logs", "--prefix", "--tail=-1", "-l", "app.kubernetes.io/instance=gantry-demo").stdout
    assert found == ["Complete"], logs
    assert "finished 200 steps" in logs
    assert {line.partition("]")[0].split("/")[1][:13] for line in logs.splitlines()} == {
        "gantry-demo-0",
        "gantry-demo-1",
    }
