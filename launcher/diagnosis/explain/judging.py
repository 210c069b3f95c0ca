"""From the facts about a run to what is wrong with it; pure functions."""

from functools import partial

from launcher.diagnosis.explain.base import Diagnosis, Evidence, first
from launcher.diagnosis.explain.causes import CAUSES
from launcher.diagnosis.explain.causes.game import seen
from launcher.diagnosis.explain.evidence import (
    from_condition,
    from_container,
    from_event,
    from_log,
    from_status,
    present,
)
from launcher.diagnosis.explain.facts import Facts, Object
from launcher.diagnosis.explain.gathering import well
from launcher.diagnosis.explain.health import passing, sentence_of
from launcher.diagnosis.explain.placement import has_no_node

UNKNOWN = "unknown"
_TELLING = 3  # facts that are shown where no cause was recognised


def diagnose(facts: Facts) -> Diagnosis:
    """What the facts show to be wrong with a run; a pure function."""
    now = facts.status
    say = partial(Diagnosis, "run", now.experiment, now.run, now.state, unasked=tuple(facts.unasked))
    found = None if well(now) else first(CAUSES, facts)
    if found:
        key, finding = found
        return say(False, key, finding.sentence, tuple(finding.evidence), finding.fix)
    if well(now) or passing(facts):
        return say(True, None, sentence_of(facts), tuple(seen(facts)) if now.health else ())
    what = f"{facts.name} is {now.state}" + (f": {now.explanation}" if now.explanation else "")
    look = facts.command("logs", "--tail", "50")
    return say(False, UNKNOWN, f"{what}; no known cause fits", tuple(telling(facts)), look)


def telling(facts: Facts) -> list[Evidence]:
    """The three facts that say most where no cause was recognised: none of them is a guess."""
    stuck = [from_container(pod, state) for _, pod, state in facts.containers() if _is_stuck(state)]
    homeless = [pod for _, pod in facts.newest if has_no_node(pod)]
    placed = present(from_condition(pod, "Pod", "PodScheduled") for pod in homeless)
    warnings = [event for event in reversed(facts.events) if event.get("type") == "Warning"]
    word = from_status(facts, "message")
    lines = [from_log(found[-1]) for _, found in sorted(facts.logs.items())]
    groups = [stuck, placed, [from_event(event) for event in warnings], [word] if word else [], lines]
    # One of each kind before a second of any: they mostly say the same over and over.
    mixed = [group[turn] for turn in range(_TELLING) for group in groups if turn < len(group)]
    return mixed[:_TELLING]


def _is_stuck(container: Object) -> bool:
    """Whether a container waits, or ended badly."""
    state = container.get("state") or {}
    return "waiting" in state or bool((state.get("terminated") or {}).get("exitCode"))
