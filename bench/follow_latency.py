"""How long a line that a pod prints takes to the launcher that follows it.

Runs where a cluster can be reached, on the machine of its node, since it compares two clocks::

    python -m tests.cluster exec -- python -m bench.follow_latency

Each line holds the time at which it was printed; the delay to its arrival at the follower passes through the
runtime, the kubelet, the API server and the launcher's own thread.
"""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from typing import Any

from launcher.backends.kubernetes.client.api import Api, connect
from launcher.backends.kubernetes.logs.job_logs import PodLogs
from launcher.backends.kubernetes.status.ours import Own
from launcher.records.follow import LogLine
from launcher.render.labels import APP, ATTEMPT, INSTANCE, NAME, PART_OF, ROOT
from trainer.run.layout import RunPath
from trainer.storage import LocalStore

_JOB = "follow-latency"
_RUN = RunPath("gs://nowhere", "bench", _JOB)
_MARKS = {
    "labels": {NAME: APP, INSTANCE: _RUN.name, PART_OF: _RUN.experiment, ATTEMPT: "1"},
    "annotations": {ROOT: _RUN.root},
}
_PROGRAM = """
import time
for number in range({lines}):
    time.sleep({pause})
    print(f"sent {{time.time():.6f}}", flush=True)
"""


@dataclass(frozen=True)
class Latency:
    """Seconds from a line's printing to its arrival."""

    lines: int
    median: float
    worst: float


def measure(api: Api, image: str, lines: int = 200, pause: float = 0.05) -> Latency:
    """Follow a pod that prints; its Job is removed afterwards."""
    made = api.create(_job(image, _PROGRAM.format(lines=lines, pause=pause)))
    delays: list[float] = []
    try:
        with tempfile.TemporaryDirectory() as folder, _follow(api, folder) as logs:
            while not logs.done:
                delays += _delays(logs.read(1.0), time.time())
    finally:
        api.delete("Job", made)
    # What was printed before the pod was seen to run waited for that and not for the stream.
    followed = delays[len(delays) // 4 :]
    return Latency(len(followed), statistics.median(followed), max(followed))


def _follow(api: Api, folder: str) -> PodLogs:
    return PodLogs(Own(api, _RUN, _JOB, 1), LocalStore(folder))


def _delays(lines: list[LogLine], now: float) -> list[float]:
    words = [line.text.split() for line in lines]
    return [now - float(sent[1]) for sent in words if len(sent) == 2 and sent[0] == "sent"]


def _job(image: str, program: str) -> dict[str, Any]:
    container = {
        "name": "trainer",
        "image": image,
        "command": ["python", "-c", program],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    counts = {"completionMode": "Indexed", "completions": 1, "parallelism": 1, "backoffLimit": 0}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": _JOB, **_MARKS},
        "spec": counts | {"template": {"metadata": _MARKS, "spec": pod}},
    }


def main() -> None:
    """Measure and print one JSON object, seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--context", default=None, help="the current one by default")
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--image", default="localhost/gantry:test", help="any that has python")
    parser.add_argument("--lines", type=int, default=200)
    options = parser.parse_args()
    latency = measure(connect(options.context, options.namespace), options.image, options.lines)
    print(json.dumps(asdict(latency)))


if __name__ == "__main__":
    main()
