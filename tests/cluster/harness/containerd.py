"""containerd: configured to do without CAP_SYS_RESOURCE; its images and unpacked layers stay in the cache."""

import json
import subprocess

from tests.cluster.harness.processes import Service, run, wait_until
from tests.cluster.harness.settings import CACHE, PAUSE_IMAGE, POD_SUBNET, STATE

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


def start_containerd() -> Service:
    """Start it on the layers that earlier runs unpacked."""
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
    return run(*ctr_command(*argv))


def ctr_command(*argv: str) -> list[str]:
    """The words of such a command."""
    return ["ctr", "--address", str(SOCKET), "--namespace", "k8s.io", *argv]


def _answers() -> bool:
    argv = ctr_command("--timeout", "2s", "images", "ls", "-q")
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def remove_containers() -> int:
    """Kill and delete every container; how many there were."""
    for task in ctr("tasks", "ls", "-q").split():
        # One that ends by itself meanwhile is no failure.
        subprocess.run(ctr_command("tasks", "rm", "--force", task), capture_output=True, check=False)
    containers = ctr("containers", "ls", "-q").split()
    if containers:
        ctr("containers", "rm", *containers)
    return len(containers)
