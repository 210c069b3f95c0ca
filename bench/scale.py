"""A full cluster: what reports cost with a run of 1,000 workers, and with 500 runs in a namespace.

Needs the cluster of the tests, and KWOK, which is compiled outside of it::

    python -m tests.cluster kwok
    python -m tests.cluster run -- python -m bench --only scale,history --out docs/benchmarks-scale.md
"""

import contextlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psutil

from bench.buckets import EXPERIMENT, bucket
from bench.command import Report, timed, told
from bench.contestant import ContestantFailed
from bench.report import Goal, Section, table
from bench.setting import Setting
from bench.simulated import Simulated, in_parallel, simulated
from launcher.backends.kubernetes.jobs.claim import run_json
from launcher.backends.kubernetes.jobs.record import ClusterRecord
from launcher.spec.runspec import RunSpec, make_spec
from tests.cluster.harness.access import Cluster, find
from trainer.run import index, layout
from trainer.storage import open_store

_SECONDS, _REQUESTS, _MEGABYTES = 2.0, 3, 200.0  # that a report may take
_CONNECTIONS = 4  # of a follower, whatever the number of workers beyond 64
_FOLLOW_SECONDS = 12.0
_TEXT = (
    "API server, etcd, controllers and scheduler are real; nodes and pods are KWOK's, without containers. "
    "Seconds are those of the whole command, interpreter and imports included; processor seconds are what "
    "it computed itself. Requests are counted by the audit log of an API server that serves these commands "
    "alone. Runs have their records in a bucket of fake-gcs-server, as if they trained; `list` reads one "
    "small object of each."
)


def scale(setting: Setting) -> Section:
    """A run of 1,000 workers and 500 runs of one worker, each in a namespace of its own."""
    workers, count = setting.amount(1000, 128), setting.amount(500, 30)
    try:
        cluster = find()
        with bucket() as root:
            large = _large(setting, cluster, root, workers)
            many = _many(setting, cluster, root, count)
    except LookupError as error:
        raise ContestantFailed(str(error)) from None
    reports = {
        f"`status` of a run with {workers:,} workers": large.status,
        f"`list` of {count} runs": many.list,
        f"`status` of one of {count} runs": many.status,
    }
    goals = [goal for what, each in reports.items() for goal in _goals(what, each)]
    goals.append(
        Goal(
            f"connections of `logs -f` of {workers:,} workers to the API server",
            f"at most {_CONNECTIONS}",
            f"{large.connections}",
            0 < large.connections <= _CONNECTIONS,
        )
    )
    head = ("command", "seconds", "processor seconds", "peak memory", "requests to the API server")
    rows = [(what, *each.row()) for what, each in reports.items()]
    more = (
        f"All pods ran {large.made:.0f} s after the Job of {workers:,} workers was created, and "
        f'{many.made:.0f} s after the first of {count} Jobs. `logs -f` said "{large.note}", and asked in '
        f"{_FOLLOW_SECONDS:.0f} s for {told(large.followed)}."
    )
    return Section("A full cluster", f"{_TEXT} {more}", goals, [table(head, rows)])


def _goals(what: str, report: Report) -> list[Goal]:
    took, asked, memory = report.seconds.middle, len(report.requests), report.peak_mib * 1.048576
    why = "The imports of two client libraries are half of it; the rest is other work on the same cores."
    return [
        Goal(what, f"{_SECONDS:.0f} s", f"{took:.2f} s", took <= _SECONDS, why),
        Goal(f"requests of {what}", f"at most {_REQUESTS}", f"{asked}", 0 < asked <= _REQUESTS),
        Goal(f"memory of {what}", f"{_MEGABYTES:.0f} MB", f"{memory:.0f} MB", memory < _MEGABYTES),
    ]


@dataclass(frozen=True)
class _Large:
    """What a run of many workers came to."""

    status: Report
    made: float
    connections: int
    note: str
    followed: Sequence[str]


@dataclass(frozen=True)
class _Many:
    """What many runs of one worker came to."""

    list: Report
    status: Report
    made: float


def _large(setting: Setting, cluster: Cluster, root: str, workers: int) -> _Large:
    with simulated(cluster, f"bench-{uuid.uuid4().hex[:8]}", setting.scratch) as there:
        began = time.monotonic()
        _submit(there, _spec(there, root, "large", workers))
        there.wait_for_pods(workers)
        made = time.monotonic() - began
        where = ["large", "--root", root, "-n", there.api.namespace]
        status = _measure(setting, there, ["status", *where], f"of {workers} workers ready")
        counted = there.requests()
        connections, note = _follow(there, ["logs", "-f", *where])
        return _Large(status, made, connections, note, counted())


def _many(setting: Setting, cluster: Cluster, root: str, count: int) -> _Many:
    with simulated(cluster, f"bench-{uuid.uuid4().hex[:8]}", setting.scratch) as there:
        began = time.monotonic()
        specs = [_spec(there, root, f"run-{number}", 1) for number in range(count)]
        in_parallel(lambda spec: _submit(there, spec), specs)
        there.wait_for_pods(count)
        made = time.monotonic() - began
        index.rebuild(open_store(f"{root}/{EXPERIMENT}"))
        where = ["--root", root, "-n", there.api.namespace]
        listed = _measure(setting, there, ["list", *where], f"run-{count - 1} ")
        status = _measure(setting, there, ["status", "run-7", *where], "of 1 workers ready")
        return _Many(listed, status, made)


def _measure(setting: Setting, there: Simulated, argv: list[str], expected: str) -> Report:
    times, requests = [], []
    for _ in range(setting.amount(5, 1)):
        counted = there.requests()
        times.append(timed(setting.scratch, argv, {"KUBECONFIG": str(there.kubeconfig)}))
        requests.append(counted())
        if expected not in times[-1].output:
            raise ContestantFailed(f"launcher {' '.join(argv)}: no '{expected}' in {times[-1].output[:300]}")
    return Report(times, requests)


def _spec(there: Simulated, root: str, name: str, workers: int) -> RunSpec:
    place = {"root": root, "namespace": there.api.namespace, "context": there.api.context}
    small = {"image": "localhost/gantry:test", "cpu": "100m", "memory": "1Gi"}
    return make_spec("mlp", (f"batch_size={64 * workers}",), name, workers=workers, **place, **small)


def _submit(there: Simulated, spec: RunSpec) -> None:
    """The records that `submit` and a trainer would have written, and the Job."""
    store, now = open_store(spec.path.url), datetime.now(UTC)
    record = ClusterRecord(
        attempt=1,
        job=spec.name,
        namespace=there.api.namespace,
        context=there.api.context,
        server=there.server,
        workers=spec.workers,
        submitted=now.isoformat(),
        spec=spec.model_dump(mode="json"),
    )
    status = {
        "state": "running",
        "step": 100,
        "steps": 10_000,
        "images_per_second": 1000.0,
        "eta_seconds": 60.0,
        "updated": (
            now + timedelta(hours=1)
        ).isoformat(),  # a word of this Job, and not an old one, throughout
        "metrics": {"d_loss": 0.5, "g_loss": 0.7},
    }
    store.write(layout.RUN, run_json(spec))
    store.write(layout.CLUSTER, record.to_json())
    store.write(layout.STATUS, json.dumps(status).encode())
    there.create(spec)


def _follow(there: Simulated, argv: list[str]) -> tuple[int, str]:
    """The most connections that a follower held at once, and the line that it said first."""
    process = subprocess.Popen(
        [sys.executable, "-m", "launcher", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"KUBECONFIG": str(there.kubeconfig)},
    )
    most, end, port = 0, time.monotonic() + _FOLLOW_SECONDS, int(there.server.rpartition(":")[2])
    watched = psutil.Process(process.pid)
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(psutil.Error):
            each = watched.net_connections("tcp")
            most = max(most, sum(bool(one.raddr) and one.raddr.port == port for one in each))
        time.sleep(0.02)
    process.kill()
    said = process.communicate()[0].splitlines()
    return most, said[0] if said else ""
