"""Runs that came to a limit: of time, of failed pods, of a machine that was switched off."""

from launcher.backends.kubernetes.status.endings import ending
from launcher.backends.kubernetes.status.wording import about
from launcher.diagnosis.explain.base import Cause, Finding
from launcher.diagnosis.explain.causes import restart
from launcher.diagnosis.explain.causes.words import ended
from launcher.diagnosis.explain.evidence import (
    from_condition,
    from_container,
    from_event,
    from_field,
    from_log,
    from_status,
    present,
)
from launcher.diagnosis.explain.facts import Facts, message_of
from launcher.records.states import INTERRUPTED
from launcher.wording import counted


def deadline(facts: Facts) -> Finding | None:
    """The Job was active for longer than it may be."""
    end = facts.verdict
    if end is None or end.succeeded or end.reason != "DeadlineExceeded" or facts.job is None:
        return None
    limit = facts.job["spec"].get("activeDeadlineSeconds")
    seen = [from_condition(facts.job, "Job", kind) for kind in ("FailureTarget", "Failed")][:1]
    seen.append(from_field(facts.job, "Job", "spec.activeDeadlineSeconds", limit))
    sentence = f"{facts.name} ran longer than its deadline of {limit} s (--deadline)"
    if facts.said:
        saved = facts.status.checkpoint_step
        sentence += "; nothing is saved" if saved is None else f"; it is saved at step {saved}"
        fix = restart.resume(facts) if saved else restart.submit(facts, active_deadline_seconds=_twice(limit))
        return Finding(sentence, present(seen), fix)
    if stuck := facts.newest_event("Failed", "FailedScheduling", "FailedCreate", "FailedMount", "BackOff"):
        sentence += f", and its trainer never began: {message_of(stuck)}"
        seen.insert(0, from_event(stuck))
    else:
        sentence += ", and its trainer never said a word"
    return Finding(sentence, present(seen), restart.submit(facts, active_deadline_seconds=_twice(limit)))


def backoff_limit(facts: Facts) -> Finding | None:
    """More pods failed than may."""
    end = facts.verdict
    if end is None or end.reason != "BackoffLimitExceeded" or facts.job is None:
        return None
    limit, failed = facts.job["spec"].get("backoffLimit"), (facts.job.get("status") or {}).get("failed")
    sentence = (
        f"{counted(failed or 0, 'pod')} of {facts.name} failed, and its limit is {limit} (--backoff-limit)"
    )
    seen = [
        from_condition(facts.job, "Job", "FailureTarget"),
        from_field(facts.job, "Job", "spec.backoffLimit", limit),
    ]
    for worker, pod, container, over in ended(facts):
        sentence += f"; {about(worker, ending(pod, over)[1])}"
        seen.insert(0, from_container(pod, container))
        break
    return Finding(sentence, present(seen), restart.resume(facts))


def cut_off(facts: Facts) -> Finding | None:
    """The processes of a local run are gone before it was finished."""
    now = facts.status
    if now.state != INTERRUPTED or now.job is not None:
        return None
    at = "" if now.step is None else f"; its last word was of step {now.step}"
    seen = present(
        [from_status(facts, "state"), *(from_log(lines[-1]) for lines in facts.logs.values() if lines)]
    )
    return Finding(f"{facts.name} was cut off: {now.explanation}{at}", seen[:3], restart.resume(facts))


def _twice(limit: object) -> int | None:
    return 2 * limit if isinstance(limit, int) else None


DEADLINE = Cause(
    "deadline",
    "The deadline is over",
    "The Job failed with DeadlineExceeded; its pods were told to save and stop",
    "Resume gives the run the same time again, from its newest checkpoint; rerun takes a longer --deadline",
    deadline,
)


ENDED = (
    Cause(
        "backoff-limit",
        "Too many pods failed",
        "The Job failed with BackoffLimitExceeded, and no pod says more than how it ended",
        "Resume; where pods fail again and again, their logs say why",
        backoff_limit,
    ),
    Cause(
        "cut-off",
        "Cut off",
        "The processes of a local run are gone, and its last word was that it trains: a reboot, say",
        "Resume: the run goes on from its newest checkpoint",
        cut_off,
    ),
)  # fmt: skip
