"""The Debian packages the cluster is made of, installed when they are missing and we may."""

import os
import shutil

from tests.cluster.harness.processes import run
from tests.cluster.harness.settings import ClusterError, say

PROVIDES = {
    "buildah": "buildah",
    "busybox": "busybox-static",
    "containerd": "containerd",
    "ctr": "containerd",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
"""Command or file: package."""


def ensure_packages() -> None:
    """Install what is missing.

    Raises:
        ClusterError: this is not root, or there is no apt-get; the text says what to do instead.
    """
    if os.geteuid() != 0:
        raise ClusterError(
            "a cluster of its own needs root; or set GANTRY_TEST_CONTEXT to a cluster you have"
        )
    missing = sorted({package for command, package in PROVIDES.items() if shutil.which(command) is None})
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise ClusterError(f"install what Debian calls {', '.join(missing)}; or set GANTRY_TEST_CONTEXT")
    say(f"installing {', '.join(missing)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", log="apt", env=environment)
    run("apt-get", "install", "--yes", "--no-install-recommends", *missing, log="apt", env=environment)
