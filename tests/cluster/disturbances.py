"""What happens to workers on a cluster: processes killed, memory used up, pods evicted, runtimes that die."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.cluster.kubectl import Kubectl

_SHIM = b"containerd-shim-runc-v2"

_KILL_TRAINER = """
    import os, pathlib
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        if path.read_bytes().split(b"\\0")[1:4] == [b"-m", b"trainer", b"train"]:
            os.kill(int(path.parent.name), 9)
            print("killed")
"""

# Children that are smaller than the trainer, one after another, until the kernel kills something for want of
# memory: in a container's control group it takes the largest process.
_USE_UP_MEMORY = """
    import os, pathlib, time
    top = pathlib.Path("/sys/fs/cgroup")
    counts = [top / "memory.events", top / "memory/memory.oom_control"]
    def kills():
        lines = next(path for path in counts if path.exists()).read_text().splitlines()
        return next(line for line in lines if line.startswith("oom_kill "))
    before, children = kills(), []
    while kills() == before:
        child = os.fork()
        if not child:
            block = b"x" * (100 << 20)
            time.sleep(20)
            os._exit(0)
        children.append(child)
        time.sleep(0.2)
    for child in children:
        os.kill(child, 9)
    print("killed")
"""


def kill_trainer(kubectl: Kubectl, pod: str) -> None:
    """SIGKILL the trainer in a pod's container; the container's first process lives on."""
    assert _run_inside(kubectl, pod, _KILL_TRAINER).stdout == "killed\n"


def use_up_memory(kubectl: Kubectl, pod: str) -> None:
    """Fill a pod's container until the kernel kills its largest process, or all of it."""
    done = _run_inside(kubectl, pod, _USE_UP_MEMORY)
    assert done.stdout == "killed\n" or done.returncode == 137, done.stderr


def _run_inside(kubectl: Kubectl, pod: str, program: str) -> "subprocess.CompletedProcess[str]":
    return kubectl("exec", pod, "--", "python", "-c", textwrap.dedent(program), check=False)


def delete(kubectl: Kubectl, pod: str, *, grace: bool) -> None:
    """Delete a pod; without `grace` its processes are killed at once."""
    how = () if grace else ("--grace-period=0", "--force")
    kubectl("delete", "pod", pod, "--wait=false", *how)


def evict(kubectl: Kubectl, pod: str) -> str:
    """Ask for a pod's eviction as ``kubectl drain`` does; the server's words if it refuses, else nothing."""
    namespace = kubectl.get("pod", pod)["metadata"]["namespace"]
    wish = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction"
    done = kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(wish), check=False)
    return done.stderr.strip() if done.returncode else ""


def kill_shim(kubectl: Kubectl, pod: str) -> None:
    """SIGKILL the process on this machine that holds a pod's containers for the container runtime."""
    for process in _processes(kubectl, pod):
        with suppress(OSError):  # one that is gone again
            if shim := _shim_above(process):
                os.kill(shim, signal.SIGKILL)
                return
    raise AssertionError(f"no process of pod {pod} has a shim above it")


@contextmanager
def cut_off(kubectl: Kubectl, pod: str, address: str) -> Iterator[None]:
    """Let a pod's packets to one IPv4 address go nowhere, until the end of the block."""
    process = next(_processes(kubectl, pod))
    enter = ["nsenter", "-t", process.name, "-n", "ip", "route"]
    subprocess.run([*enter, "add", "blackhole", f"{address}/32"], check=True)
    try:
        yield
    finally:  # of a pod that is gone its network is too
        subprocess.run([*enter, "del", "blackhole", f"{address}/32"], check=False)


def hold_trainer(kubectl: Kubectl, pod: str, seconds: float) -> None:
    """Have a trainer's thread that takes the steps, if there is one, stand still; its others go on."""
    for process in _processes(kubectl, pod):
        if _is_trainer(process):
            words = [sys.executable, "-m", "tests.cluster.hold", process.name, f"{seconds}"]
            holder = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            return


def _processes(kubectl: Kubectl, pod: str) -> Iterator[Path]:
    """The processes of a pod's container, in this machine's ``/proc``."""
    (status,) = kubectl.get("pod", pod)["status"]["containerStatuses"]
    container = status["containerID"].rpartition("/")[2]
    for path in Path("/proc").glob("[0-9]*/cgroup"):
        with suppress(OSError):  # a process that is gone again
            if container in path.read_text():
                yield path.parent


def _is_trainer(process: Path) -> bool:
    with suppress(OSError):
        return (process / "cmdline").read_bytes().split(b"\0")[1:4] == [b"-m", b"trainer", b"train"]
    return False


def _shim_above(process: Path) -> int | None:
    """The parent of a process if that is a shim."""
    parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
    program = Path(f"/proc/{parent}/cmdline").read_bytes().split(b"\0")[0]
    return parent if program.endswith(_SHIM) else None
