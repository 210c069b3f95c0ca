"""A game of the two networks that is over, by which a run has ended."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from launcher.diagnosis.explain.base import Cause, Evidence, Finding
from launcher.diagnosis.explain.causes import restart
from launcher.diagnosis.explain.evidence import from_status, present, utc
from launcher.diagnosis.explain.facts import Facts
from launcher.records.states import COLLAPSED
from trainer.config import overlaid, validate
from trainer.errors import ConfigError
from trainer.health import BY_NAME

_LOWER_RATE = 10  # by how much, for the next try
_RATE = "optimizer.learning_rate"
_TRIES = {"packing": "2", "loss": "hinge", "regularizers.r1.weight": "1"}


def seen(facts: Facts) -> list[Evidence]:
    """What the trainer saw of each condition, those that end a game first."""
    found = sorted(_conditions(facts), key=lambda each: not each.get("ends"))
    time = utc(facts.said.get("updated"))
    return [
        Evidence("status.json", f"conditions[{each['name']}]", str(each.get("evidence")), time)
        for each in found
    ]


def collapsed(facts: Facts) -> Finding | None:
    """The condition that ended the run, and the option to change."""
    if facts.status.state != COLLAPSED:
        return None
    worst = next((each for each in _conditions(facts) if each.get("ends")), {})
    option = str(worst.get("option") or _RATE)
    change = _change(facts, option)
    saved = facts.status.checkpoint_step
    kept = f"step {saved} is saved" if saved else "nothing is saved"
    what = worst.get("evidence") or facts.said.get("message") or "its trainer has left with exit code 3"
    told = seen(facts) or present([from_status(facts, "message")])
    was = facts.config(change.partition("=")[0])
    recorded = [] if was is None else [Evidence("run.json", f"config.{change.partition('=')[0]}", str(was))]
    rule = facts.config("health.on_collapse") or "stop"
    sentence = f"its game was over, and health.on_collapse is {rule}: {what}; {kept}"
    return Finding(sentence, [*told, *recorded], restart.submit(facts, "--set", change))


def _conditions(facts: Facts) -> Iterator[dict[str, Any]]:
    """Those of status.json that this launcher knows."""
    found = facts.said.get("conditions")
    for each in found if isinstance(found, list) else ():
        if isinstance(each, dict) and each.get("name") in BY_NAME:
            yield each


def _change(facts: Facts, option: str) -> str:
    """The override that the next run may do better with: of the option, where the run can have it."""
    value = _TRIES.get(option)
    if value is not None and str(facts.config(option)) != value:
        change = f"{option}={value}"
        with suppress(ConfigError):
            overlaid(validate(facts.run.get("config") or {}, "run.json"), [change])
            return change
    return f"{_RATE}={float(facts.config(_RATE) or 2e-4) / _LOWER_RATE:g}"


GAME = Cause(
    "collapsed",
    "The game of the two networks is over",
    "All workers leave with 3 at the same step; status.json has the condition, of those in docs/health.md, "
    "with its numbers",
    "The option that the condition names, in a new run; or on regardless, by "
    "`resume --set health.on_collapse=warn`",
    collapsed,
)
