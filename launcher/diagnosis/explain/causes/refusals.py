"""The newest word of the API server on why it lets none of a run's pods be made."""

import re
from typing import NamedTuple

from launcher.backends.kubernetes.status.jobs import is_suspended, workers_of
from launcher.diagnosis.explain.base import Evidence
from launcher.diagnosis.explain.evidence import from_event
from launcher.diagnosis.explain.facts import Facts, message_of


class Refusal(NamedTuple):
    """The newest word of why no pod can be made, and what was found in it."""

    match: re.Match[str]
    evidence: Evidence


def refused(facts: Facts) -> bool:
    """Whether a worker has no pod because the API server lets none be made."""
    return _newest(facts) is not None


def _newest(facts: Facts) -> tuple[str, Evidence] | None:
    job = facts.job
    if job is None or facts.verdict or is_suspended(job) or len(facts.workers) >= workers_of(job):
        return None
    event = facts.newest_event("FailedCreate")
    return (message_of(event), from_event(event)) if event else None


def refusal(facts: Facts, pattern: str) -> Refusal | None:
    """The newest word, if a pattern is in it."""
    newest = _newest(facts)
    match = re.search(pattern, newest[0]) if newest else None
    return Refusal(match, newest[1]) if match and newest else None
