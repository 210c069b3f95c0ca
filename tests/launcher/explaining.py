"""Facts about a run as `gathering` puts them together, from objects that a cluster showed."""

import functools
import json
from datetime import timedelta

import pytest

from launcher.backends.kubernetes.status.joining import worker_status
from launcher.backends.kubernetes.status.observe import Seen, join
from launcher.diagnosis.explain import Facts, diagnose
from launcher.diagnosis.explain.facts import Line
from launcher.records.status import RunStatus, WorkerStatus
from tests.launcher.fixes import check_fix
from tests.launcher.kubernetes_objects import BEGAN, ages, ended, pod, stamp
from trainer.config import resolve
from trainer.errors import EXIT_USER, PeerLost
from trainer.pod.indexed_job import Member, wait_for_peers

LATER = 20.0  # seconds after the Job was created
MISTAKE = [("FailureTarget", "PodFailurePolicy", "failed with exit code 2 matching FailJob rule at index 1")]
TOO_MANY = [("FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit")]
LATE = [("FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline")]


def facts(job=None, pods=(), events=(), said=None, logs=None, seconds=LATER, overrides=(), **more):
    """What is known of run ``one`` so many seconds after its Job was created; `logs` are texts by worker."""
    time = BEGAN + timedelta(seconds=seconds)
    workers = 2 if job is None else job["spec"]["completions"]
    old = ages(said, seconds=seconds)
    here = join(Seen(job, pods, events, time), said, old, workers)
    shown = [worker_status(each) for each in here.workers]
    status = standing(
        here.state.name,
        here.state.explanation,
        said or {},
        workers=shown,
        world_size=workers,
        job="one",
        namespace="team",
        backend="kubernetes",
        restarts=here.restarts,
        age_seconds=old.word,
    )
    spec = {"preset": "mlp", "overrides": list(overrides), "root": "gs://runs/gan", "workers": workers,
            "image": "reg/gantry:1", "namespace": "team", "env": {}}  # fmt: skip
    values = {"run": run_json(overrides), "spec": spec, "logs": lines(logs)} | more
    return Facts(status, said=said or {}, job=job, pods=pods, events=events, time=time, **values)


def standing(state, explanation="", said=None, **more):
    """A status; `more` are fields of it."""
    said = said or {}
    values = {
        "experiment": "gan",
        "run": "one",
        "root": "gs://runs/gan",
        "state": state,
        "explanation": explanation,
        "steps": 60,
        "attempt": 1,
        "workers": [],
        "world_size": 1,
        "preset": "mlp",
        "backend": "local",
        "metrics": {},
        "trainer_restarts": said.get("restarts") or 0,
    }
    told = ("step", "updated", "checkpoint_step", "storage")
    unsaid = (
        "images_per_second",
        "eta_seconds",
        "age_seconds",
        "checkpoint_age_seconds",
        "checkpoint_seconds",
    )
    values |= {key: said.get(key) for key in told} | dict.fromkeys(unsaid)
    return RunStatus(**values | more)


def local(state, codes, logs, said=None, explanation=""):
    """What is known of a run of this machine whose processes ended with these codes."""
    shown = [WorkerStatus(worker, False, code, pid=1000 + worker) for worker, code in enumerate(codes)]
    status = standing(state, explanation, said, workers=shown, world_size=len(codes), root="runs")
    run = {} if EXIT_USER in codes else run_json()  # what the trainer refuses it does not write down
    return Facts(status, run=run, said=said or {}, logs=lines(logs))


def run_json(overrides=()):
    """What ``run.json`` holds."""
    return {
        "preset": "mlp",
        "overrides": list(overrides),
        "world_size": 2,
        "config": _config(tuple(overrides)),
    }


@functools.cache
def _config(overrides):
    return json.loads(resolve("mlp", overrides).model_dump_json())


def lines(logs):
    """Lines of logs, a second apart."""
    return {
        worker: [Line(worker, text, stamp(second)) for second, text in enumerate(texts)]
        for worker, texts in (logs or {}).items()
    }


def answer(found):
    """The diagnosis of facts: its cause, sentence and fix, and where its evidence is from.

    What the fix says would be taken by the command line.
    """
    here = diagnose(found)
    if here.fix is not None:
        check_fix(here.fix, found.spec)
    return here.cause, here.sentence, here.fix and str(here.fix), [each.object for each in here.evidence]


def failed(worker, code, message="", reason="Error", at=10.0, **more):
    """A pod whose trainer ended so many seconds after the Job began."""
    return pod(
        worker,
        phase="Failed",
        state=ended(code, message, reason, finishedAt=stamp(at)),
        age=more.pop("age", 0.0),
        **more,
    )


def with_env(found, **variables):
    found["spec"]["containers"][0]["env"] = [
        {"name": key, "value": value} for key, value in variables.items()
    ]
    return found


def unresolved():
    """What a pod says whose peers' names do not resolve."""
    member = Member("one", "one", 0, 2, 2222, 1, "one-0-abcde")

    def resolve(*_, **__):
        raise OSError

    with pytest.raises(PeerLost) as failure:
        wait_for_peers(member, 0.0, resolve)
    return f"error: {failure.value}"
