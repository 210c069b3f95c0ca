"""What somebody changed behind a run's back: its folder was emptied, its data, its Job's number of pods."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

from launcher.backends.kubernetes.kind import KIND
from launcher.backends.kubernetes.status.jobs import workers_of
from launcher.backends.kubernetes.status.pods import pod_status, variables
from launcher.diagnosis.explain.base import Cause, Evidence, Finding
from launcher.diagnosis.explain.causes import restart
from launcher.diagnosis.explain.causes.words import evidence, find
from launcher.diagnosis.explain.evidence import from_container, from_field
from launcher.diagnosis.explain.facts import Facts, Object
from launcher.diagnosis.explain.fix import Fix
from launcher.records.states import RUNNING
from launcher.render.labels import CONTAINER, SPEC, annotation
from launcher.runs.recorded import submit_words
from launcher.wording import counted

_WORKERS = "GANTRY_WORKERS"
_OPTIONS = {"--preset": "preset", "--root": "root", "--experiment": "experiment"}


def lost(facts: Facts) -> Finding | None:
    """The run's record, or all its checkpoints, were there and are gone."""
    said = find(facts, r"run\.json is gone", r"its checkpoints are gone, of which step (\d+) was the newest")
    if not said:
        return None
    if said.match.re.groups:
        what = f"the checkpoints of {facts.name} are gone, of which step {said.match[1]} was the newest"
    else:
        what = f"run.json of {facts.name}, the record without which nothing can be continued, is gone"
    sentence = f"{what}: somebody has emptied {facts.path.url}"
    return Finding(sentence, evidence(facts, said), _anew(facts))


def changed_data(facts: Facts) -> Finding | None:
    """Files that the run began with are gone or others, or the list of them is."""
    files = r"(\d+) of (\d+) files that the run began with (?:is|are) (gone|not what [^:]*): (.*?); put "
    said = find(facts, files, r"data\.json is gone, which lists the data")
    if not said:
        return None
    if said.match.re.groups:
        count, total, how, names = said.match.groups()
        be = "is" if count == "1" else "are"
        what = (
            f"{count} of the {counted(int(total), 'file')} that {facts.name} began with {be} {how}: {names}"
        )
    else:
        what = f"data.json of {facts.name}, the list of the files that it began with, is gone"
    fix = restart.resume(facts, "--accept-changed-data").noting(
        "goes on with what is there now; with the files put back, resume without it; a new run may begin "
        "with these weights (rerun --warm-start)"
    )
    return Finding(f"{what}: a run trains on the data that it began with", evidence(facts, said), fix)


def more_pods(facts: Facts) -> Finding | None:
    """A Job that asks for more pods than its run has workers."""
    pods = [(worker, pod) for worker, pod in facts.newest if pod_status(worker, [pod]).spare]
    refused = find(facts, r"JOB_COMPLETION_INDEX is '\d+', expected .* for the \d+ workers of GANTRY_WORKERS")
    trains = facts.status.state == RUNNING and not facts.status.storage
    if facts.job is None or not pods or not (trains or refused):
        return None
    count, asked = min(worker for worker, _ in pods), workers_of(facts.job)
    have = counted(count, "worker")
    sentence = (
        f"somebody has given the Job of {facts.name} {asked} pods, and it has {have}: its workers are agreed "
        "upon when an attempt begins, and pods beyond them "
        + ("end it with exit code 2" if refused else "leave at once")
    )
    _, pod = pods[0]
    told = next(str(each.get("value")) for each in variables(pod, CONTAINER) if each.get("name") == _WORKERS)
    seen = [
        from_field(facts.job, "Job", "spec.completions", str(asked)),
        from_field(pod, "Pod", f"spec.containers[{CONTAINER}].env[{_WORKERS}]", told),
        *_ended(pod),
    ]
    return Finding(sentence, seen, restart.resume(facts, "--workers", str(asked)))


def _ended(pod: Object) -> list[Evidence]:
    found = (pod.get("status") or {}).get("containerStatuses") or []
    return [from_container(pod, each) for each in found if each.get("name") == CONTAINER]


def _anew(facts: Facts) -> Fix:
    """The run again: as its record has it, or where that went with the rest, as its pods were told."""
    words = None if facts.spec or facts.run else submit_words(_asked(facts))
    return restart.submit(facts) if words is None else Fix.of(*words)


def _asked(facts: Facts) -> dict[str, Any]:
    """Fields of the run's specification, as its Job says, or so far as its pods have them."""
    job = facts.job
    with suppress(ValueError):
        if job is not None and (said := json.loads(annotation(job, SPEC) or "{}")):
            return {**said, "workers": workers_of(job), "backend": KIND.name}
    template = ((facts.job or {}).get("spec") or {}).get("template")
    for pod in (template, *facts.pods):
        for container in ((pod or {}).get("spec") or {}).get("containers") or []:
            if container.get("name") == CONTAINER and container.get("args"):
                found = {
                    **_of_words(container["args"]),
                    "image": container.get("image"),
                    "namespace": facts.namespace,
                    "context": facts.context,
                    "backend": KIND.name,
                }
                return found | ({"workers": workers_of(facts.job)} if facts.job else {})
    return {}


def _of_words(words: Sequence[str]) -> Mapping[str, Any]:
    """What the trainer's command line says."""
    pairs = [(option, str(value).replace("$$", "$")) for option, value in pairwise(words)]
    overrides = [value for option, value in pairs if option == "--set"]
    return {_OPTIONS[option]: value for option, value in pairs if option in _OPTIONS} | {
        "overrides": overrides
    }


ALTERED = (
    Cause(
        "data-changed",
        "The run's data is not what it began with",
        "Exit code 2: files that data.json lists are gone or have changed, or data.json itself is gone",
        "The files back and resume; or resume with `--accept-changed-data`; or a new run with `--warm-start`",
        changed_data,
    ),
    Cause(
        "run-lost",
        "The run's folder was emptied",
        "Exit code 2: run.json, or all checkpoints, were there when the attempt began and are gone",
        "The folder back, as from a bucket's deleted objects, and resume; else the same run anew",
        lost,
    ),
    Cause(
        "more-pods",
        "The Job was given more pods than the run has workers",
        "completions of the Job above GANTRY_WORKERS; such pods leave at once, with 0",
        "Resume with more --workers: an attempt's workers are agreed upon when it begins",
        more_pods,
    ),
)  # fmt: skip
