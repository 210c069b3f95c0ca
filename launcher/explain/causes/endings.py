"""Trainers that ended by themselves: a mistake, NaN, no memory, a crash, restarts that brought nothing."""

import re
import signal
from collections.abc import Iterator
from typing import Any, NamedTuple

from launcher.backends.kubernetes.endings import CONTAINER, disruption, ending
from launcher.backends.kubernetes.wording import about
from launcher.check import quantity
from launcher.explain.base import Cause, Evidence, Finding
from launcher.explain.causes import again
from launcher.explain.causes.words import ended, evidence, find, words
from launcher.explain.evidence import from_container, from_field, from_status
from launcher.explain.facts import Facts, Object
from trainer.config import RunConfig
from trainer.errors import EXIT_DONE, EXIT_RESTART, EXIT_USER

_MIB = 1 << 20
_RESUMABLE = ("steps", "recovery")  # what a resumed run may change
_KILLED, _STOPPED, _RUNTIME = 137, 143, 255
_LOWER_RATE = 10  # by how much, for the next try


class Setting(NamedTuple):
    """One value that a message speaks of."""

    key: str
    flag: str
    """By which submit sets it."""
    seen: Evidence | None
    """Where it stands; None where nothing of the run was written."""


def held(facts: Facts) -> Finding | None:
    """Another process trains the same run."""
    pattern = r"(?:is being trained by (\S+)|: (\S+) (?:\(process .*\) )?has taken the run over)"
    if not (said := find(facts, pattern)):
        return None
    who = said.match[1] or said.match[2]
    sentence = f"{facts.name} is being trained by another process, {who}, and {said.who} leaves it to that"
    return Finding(sentence, evidence(facts, said), facts.command("status"))


def mistake(facts: Facts) -> Finding | None:
    """Exit 2: the configuration's line, and the flag that changes it."""
    found = next((word for word in words(facts) if word.exit_code == EXIT_USER), None)
    workers = [worker.worker for worker in facts.status.workers if worker.exit_code == EXIT_USER]
    if found is None and workers:  # a process of this machine, or a pod whose message nobody kept
        own = [word for word in words(facts) if word.worker in (*workers, None)]
        found = own[0] if own else None
    if found is None:
        return None
    who = "the trainer" if found.worker is None else f"worker {found.worker}"
    setting = _setting(facts, found.text)
    seen = [found.seen, *([setting.seen] if setting and setting.seen else [])]
    return Finding(
        f"{who} refuses its configuration or its data: {found.text}", seen, _change(facts, setting)
    )


def diverged(facts: Facts) -> Finding | None:
    """NaN or Inf, with the step and the tensor."""
    if not (said := find(facts, r"step (\d+): (.+?) is NaN or Inf")):
        return None
    rate = _config(facts, "optimizer.learning_rate")
    saved = facts.status.checkpoint_step
    kept = f"step {saved} is the last good checkpoint" if saved else "nothing is saved from before"
    with_rate = "" if rate is None else f" (learning rate {rate})"
    sentence = (
        f"training diverged: {said.match[2]} became NaN or Inf in step {said.match[1]}{with_rate}; {kept}"
    )
    seen = None if rate is None else Evidence("run.json", "config.optimizer.learning_rate", str(rate))
    lower = f"optimizer.learning_rate={float(rate or 2e-4) / _LOWER_RATE:g}"
    return Finding(sentence, evidence(facts, said, seen), again.submit(facts, "--set", lower))


def out_of_memory(facts: Facts) -> Finding | None:
    """The kernel killed a trainer for want of memory; a container's limit says when it does."""
    pattern = r"(?:worker (\d+)'s trainer )?ran out of memory: the kernel killed it(?: at .* ([\d,]+) MiB)?"
    said = find(facts, pattern)
    killed = [each for each in ended(facts) if each[3].get("reason") == "OOMKilled"]
    killed = [each for each in killed if each[3].get("exitCode") != EXIT_RESTART]
    if not said and not killed:
        return None
    worker = int(said.match[1]) if said and said.match[1] else killed[0][0] if killed else 0
    limit = _memory_limit(facts, worker)
    seen = [from_container(pod, container) for _, pod, container, _ in killed[:1]]
    seen += [each for each in (evidence(facts, said) if said else []) if each not in seen]
    if limit:
        seen.append(
            from_field(limit[0], "Pod", f"spec.containers[{CONTAINER}].resources.limits.memory", limit[1])
        )
    size = limit[1] if limit else _mib(said.match[2]) if said and said.match[2] else None
    where = f" of {size}" if size else " of its container"
    more = _doubled(size) or "SIZE"
    return Finding(
        f"worker {worker} needs more than the memory limit{where}: the kernel killed it",
        seen,
        again.resume(facts, "--memory", more),
    )


def in_vain(facts: Facts) -> Finding | None:
    """Restart after restart, and never a newer checkpoint."""
    said = find(facts, r"(\d+) restarts brought no newer checkpoint than step (\d+); the last reason: (.*)")
    if not said:
        return None
    count, step, why = said.match.groups()
    limit = f"recovery.restarts_without_progress={count}"
    where = f"step {step}" if int(step) else "the beginning"
    sentence = f"{count} restarts brought no newer checkpoint than {where} ({limit}); the last reason: {why}"
    return Finding(sentence, evidence(facts, said), again.resume(facts))


def crashed(facts: Facts) -> Finding | None:
    """A trainer ended with an error of its own."""
    own = [word for word in words(facts) if word.exit_code not in (None, *_NOT_ITS_OWN)]
    codes = {each.worker: each.exit_code for each in facts.status.workers}
    if not own:
        bad = [
            worker
            for worker, code in codes.items()
            if code is not None and code not in _NOT_ITS_OWN and code > 0
        ]
        own = [word._replace(exit_code=codes[word.worker]) for word in words(facts) if word.worker in bad]
    if not own and facts.said.get("state") == "failed" and (seen := from_status(facts, "message")):
        return Finding(
            f"the trainer failed: {facts.said['message']}", [seen], facts.command("logs", "--tail", "50")
        )
    if not own:
        return None
    first = own[0]
    lines = [each.seen for each in words(facts) if each.text == first.text and each.seen != first.seen][:1]
    look = facts.command("logs", "--worker", str(first.worker), "--tail", "50")
    return Finding(
        f"worker {first.worker} crashed with exit code {first.exit_code}: {first.text}",
        [first.seen, *lines],
        look,
    )


def killed(facts: Facts) -> Finding | None:
    """A signal from outside, of which nobody knows why."""
    for worker, pod, container, over in ended(facts):
        gone = "deletionTimestamp" in pod["metadata"] or disruption(pod)
        if over.get("exitCode") in (_KILLED, _RUNTIME) and not gone:
            text = about(worker, ending(pod, over)[1])
            return Finding(text, [from_container(pod, container)], again.resume(facts))
    local = [each for each in facts.status.workers if (each.exit_code or 0) < 0 and each.pod is None]
    if not local:
        return None
    worker, number = local[0].worker, -(local[0].exit_code or 0)
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    memory = (
        "; the kernel does that too when the machine's memory is used up" if number == signal.SIGKILL else ""
    )
    seen = [Evidence("local.json", f"processes[{worker}].exit_code", str(-number))]
    return Finding(
        f"worker {worker} was killed by {name}, by whom is not known{memory}", seen, again.resume(facts)
    )


_NOT_ITS_OWN = (EXIT_DONE, EXIT_USER, EXIT_RESTART, _KILLED, _STOPPED, _RUNTIME)


def _setting(facts: Facts, text: str) -> Setting | None:
    """The variable, override or value of the configuration with which a message begins."""
    if not (named := re.match(r"(?:--set )?([A-Za-z_]\w*(?:\.\w+)*)", text)):
        return None
    key = named[1]
    for pod, variable in _variables(facts):
        if variable.get("name") == key:
            where = f"spec.containers[{CONTAINER}].env[{key}]"
            return Setting(key, "--env", from_field(pod, "Pod", where, variable.get("value", "")))
    for override in facts.run.get("overrides") or facts.spec.get("overrides") or ():
        if str(override).partition("=")[0] == key:
            return Setting(key, "--set", Evidence("run.json", "overrides", f"--set {override}"))
    if key.partition(".")[0] not in RunConfig.model_fields:
        return None
    value = _config(facts, key)
    seen = None if value is None else Evidence("run.json", f"config.{key}", str(value))
    return Setting(key, "--set", seen)


def _change(facts: Facts, setting: Setting | None) -> str:
    """The command that says it otherwise; the new value is the person's to know."""
    if setting is None:
        return again.submit(facts)
    resumable = setting.flag == "--set" and setting.key.partition(".")[0] in _RESUMABLE and facts.run
    return (again.resume if resumable else again.submit)(facts, setting.flag, f"{setting.key}=VALUE")


def _variables(facts: Facts) -> Iterator[tuple[Object, Object]]:
    for pod in facts.pods:
        for container in (pod.get("spec") or {}).get("containers") or []:
            if container.get("name") == CONTAINER:
                yield from ((pod, each) for each in container.get("env") or [])


def _config(facts: Facts, key: str) -> Any:
    """A value of the resolved configuration by its dotted name, None where there is none."""
    value: Any = facts.run.get("config") or {}
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _memory_limit(facts: Facts, worker: int) -> tuple[Object, str] | None:
    pods = facts.workers.get(worker) or [pod for _, pod in facts.newest]
    for pod in pods:
        for container in (pod.get("spec") or {}).get("containers") or []:
            limit = ((container.get("resources") or {}).get("limits") or {}).get("memory")
            if container.get("name") == CONTAINER and limit:
                return pod, str(limit)
    return None


def _mib(text: str) -> str:
    return f"{text.replace(',', '')}Mi"


def _doubled(size: str | None) -> str | None:
    """Twice a quantity of memory, such as 4096Mi for 2Gi."""
    found = quantity(size) if size else None
    return None if found is None else f"{max(1, round(2 * found / _MIB))}Mi"


ENDINGS = (
    Cause(
        "diverged",
        "NaN or Inf",
        "All workers leave with 1 at the same step; the error names the tensor",
        "A lower learning rate, in a new run: a resumed one keeps its values and comes to the same step",
        diverged,
    ),
    Cause(
        "out-of-memory",
        "Out of memory",
        "The kernel killed a trainer or its container: OOMKilled, or the supervisor's word for it",
        "More memory for each worker, or a smaller batch on more workers",
        out_of_memory,
    ),
    Cause(
        "held",
        "Another process trains the run",
        "Exit code 2 and the name of the process that holds the run's lease",
        "Stop the other process, or let it go on",
        held,
    ),
    Cause(
        "mistake",
        "A mistake in the configuration or the data",
        "Exit code 2; the error begins with the key or the variable, and the Job fails at once",
        "Submit with another value; `steps` and `recovery` can be set by resume",
        mistake,
    ),
)  # fmt: skip
LEFT = (
    Cause(
        "restarts-in-vain",
        "Restarts without progress",
        "Restart after restart without a newer checkpoint, until the chief's pod gives up",
        "Mend the last reason; where checkpoints are too far apart, more of them",
        in_vain,
    ),
    Cause(
        "crashed",
        "The trainer crashed",
        "An exit code of its own, mostly 1, and the last line of a traceback",
        "Read the log's end; a resumed run goes on from the newest checkpoint",
        crashed,
    ),
)  # fmt: skip
KILLED = Cause(
    "killed",
    "Killed from outside",
    "SIGKILL to a process, or a container whose runtime died, and nothing that says why",
    "Resume; where it comes again, look at the machine's memory and its kernel's log",
    killed,
)
