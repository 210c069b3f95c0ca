"""Trainers that ended by themselves: NaN, no memory, a crash, restarts that brought nothing."""

import signal

from launcher.backends.kubernetes.status.endings import disruption, ending
from launcher.backends.kubernetes.status.wording import about
from launcher.diagnosis.explain.base import Cause, Evidence, Finding
from launcher.diagnosis.explain.causes import restart
from launcher.diagnosis.explain.causes.needs import MIB, at_least
from launcher.diagnosis.explain.causes.words import ended, evidence, find, words
from launcher.diagnosis.explain.evidence import from_container, from_field, from_status
from launcher.diagnosis.explain.facts import Facts, Object
from launcher.render.labels import CONTAINER
from launcher.spec.validation import quantity
from trainer.errors import EXIT_DONE, EXIT_RESTART, EXIT_USER

_KILLED, _STOPPED, _RUNTIME = 137, 143, 255
_LOWER_RATE = 10  # by how much, for the next try


def diverged(facts: Facts) -> Finding | None:
    """NaN or Inf, with the step and the tensor."""
    if not (said := find(facts, r"step (\d+): (.+?) is NaN or Inf")):
        return None
    rate = facts.config("optimizer.learning_rate")
    saved = facts.status.checkpoint_step
    kept = f"step {saved} is the last good checkpoint" if saved else "nothing is saved from before"
    with_rate = "" if rate is None else f" (learning rate {rate})"
    sentence = (
        f"training diverged: {said.match[2]} became NaN or Inf in step {said.match[1]}{with_rate}; {kept}"
    )
    seen = None if rate is None else Evidence("run.json", "config.optimizer.learning_rate", str(rate))
    lower = f"optimizer.learning_rate={float(rate or 2e-4) / _LOWER_RATE:g}"
    return Finding(sentence, evidence(facts, said, seen), restart.submit(facts, "--set", lower))


def miscomputed(facts: Facts) -> Finding | None:
    """NaN or Inf that the same steps did not give a second time."""
    pattern = r"step (\d+): (.+?) is NaN or Inf; played again from step \d+ it is not"
    if not (said := find(facts, pattern)):
        return None
    sentence = (
        f"{said.match[2]} became NaN or Inf in or before step {said.match[1]}, and not when the same steps "
        "were played again: a fault of that machine's memory or accelerator"
    )
    return Finding(sentence, evidence(facts, said), restart.resume(facts))


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
    more = at_least(facts, _doubled(size)) or "SIZE"
    return Finding(
        f"worker {worker} needs more than the memory limit{where}: the kernel killed it",
        seen,
        restart.resume(facts, "--memory", more),
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
    return Finding(sentence, evidence(facts, said), restart.resume(facts))


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
        look = facts.command("logs", "--tail", "50")
        return Finding(f"the trainer failed: {facts.said['message']}", [seen], look)
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
            return Finding(text, [from_container(pod, container)], restart.resume(facts))
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
        f"worker {worker} was killed by {name}, by whom is not known{memory}", seen, restart.resume(facts)
    )


_NOT_ITS_OWN = (EXIT_DONE, EXIT_USER, EXIT_RESTART, _KILLED, _STOPPED, _RUNTIME)


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
    return None if found is None else f"{max(1, round(2 * found / MIB))}Mi"


ENDINGS = (
    Cause(
        "miscomputed",
        "NaN or Inf that did not come again",
        "The trainer plays its last steps again before it leaves with 1, and says that they went well then",
        "Resume, away from that node if it comes back: its memory or its accelerator is at fault",
        miscomputed,
    ),
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
        "More memory for each worker, twice the limit and no less than `--estimate` says; or more workers",
        out_of_memory,
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
