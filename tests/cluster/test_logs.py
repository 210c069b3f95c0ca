"""The logs of a Job's pods on a real cluster: each line once, whatever happens to connections and pods.

The Job is written by hand and its pods print numbered lines, so that no test waits for TensorFlow.
"""

import textwrap
import time
from collections import defaultdict

import pytest

from launcher.backends.kubernetes.client.api import connect
from launcher.backends.kubernetes.logs import job_pods, stream
from launcher.backends.kubernetes.logs.job_logs import Begin, PodLogs, read_logs
from launcher.backends.kubernetes.status.ours import Own
from launcher.errors import SpecError
from launcher.records.follow import LogLine
from launcher.render.labels import APP, ATTEMPT, INSTANCE, NAME, PART_OF, ROOT
from tests.cluster.pods import python
from tests.cluster.relay import Relay
from trainer.run.layout import RunPath, worker_log_segment
from trainer.storage import open_store

HEADER = "import os; pod = os.environ['POD']; i = os.environ['JOB_COMPLETION_INDEX']\n"
HEADER += "print(f'pod {pod}: worker {i} of 2, attempt 1', flush=True)\n"


class Run:
    """One Job, its pods and the folder in the bucket that its trainer would have written."""

    def __init__(self, cluster, namespace, kubectl, bucket):
        self.kubectl = kubectl
        self.api = connect(cluster.context, namespace)
        self.path = RunPath(bucket, "gan", "one")
        self.store = open_store(self.path.url)
        self._cluster = cluster

    def start(self, program, workers=1, grace_seconds=2):
        """Start a Job whose workers run `program` after the line that names the pod."""
        pod = python(self._cluster, "one", HEADER + textwrap.dedent(program))
        marks = {
            "labels": {NAME: APP, INSTANCE: "one", PART_OF: "gan", ATTEMPT: "1"},
            "annotations": {ROOT: self.path.root},
        }
        spec = pod["spec"] | {"terminationGracePeriodSeconds": grace_seconds}
        container = spec["containers"][0]
        container["name"] = "trainer"
        name = {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
        container["env"] = [*container["env"], name]
        self.kubectl.apply(
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": "one", **marks},
                "spec": {
                    "completionMode": "Indexed",
                    "completions": workers,
                    "parallelism": workers,
                    "backoffLimit": 3,
                    "podReplacementPolicy": "Failed",
                    "template": {"metadata": marks, "spec": spec},
                },
            }
        )

    def pods(self):
        """Names of the pods that are there, by worker."""
        found = self.kubectl.get("pods", "-l", "batch.kubernetes.io/job-name=one")["items"]
        index = "batch.kubernetes.io/job-completion-index"
        return {int(pod["metadata"]["annotations"][index]): pod["metadata"]["name"] for pod in found}

    def pod(self, worker=0):
        """Name of a worker's pod once it has printed something."""

        def talking():
            name = self.pods().get(worker)
            return name if name and self.kubectl("logs", name, check=False).stdout else None

        return self.kubectl.wait_for(f"worker {worker} to print", talking)

    def written(self):
        """Lines of the worker that has printed the fewest."""
        logs = [self.kubectl("logs", name).stdout for name in self.pods().values()]
        return min(len(log.splitlines()) for log in logs)

    def follow(self, api=None, **options):
        return PodLogs(Own(api or self.api, self.path, "one", 1), self.store, **options)

    def read(self, **options):
        return read_logs(Own(self.api, self.path, "one", 1), self.store, **options)

    def copy(self, worker, segment, *lines):
        """Write a piece of a worker's copy in the bucket."""
        self.store.write(
            worker_log_segment(1, worker, segment), "".join(f"{line}\n" for line in lines).encode()
        )


@pytest.fixture
def run(cluster, namespace, kubectl, bucket):
    return Run(cluster, namespace, kubectl, bucket)


def follow_to_end(logs, seconds=120.0, until=None):
    """What comes until the end, or until a condition on what came holds."""
    lines, deadline = [], time.monotonic() + seconds
    while not logs.done and not (until and until(lines)):
        assert time.monotonic() < deadline, f"not at the end after {len(lines)} lines; the last: {lines[-3:]}"
        lines += logs.read(1.0)
    return lines


def by_worker(lines):
    found = defaultdict(list)
    for line in lines:
        found[line.worker].append(line.text)
    return dict(found)


def header(pod, worker=0):
    return f"pod {pod}: worker {worker} of 2, attempt 1"


def numbered(count, begin=0):
    return [f"line {number}" for number in range(begin, count)]


def printing(count, pause=0.0, end=0.0):
    return f"""
        import sys, time
        for number in range({count}):
            print("line", number, flush={pause > 0})
            time.sleep({pause}) if {pause} else None
        time.sleep({end})
    """


def test_two_workers_are_followed_from_before_they_start_to_their_end(run):
    run.start(printing(40, 0.1), workers=2)
    with run.follow() as logs:
        lines = follow_to_end(logs)
    pods = run.pods()
    assert by_worker(lines) == {worker: [header(pods[worker], worker), *numbered(40)] for worker in (0, 1)}
    assert [line.worker for line in lines] != sorted(line.worker for line in lines)  # as they came
    assert run.read() == sorted(lines, key=lambda line: line.worker)
    with run.follow(worker=1) as logs:  # of a Job that has ended
        assert follow_to_end(logs) == [line for line in lines if line.worker == 1]
    assert run.read(worker=0, begin=Begin(tail=2)) == [LogLine(0, "line 38"), LogLine(0, "line 39")]
    with pytest.raises(SpecError, match="--worker 2: expected 0 to 1"):
        run.read(worker=2)


@pytest.mark.alone
def test_no_line_is_lost_or_repeated_while_the_api_server_is_away(run, outage):
    run.start(
        f"""
        import time
        from trainer.storage import open_store
        store, number = open_store("{run.store.url}"), 0
        while number % 50 or not store.stat("enough"):
            print("line", number, flush=True)
            number += 1
            time.sleep(0.02)
        """,
        workers=2,
    )
    with run.follow() as logs:
        lines = follow_to_end(logs, until=lambda lines: len(lines) > 100)
        with outage():
            lines += logs.read(0.5)
        run.store.write("enough", b"")
        lines += follow_to_end(logs)
    pods = run.pods()
    for worker, texts in by_worker(lines).items():
        assert texts == [header(pods[worker], worker), *numbered(len(texts) - 1)]
        assert len(texts) > 1500
    assert by_worker(lines) == by_worker(run.read())


def test_a_deleted_pod_is_followed_to_its_end_and_then_its_replacement(run):
    run.start(
        """
        import signal, sys, time
        def stop(*_):
            print("saved", flush=True)
            sys.exit(42)
        signal.signal(signal.SIGTERM, stop)
        for number in range(60):
            print("line", number, flush=True)
            time.sleep(0.1)
        """,
        grace_seconds=30,
    )
    first = run.pod()
    with run.follow() as logs:
        lines = follow_to_end(logs, until=lambda lines: LogLine(0, "line 9") in lines)
        run.kubectl("delete", "pod", first, "--wait=false")
        lines += follow_to_end(logs)
    texts = [line.text for line in lines]
    end = texts.index("saved")
    assert texts[:end] == [header(first), *numbered(end - 1)]
    assert texts[end + 1 :] == [header(run.pods()[0]), *numbered(60)]


def test_a_pod_that_fails_is_read_before_its_replacement_and_again_afterwards(run):
    run.start(
        """
        import sys
        print("first", flush=True)
        sys.exit(1)
        """
    )
    with run.follow() as logs:
        lines = follow_to_end(logs, until=lambda lines: len(lines) >= 4)
        run.kubectl("delete", "job", "one", "--wait=false")
        lines += follow_to_end(logs)
    texts = [line.text for line in lines]
    assert texts[1::2] == ["first"] * (len(texts) // 2)
    assert len(set(texts[::2])) == len(texts) // 2  # each pod's name once


@pytest.fixture
def relay(run, kubectl, tmp_path, monkeypatch):
    """A way to the API server of its own, for followers that are to lose it."""
    with Relay(kubectl, tmp_path) as relay:
        monkeypatch.setenv("KUBECONFIG", str(relay.kubeconfig))
        relay.api = connect(None, run.api.namespace)
        yield relay


def test_connections_that_are_cut_again_and_again(run, relay):
    run.start(printing(4000, 0.002), workers=2)
    with run.follow(relay.api) as logs:
        lines = follow_to_end(logs, until=bool)
        for _ in range(15):
            lines += logs.read(0.5)
            relay.cut()
        lines += follow_to_end(logs)
    pods = run.pods()
    assert by_worker(lines) == {worker: [header(pods[worker], worker), *numbered(4000)] for worker in (0, 1)}


def test_a_connection_that_is_half_dead_is_noticed(run, relay, monkeypatch):
    monkeypatch.setattr(stream, "_SILENT_SECONDS", 3.0)
    monkeypatch.setattr(job_pods, "_WATCH_SECONDS", 3.0)
    run.start(printing(100, 0.1))
    with run.follow(relay.api) as logs:
        lines = follow_to_end(logs, until=lambda lines: len(lines) > 10)
        relay.stall()
        lines += follow_to_end(logs)
    assert [line.text for line in lines] == [header(run.pods()[0]), *numbered(100)]


def test_pods_that_come_and_go_unseen_are_read_from_the_bucket(run, relay):
    run.start(printing(30, 0.1, end=60))
    pod = run.pod()
    unseen = [header("one-0-other"), "replaced unseen", "twice"]
    with run.follow(relay.api) as logs:
        lines = follow_to_end(logs, until=lambda lines: LogLine(0, "line 4") in lines)
        with relay.away():
            run.copy(0, 0, header(pod), *numbered(20))
            run.copy(0, 1, *numbered(30, 20), "the last it said", *unseen)
            run.kubectl("delete", "job", "one", "--wait=false")
            run.kubectl("delete", "pod", pod, "--grace-period=0", "--force", check=False)
            run.kubectl.wait_for("the end of the pod", lambda: not run.pods())
        lines += follow_to_end(logs)
    expected = [header(pod), *numbered(30), "the last it said", *unseen]
    assert [line.text for line in lines] == expected
    assert run.read() == [LogLine(0, text) for text in expected]  # nothing but the bucket is left
    assert run.read(begin=Begin(tail=1)) == [LogLine(0, "twice")]
    with pytest.raises(SpecError, match="--since: expected none"):
        run.read(begin=Begin(since_seconds=60))
    with run.follow() as logs:
        assert [line.text for line in follow_to_end(logs)] == expected


def test_pods_that_were_replaced_before_come_first_from_the_bucket(run):
    run.copy(0, 0, header("one-0-gone"), "old")
    run.start(printing(3))
    with run.follow() as logs:
        lines = follow_to_end(logs)
    assert [line.text for line in lines] == [header("one-0-gone"), "old", header(run.pods()[0]), *numbered(3)]
    assert run.read() == lines
    assert run.read(begin=Begin(tail=4)) == lines[-4:]


def test_a_container_that_prints_fast(run):
    # It ends when all has come: a node that is busy loses what a container writes in its last moment.
    waiting = f"""
        from trainer.storage import open_store
        while not open_store("{run.store.url}").stat("enough"):
            time.sleep(0.2)
    """
    run.start(textwrap.dedent(printing(50_000)) + "sys.stdout.flush()\n" + textwrap.dedent(waiting))
    last = LogLine(0, "line 49999")
    with run.follow() as logs:
        lines = follow_to_end(logs, until=lambda lines: last in lines[-1:])
        run.store.write("enough", b"")
        lines += follow_to_end(logs)
    assert [line.text for line in lines] == [header(run.pods()[0]), *numbered(50_000)]


def test_last_lines_that_the_node_lost_are_read_from_the_bucket(run):
    program = (
        printing(30, 0.1, end=2)
        + """
        print("line 3", end="", flush=True)  # the node has the beginning of "line 30"
    """
    )
    run.start(program)
    pod = run.pod()
    run.copy(0, 0, header(pod), *numbered(20))
    run.copy(0, 1, *numbered(35, 20))
    expected = [header(pod), *numbered(35)]
    with run.follow() as logs:
        assert [line.text for line in follow_to_end(logs)] == expected
    assert [line.text for line in run.read()] == expected
    assert [line.text for line in run.read(begin=Begin(tail=3))] == expected[-3:]


def test_long_lines_bytes_and_progress_bars(run):
    run.start(
        r"""
        import sys, time
        for number in range(10):
            sys.stdout.buffer.write(b"%d" % number * 100_000 + b"\n \x80\xff\n 10%\r 50%\r" + b"\n\n")
            sys.stdout.flush()
            time.sleep(0.2)
        sys.stdout.buffer.write(b"no end")
        """
    )
    with run.follow() as logs:
        lines = follow_to_end(logs)
    expected = []
    for number in range(10):
        expected += [str(number) * 100_000, " \ufffd\ufffd", " 50%", ""]
    assert [line.text for line in lines][1:] == [*expected, "no end"]
    tail = [line.text for line in run.read(begin=Begin(tail=5))]
    assert tail == [*expected[-4:], "no end"]


def test_tail_and_since_of_a_run_that_goes_on(run):
    run.start(printing(100, 0.1, end=1), workers=2)
    run.pod(0), run.pod(1)
    with run.follow(begin=Begin(tail=0), worker=0) as logs:
        lines = follow_to_end(logs, until=bool)
        assert lines[0].text != header(run.pods()[0])
    run.kubectl.wait_for("more than three lines of both", lambda: run.written() > 3)
    with run.follow(begin=Begin(tail=3)) as logs:
        lines = follow_to_end(logs)
    for texts in by_worker(lines).values():
        assert texts == numbered(100, 100 - len(texts))
        assert 3 < len(texts) < 100
    since = by_worker(run.read(begin=Begin(since_seconds=6)))
    assert set(since) <= {0, 1}
    for texts in since.values():
        assert texts == numbered(100, 100 - len(texts))
    with run.follow(begin=Begin(since_seconds=1)) as logs:
        assert all(line.text != "line 0" for line in follow_to_end(logs))


def test_of_a_run_with_many_workers_the_chief_is_followed(run):
    run.start(printing(2), workers=3)
    with run.follow(most=2) as logs:
        lines = follow_to_end(logs)
        assert logs.note == "following worker 0 of 3; `--worker I` follows another"
    assert by_worker(lines).keys() == {0}
    assert by_worker(run.read()).keys() == {0, 1, 2}


def test_a_job_that_waits_to_begin_is_waited_for_and_a_suspended_one_has_ended(run):
    run.start(printing(600, 0.1))
    run.pod()
    with run.follow() as logs:
        follow_to_end(logs, until=bool)
        run.kubectl("patch", "job", "one", "-p", '{"spec": {"suspend": true}}')
        follow_to_end(logs)
    run.kubectl.wait_for("no pod to be left", lambda: not run.pods())  # while one stops, the end is near
    with run.follow() as logs:
        logs.read(3.0)
        assert not logs.done
        run.kubectl("patch", "job", "one", "-p", '{"spec": {"suspend": false}}')
        assert follow_to_end(logs, until=bool)[0].text.startswith("pod ")
