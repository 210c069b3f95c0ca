"""The kubelet, told to do without CAP_SYS_RESOURCE and with cgroup v1."""

from pathlib import Path

import yaml

from tests.cluster.harness.containerd import SOCKET
from tests.cluster.harness.processes import Service
from tests.cluster.harness.settings import NAME, NODE, NODE_ADDRESS, STATE

KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"},  # no address of the namespace can be reached from outside
    "cgroupDriver": "cgroupfs",
    "cgroupRoot": f"/{NAME}",
    "failCgroupV1": False,
    "failSwapOn": False,
    "oomScoreAdj": 0,
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
