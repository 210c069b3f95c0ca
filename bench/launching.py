"""The launcher's own time: help, render, submit to pods, a line to the terminal, a pod to its first step.

Needs a cluster in reach and the commands of one in its environment::

    python -m tests.cluster exec -- python -m bench --only launching --out docs/benchmarks-kubernetes.md
"""

import json
import re
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from bench.contestant import ContestantFailed
from bench.follow_latency import measure
from bench.report import Goal, Section, table
from bench.rounds import Spread, ratios, spread
from bench.setting import Setting
from launcher.backends.kubernetes.client.api import Api, connect
from tests.cluster.harness.access import find

_HELP_SECONDS, _RENDER_SECONDS, _SUBMIT_SECONDS, _FOLLOW_SECONDS = 0.13, 0.35, 1.0, 0.5
_POLL_SECONDS = 0.01
_WORKERS = 2


def launching(setting: Setting) -> Section:
    """Commands against kubectl's in turns, and what a user waits for."""
    try:
        cluster = find()
    except LookupError as error:
        raise ContestantFailed(str(error)) from None
    bench = _Bench(cluster.image, cluster.storage_url or "", setting.scratch)
    commands = bench.commands(setting.amount(15, 3))
    pods = bench.pods(setting.amount(7, 2))
    started = bench.first_steps(setting.amount(5, 1))
    latency = measure(bench.api, cluster.image, lines=setting.amount(200, 40))
    against = ratios(commands["launcher --help"], commands["kubectl version --client"])
    extra = spread([a - b for a, b in zip(pods["launcher submit"], pods["kubectl apply"], strict=True)])
    help_time, render_time = spread(commands["launcher --help"]), spread(commands["launcher render"])
    goals = [
        Goal(
            "`launcher --help`",
            f"{_HELP_SECONDS} s, or twice `kubectl version --client`",
            f"{help_time.middle:.2f} s, {against.middle:.1f} times",
            help_time.middle <= _HELP_SECONDS or against.middle <= 2,
            "The interpreter and typer's own imports.",
        ),
        _goal("`launcher render`", _RENDER_SECONDS, render_time, "Imports: pydantic, typer, YAML."),
        _goal(
            "`submit` to pods created, beyond `kubectl apply`", _SUBMIT_SECONDS, extra,
            "The client's import takes 0.4 s, the storage client's 0.3 s.",
        ),
        Goal(
            "from a line in a pod to the follower",
            f"{_FOLLOW_SECONDS} s",
            f"{latency.median * 1e3:.0f} ms median, {latency.worst * 1e3:.0f} ms worst of {latency.lines}",
            latency.worst <= _FOLLOW_SECONDS,
            "The runtime's log file, which the kubelet follows.",
        ),
    ]  # fmt: skip
    rows = [(name, spread(times).text()) for name, times in {**commands, **pods, **started}.items()]
    return Section("The launcher", _TEXT, goals, [table(("what", "seconds"), rows)])


_TEXT = (
    "Commands take turns; seconds are the median, with the lowest and the highest. `submit` and `apply` are "
    "timed from the start of the command until both pods exist, seen by a request every 10 ms; `apply` gets "
    "the same manifests, not suspended. The container's start is the kubelet's time, in whole seconds; the "
    "others are those of the pod's log."
)


def _goal(what: str, seconds: float, measured: Spread, why: str) -> Goal:
    return Goal(what, f"{seconds} s", f"{measured.middle:.2f} s", measured.middle <= seconds, why)


class _Bench:
    """A namespace and a bucket for one run of the benchmark."""

    def __init__(self, image: str, storage: str, scratch: Path) -> None:
        from google.cloud import storage as client

        self.namespace = f"bench-{uuid.uuid4().hex[:8]}"
        self._root, self._scratch = f"gs://{self.namespace}", scratch
        client.Client(project="bench").create_bucket(self.namespace)
        _run("kubectl", "create", "namespace", self.namespace)
        self.api: Api = connect(None, self.namespace)
        self._wait(lambda: self.api.get("ServiceAccount", "default") is not None)
        self._flags = ["--preset", "mlp", "--image", image, "--root", self._root, "-n", self.namespace]
        self._flags += ["--env", f"STORAGE_EMULATOR_HOST={storage}", "--threads", "1", "--set", "xla=off"]

    def commands(self, rounds: int) -> dict[str, list[float]]:
        """Seconds of commands that ask no cluster."""
        render = ["launcher", "render", "--name", "one", "--workers", "2", *self._flags]
        argvs = {
            "launcher --help": ["launcher", "--help"],
            "launcher render": render,
            "kubectl version --client": ["kubectl", "version", "--client"],
        }
        for argv in argvs.values():  # once for the page cache
            _run(*argv)
        took: dict[str, list[float]] = {name: [] for name in argvs}
        for _ in range(rounds):
            for name, argv in argvs.items():
                took[name].append(_timed(argv))
        return took

    def pods(self, rounds: int) -> dict[str, list[float]]:
        """Seconds from the start of the command until all pods exist."""
        took: dict[str, list[float]] = {"launcher submit": [], "kubectl apply": []}
        for number in range(rounds):
            words = ["--workers", str(_WORKERS), *self._flags]
            name = f"submit-{number}"
            took["launcher submit"].append(
                self._until_pods(["launcher", "submit", "--name", name, *words], name)
            )
            name = f"apply-{number}"
            rendered = _run("launcher", "render", "-o", "json", "--name", name, *words)
            manifests = json.loads(rendered)["items"]
            manifests[0]["spec"]["suspend"] = False
            path = self._scratch / f"{name}.json"
            path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))
            took["kubectl apply"].append(self._until_pods(["kubectl", "apply", "-f", str(path)], name))
        return took

    def _until_pods(self, argv: Sequence[str], job: str) -> float:
        """Start a command and wait for its pods; the Job is removed afterwards."""
        selector = f"batch.kubernetes.io/job-name={job}"
        began = time.monotonic()
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait(lambda: len(self.api.list("Pod", selector)["items"]) == _WORKERS)
        took = time.monotonic() - began
        process.wait(60)
        if made := self.api.get("Job", job):
            self.api.delete("Job", made)
        self._wait(lambda: not self.api.list("Pod", selector)["items"])
        return took

    def first_steps(self, rounds: int) -> dict[str, list[float]]:
        """Seconds from the container's start: to our first line, and to the first step of training."""
        took: dict[str, list[float]] = {"container to its first line": [], "container to the first step": []}
        for number in range(rounds):
            name = f"start-{number}"
            words = [
                "--set",
                "steps=3",
                "--set",
                "metrics.every_steps=1",
                "--set",
                "metrics.print_every_steps=1",
            ]
            _run("launcher", "submit", "--name", name, *words, *self._flags)
            _run("launcher", "wait", name, "--root", self._root, "--timeout", "5m")
            (pod,) = self.api.list("Pod", f"batch.kubernetes.io/job-name={name}")["items"]
            ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
            log = _run("kubectl", "logs", "--timestamps", "-n", self.namespace, pod["metadata"]["name"])
            for what, pattern in zip(took, (r"^(\S+) pod ", r"^(\S+) 1/3 "), strict=True):
                found = re.search(pattern, log, re.MULTILINE)
                if found is None:
                    raise ContestantFailed(f"no line like {pattern} in the log of {name}")
                took[what].append(_moment(found[1]) - _moment(ended["startedAt"]))
        return took

    @staticmethod
    def _wait(condition: Callable[[], bool], seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise ContestantFailed("the cluster did not come to what was waited for")
            time.sleep(_POLL_SECONDS)


def _run(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def _timed(argv: Sequence[str]) -> float:
    began = time.monotonic()
    _run(*argv)
    return time.monotonic() - began


def _moment(text: str) -> float:
    """Seconds since 1970; the kubelet writes nanoseconds, which Python does not read."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text.replace("Z", "+00:00"))).timestamp()
