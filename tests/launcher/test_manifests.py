"""``k8s/`` and what is rendered from it, as kustomize, Kubernetes' own schemas and checkov see them."""

import json
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from launcher.render import render, to_yaml
from launcher.render.kustomize import load
from launcher.spec import templates
from launcher.spec.runspec import make_spec
from tests.launcher.kubectl import KUBECTL, needs_kubectl

REPOSITORY = Path(__file__).parents[2]
CHECKOV = REPOSITORY / ".venv-checkov/bin/checkov"
PROFILES = templates.profile_names()
GOOGLE = "gantry@project.iam.gserviceaccount.com"
# The oldest cluster that is promised, the one that the tests build, and the newest with schemas.
VERSIONS = ["1.31", "1.36", kubernetes_validate.latest_version().rpartition(".")[0]]


def spec(**values):
    given = {"root": "gs://bucket/gan", "image": "registry/gantry:0.1.0", "namespace": "gan", "workers": 2}
    if "workload-identity" in values.get("profiles", ()):
        given["google_service_account"] = GOOGLE
    return make_spec("mlp", ["steps=9"], "one", **{**given, **values})


SPECS = {
    "plain": {},
    **{profile: {"profiles": [profile]} for profile in PROFILES},
    "all": {"profiles": PROFILES},
    "everything": {
        "profiles": PROFILES, "workers": 8, "gpus": 2, "cpu": "1500m", "memory": "16Gi", "queue": "team",
        "env": {"A": "1", "B": "y"}, "active_deadline_seconds": 60, "image_pull_policy": "Always",
    },
    "own account": {"service_account": "own"},
}  # fmt: skip


def test_the_profiles_are_those_that_are_documented():
    assert PROFILES == [
        "gpu",
        "kueue",
        "nccl",
        "network-policy",
        "no-disk-request",
        "shared-memory",
        "spot",
        "workload-identity",
    ]


@pytest.fixture
def kustomized(tmp_path):
    """What ``kubectl kustomize`` makes of the base and some components, by kind."""

    def build(profiles):
        shutil.copytree(templates.folder(), tmp_path / "k8s")
        overlay = tmp_path / "overlay"
        overlay.mkdir()
        components = [f"../k8s/components/{profile}" for profile in profiles]
        (overlay / "kustomization.yaml").write_text(
            yaml.safe_dump({"resources": ["../k8s"], "components": components})
        )
        done = subprocess.run([KUBECTL, "kustomize", str(overlay)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return by_kind(yaml.safe_load_all(done.stdout))

    return build


def by_kind(objects):
    return {each["kind"]: each for each in objects}


@needs_kubectl
@pytest.mark.parametrize("profiles", [[], *([profile] for profile in PROFILES), PROFILES], ids="+".join)
def test_kustomize_and_the_launcher_read_the_same(kustomized, profiles):
    ours = load(templates.folder(), profiles)
    assert len({manifest.kind for manifest in ours}) == len(ours)
    assert kustomized(profiles) == by_kind(manifest.data for manifest in ours)


@pytest.mark.parametrize("version", sorted(set(VERSIONS)))
@pytest.mark.parametrize("values", SPECS.values(), ids=SPECS.keys())
def test_rendered_manifests_pass_the_schemas(values, version):
    for manifest in yaml.safe_load_all(to_yaml(render(spec(**values)))):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_demo_passes_the_schemas():
    for manifest in load(templates.folder(), PROFILES):
        kubernetes_validate.validate(manifest.data, "1.36", strict=True)


def test_the_schemas_refuse_what_they_do_not_know():
    job = render(spec())[0]
    job["spec"]["podReplacementPolcy"] = "Failed"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, "1.36", strict=True)


@pytest.mark.skipif(
    not CHECKOV.exists(), reason="there is no checkov: make .venv-checkov/checkov installs it"
)
def test_rendered_manifests_pass_checkov(tmp_path):
    for name, values in SPECS.items():
        (tmp_path / f"{name.replace(' ', '-')}.yaml").write_text(to_yaml(render(spec(**values))))
    for manifest in load(templates.folder(), PROFILES):
        (tmp_path / f"demo-{manifest.kind.lower()}.yaml").write_text(to_yaml([manifest.data]))
    done = subprocess.run(
        [CHECKOV, "-d", tmp_path, "--config-file", REPOSITORY / ".checkov.yaml", "-o", "json"],
        capture_output=True,
        text=True,
    )
    report = json.loads(done.stdout)
    failed = [
        f"{check['check_id']} {check['check_name']}: {check['file_path']} {check['resource']}"
        for check in report["results"]["failed_checks"]
    ]
    assert failed == [], "\n".join(failed)
    assert report["summary"]["passed"] > 80 * len(SPECS)
    assert report["summary"]["parsing_errors"] == 0
    assert done.returncode == 0


@pytest.mark.parametrize("values", SPECS.values(), ids=SPECS.keys())
def test_pods_ask_for_nothing_that_restricted_forbids(values):
    pod = render(spec(**values))[0]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    [trainer] = pod["containers"]
    assert trainer["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert all(set(volume) == {"name", "emptyDir"} for volume in pod["volumes"])
    assert trainer["resources"]["requests"]["memory"] == trainer["resources"]["limits"]["memory"]


def test_a_mistake_fails_the_job_and_a_disruption_is_not_counted():
    assert render(spec())[0]["spec"]["podFailurePolicy"]["rules"] == [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {
            "action": "FailJob",
            "onExitCodes": {"containerName": "trainer", "operator": "In", "values": [2, 3]},
        },
    ]


def test_the_wheel_carries_the_folder(tmp_path):
    shutil.copytree(
        REPOSITORY / "launcher", tmp_path / "launcher", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(
        REPOSITORY / "trainer", tmp_path / "trainer", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(REPOSITORY / "k8s", tmp_path / "k8s")
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(REPOSITORY / name, tmp_path)
    import sys

    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    [wheel] = (tmp_path / "dist").iterdir()
    installed = tmp_path / "installed"
    shutil.unpack_archive(wheel, installed, "zip")
    code = "from launcher.spec import templates; print(templates.folder(), *templates.profile_names())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "dist", env={"PYTHONPATH": str(installed)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == [str(installed / "launcher/k8s"), *PROFILES]
    assert (installed / "launcher/py.typed").exists() and (installed / "trainer/py.typed").exists()
