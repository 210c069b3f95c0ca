"""The network namespace: loopback, and a bridge without ports that carries the node's address.

A bridge, since not every kernel has dummy devices. There is no route out: pods reach each other and the node.
"""

import subprocess
from pathlib import Path

from tests.cluster.harness.processes import IN_NETWORK, run
from tests.cluster.harness.settings import NAME, NODE_ADDRESS

FILE = Path("/run/netns") / NAME


def create() -> None:
    """Make it; there must be none of the name."""
    run("ip", "netns", "add", NAME)
    for line in (
        "ip link set lo up",
        "ip link add gantry0 type bridge",
        f"ip address add {NODE_ADDRESS}/24 dev gantry0",
        "ip link set gantry0 up",
        f"ip route add default via {NODE_ADDRESS}",  # kubelet takes a node without one for broken
        "sysctl -q -w net.ipv4.ip_forward=1",
    ):
        run(*IN_NETWORK, *line.split())


def remove() -> None:
    """Delete it, if there is one."""
    if FILE.exists():
        subprocess.run(["ip", "netns", "delete", NAME], check=False)
