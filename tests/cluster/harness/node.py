"""The node: containerd and kubelet, told to do without CAP_SYS_RESOURCE and with cgroup v1."""

import json
import subprocess
import tarfile
from pathlib import Path

import yaml

from tests.cluster.harness import cgroups
from tests.cluster.harness.images import LAYOUT
from tests.cluster.harness.processes import Service, run, wait_until
from tests.cluster.harness.settings import (
    CACHE,
    NODE,
    NODE_ADDRESS,
    PAUSE_IMAGE,
    POD_SUBNET,
    STATE,
    ClusterError,
    say,
)

SOCKET = STATE / "containerd" / "containerd.sock"
ROOT = CACHE / "containerd"

CONTAINERD = f"""
version = 2
root = "{ROOT}"
state = "{STATE}/containerd/state"
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{STATE}/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true  # lowering it needs CAP_SYS_RESOURCE
  netns_mounts_under_state_dir = true
  sandbox_image = "{PAUSE_IMAGE}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{STATE}/cni"
"""

CNI = {
    "cniVersion": "1.0.0",
    "name": "gantry",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "gantry-pods",
            "isGateway": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "dataDir": f"{STATE}/cni-leases",
                "ranges": [[{"subnet": POD_SUBNET}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
    ],
}

KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"},  # no address of the namespace can be reached from outside
    "cgroupDriver": "cgroupfs",
    "cgroupRoot": f"/{cgroups.NAME}",
    "failCgroupV1": False,
    "failSwapOn": False,
    "oomScoreAdj": 0,
    "localStorageCapacityIsolation": False,
    "enforceNodeAllocatable": [],
    "featureGates": {"KubeletInUserNamespace": True},
    "makeIPTablesUtilChains": False,
    "clusterDNS": [NODE_ADDRESS],
    "clusterDomain": "cluster.local",
    "resolvConf": "/dev/null",
    "containerRuntimeEndpoint": f"unix://{SOCKET}",
    "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    "imageGCHighThresholdPercent": 100,
    "podLogsDir": f"{STATE}/pods",
    "volumePluginDir": f"{STATE}/kubelet/plugins",
    "staticPodPath": "",
}


def start_containerd() -> Service:
    """Start it on the layers that earlier runs unpacked, and hand it the images it does not have."""
    (STATE / "cni").mkdir(parents=True, exist_ok=True)
    (STATE / "cni" / "10-gantry.conflist").write_text(json.dumps(CNI))
    configuration = STATE / "containerd" / "config.toml"
    configuration.parent.mkdir(parents=True, exist_ok=True)
    configuration.write_text(CONTAINERD)
    service = Service("containerd", ("containerd", "--config", str(configuration))).start()
    wait_until("containerd", _answers, 30, service)
    if remove_containers():  # its Kubernetes side read them when it started
        service.stop()
        service.start()
        wait_until("containerd", _answers, 30, service)
    return service


def ctr(*argv: str) -> str:
    """Run containerd's own command line on the kubelet's namespace."""
    return run("ctr", "--address", SOCKET, "--namespace", "k8s.io", *argv)


def _answers() -> bool:
    argv = ["ctr", "--address", str(SOCKET), "--timeout", "2s", "plugins", "ls", "-q"]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def load_images() -> None:
    """Send containerd the layout in the cache, without the blobs it has: 40 s for all, 1 s for a change of code."""
    index = _named()
    present = set(ctr("content", "ls", "-q").split())
    blobs = LAYOUT / "blobs" / "sha256"
    wanted = [name for name in _reachable(index) if f"sha256:{name}" not in present]
    size = sum((blobs / name).stat().st_size for name in wanted)
    say(f"loading the images: {len(wanted)} blobs, {size / 1e6:.0f} MB, that containerd does not have")
    slim = STATE / "index.json"
    slim.write_text(json.dumps(index))
    argv = ["ctr", "--address", str(SOCKET), "--namespace", "k8s.io", "images", "import", "-"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        with process.stdin, tarfile.open(fileobj=process.stdin, mode="w|") as archive:  # type: ignore[union-attr]
            archive.add(LAYOUT / "oci-layout", "oci-layout")
            for name in wanted:
                archive.add(blobs / name, f"blobs/sha256/{name}")
            archive.add(slim, "index.json")
    except BrokenPipeError:
        pass  # it ended early and says why
    output = process.stdout.read().decode()  # type: ignore[union-attr]
    if process.wait():
        raise ClusterError(f"ctr images import: {output}\nremove {ROOT} and try again")


def _named() -> dict:  # type: ignore[type-arg]
    """The layout's index with names as containerd wants them; a manifest whose name went to a newer one has none."""
    index = json.loads((LAYOUT / "index.json").read_text())
    key = "org.opencontainers.image.ref.name"
    index["manifests"] = [entry for entry in index["manifests"] if key in entry.get("annotations", {})]
    for entry in index["manifests"]:
        name, _, tag = entry["annotations"][key].rpartition("-")
        entry["annotations"] = {"io.containerd.image.name": f"localhost/{name}:{tag}"}
    return index


def _reachable(index: dict) -> list[str]:  # type: ignore[type-arg]
    """Hashes of the manifests of an index and of what they name, each once; old images' blobs are not among them."""
    found: dict[str, None] = {}
    for entry in index["manifests"]:
        digest = entry["digest"].partition(":")[2]
        manifest = json.loads((LAYOUT / "blobs" / "sha256" / digest).read_text())
        for blob in (entry, manifest["config"], *manifest["layers"]):
            found[blob["digest"].partition(":")[2]] = None
    return list(found)


def remove_containers() -> int:
    """Kill and delete every container; how many there were."""
    for task in ctr("tasks", "ls", "-q").split():
        subprocess.run(
            ["ctr", "--address", str(SOCKET), "-n", "k8s.io", "tasks", "rm", "--force", task],
            capture_output=True,
            check=False,
        )
    containers = ctr("containers", "ls", "-q").split()
    if containers:
        ctr("containers", "rm", *containers)
    return len(containers)


def start_kubelet(binaries: Path, kubeconfig: Path) -> Service:
    """Start it; the node is Ready some 3 s later."""
    configuration = STATE / "kubelet.yaml"
    configuration.write_text(yaml.safe_dump(KUBELET))
    argv = (
        str(binaries / "kubelet"),
        f"--config={configuration}",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={STATE}/kubelet",
        f"--cert-dir={STATE}/kubelet-pki",
        f"--node-ip={NODE_ADDRESS}",
        f"--hostname-override={NODE}",
    )
    return Service("kubelet", argv).start()
