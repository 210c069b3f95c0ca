"""The whole cluster: start in order, stop in the opposite one, leave nothing behind, also of a killed run."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from tests.cluster.harness import cgroups, containerd, control_plane, network, node
from tests.cluster.harness.binaries import ensure_binaries
from tests.cluster.harness.images import ensure_images
from tests.cluster.harness.loading import load_images
from tests.cluster.harness.packages import ensure_packages
from tests.cluster.harness.processes import IN_NETWORK, recorded, wait_until
from tests.cluster.harness.settings import LOGS, NODE, STATE, say
from tests.cluster.harness.users import kubeconfig, write_users

LAST = ("storage", "etcd", "containerd")
"""Stopped after the others, in this order; containerd once its containers are gone."""


def start() -> Path:
    """Start everything; the folder of its binaries.

    Raises:
        ClusterError: a part did not come up; the text holds the end of its log.
    """
    ensure_packages()
    stop()
    shutil.rmtree(LOGS, ignore_errors=True)
    binaries = ensure_binaries()
    ensure_images()
    say("starting the network, containerd, etcd and the API server")
    STATE.mkdir(parents=True)
    network.create()
    cgroups.create()
    write_users()
    control_plane.start_etcd(binaries)
    containerd.start_containerd()
    load_images()
    control_plane.start_api_server(binaries)
    say("starting controllers, names, storage and the kubelet")
    control_plane.start_controllers(binaries)
    control_plane.start_coredns(binaries)
    control_plane.start_storage(binaries)
    kubelet = node.start_kubelet(binaries, kubeconfig("kubelet"))
    wait_until(f"node {NODE} Ready", lambda: _node_ready(binaries), 60, kubelet)
    say(f"node {NODE} is Ready")
    return binaries


def _node_ready(binaries: Path) -> bool:
    path = "{.status.conditions[?(@.type=='Ready')].status}"
    command = (str(binaries / "kubectl"), f"--kubeconfig={kubeconfig('admin')}", "get", "node", NODE)
    found = subprocess.run(
        [*IN_NETWORK, *command, f"-o=jsonpath={path}"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() == "True"


def stop() -> None:
    """Stop and remove what there is of a cluster: processes, containers, mounts, cgroups, network, files."""
    if not STATE.exists() and not network.FILE.exists():
        return
    say("removing the cluster")
    services = {service.name: service for service in recorded()}
    first = ("kubelet",) if "kubelet" in services else ()
    for name in (*first, *(name for name in services if name not in (*first, *LAST))):
        services.pop(name).stop(grace=2)
    if "containerd" in services and services["containerd"].running():
        containerd.remove_containers()
    for name in LAST:
        if name in services:
            services[name].stop(grace=3)
    _kill_shims()
    _unmount()
    cgroups.remove()
    network.remove()
    shutil.rmtree(STATE, ignore_errors=True)
    for link in Path("/var/log/containers").glob(
        "*.log"
    ):  # the kubelet's, to logs that were in the state folder
        if link.is_symlink() and str(link.readlink()).startswith(f"{STATE}/"):
            link.unlink()


def _kill_shims() -> None:
    """End the shims of containers that a killed containerd left, and so the containers."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"containerd-shim-runc-v2") and str(containerd.SOCKET).encode() in words:
            os.kill(int(path.parent.name), signal.SIGKILL)


def _unmount() -> None:
    """Unmount all that lies in the state folder, the innermost first."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in reversed(mounts):
        if mount.startswith(f"{STATE}/"):
            subprocess.run(["umount", "--lazy", mount], check=False)
