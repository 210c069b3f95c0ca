"""The commands that begin a run again: on from its checkpoint, or anew under another name.

A run that lives is replaced: both verbs stop it only when what comes after it would be accepted.
"""

from typing import Any

from launcher.diagnosis.explain.facts import Facts
from launcher.diagnosis.explain.fix import Fix
from launcher.spec.kinds import is_here
from launcher.spec.settings import flag_of


def resume(facts: Facts, *more: str) -> Fix:
    """``launcher resume RUN``."""
    return facts.command("resume", *more, *_replacing(facts))


def submit(facts: Facts, *more: str, **changes: Any) -> Fix:
    """``launcher rerun RUN``: all that the run was asked for, but for changed fields and more words.

    A field that is None is to be as it is when nobody says anything, and is left out where it is already.
    """
    by_hand = facts.status.backend is None and facts.run
    if not (facts.spec or by_hand or is_here(facts.status.backend)):
        return Fix.of("launcher", "submit", "-f", "FILE").noting("nothing says any more how it was asked for")
    words = [word for field, value in changes.items() for word in _words(facts, field, value)]
    return facts.command("rerun", *words, *more, *_replacing(facts))


def _words(facts: Facts, field: str, value: Any) -> list[str]:
    if value is None:
        return ["--unset", field] if facts.spec.get(field) is not None else []
    values = value if isinstance(value, list | tuple) else [value]
    return [word for each in values for word in (flag_of(field), str(each))]


def _replacing(facts: Facts) -> list[str]:
    return ["--replace"] if facts.status.live else []
