"""What the workers themselves said of their end, of all that they ever printed what counts now.

A run may have lost a worker yesterday and gone on. What was said before its trainers last met, or before they
last took a step, is over, so each worker's words begin behind the last such line of its log. Causes look for
a pattern in these words and take the first one in time: what came later mostly follows from it.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from launcher.backends.kubernetes.status.wording import one_line
from launcher.diagnosis.explain.base import Evidence
from launcher.diagnosis.explain.evidence import from_container, from_log, from_status
from launcher.diagnosis.explain.facts import Facts, Line, Object
from launcher.records.follow import pod_of
from launcher.render.labels import CONTAINER
from trainer.errors import EXIT_DONE

_BEGUN = re.compile(r"generation \d+: all \d+ workers have met|\d+/\d+ \[D loss|all \d+ workers are here")
_ERROR, _AGAIN = "error: ", "starting again: "
# What ends a program that has not said "error:" itself.
_CRASH = re.compile(r"(Fatal Python error: |[A-Za-z_.]+(Error|Exception|Interrupt)\b|terminate called).*")
_LATE = "9999"  # sorts what has no time behind what has one
_SPOKEN_FOR = ("failed", "collapsed", "restarting", "stopped")


class Word(NamedTuple):
    """An error that a worker said, or that was said of one."""

    text: str
    """Without ``error: `` before it."""
    seen: Evidence
    worker: int | None = None
    """Who said it; None for the run's status."""
    exit_code: int | None = None
    """With which its container ended on that."""


class Said(NamedTuple):
    """A word in which a pattern was found."""

    word: Word
    match: re.Match[str]

    @property
    def who(self) -> str:
        """``worker 1``, or ``the trainer`` where nobody knows which."""
        return "the trainer" if self.word.worker is None else f"worker {self.word.worker}"


def words(facts: Facts) -> list[Word]:
    """Errors that were said since the trainers last trained, the first in time first."""
    found = [*_of_containers(facts), *_of_logs(facts)]
    found.sort(key=lambda word: word.seen.time or _LATE)  # stable: containers before logs
    return [*found, *_of_status(facts)]


def find(facts: Facts, *patterns: str) -> Said | None:
    """The first word in which one of some regular expressions is found."""
    for word in words(facts):
        for pattern in patterns:
            if match := re.search(pattern, word.text):
                return Said(word, match)
    return None


def evidence(facts: Facts, said: Said, *more: Evidence | None) -> list[Evidence]:
    """Where a pattern was found: a container's end and a line of a log each once, and what else there is."""
    pattern, seen = said.match.re, [said.word.seen]
    for word in words(facts):
        other = word.seen.object.partition("/")[0] not in {each.object.partition("/")[0] for each in seen}
        if other and pattern.search(word.text):
            seen.append(word.seen)
    return [*seen, *(each for each in more if each is not None)]


def ended(facts: Facts) -> Iterator[tuple[int, Object, Object, Object]]:
    """Worker, pod, container and its state ``terminated`` of trainers that ended badly, by time."""
    found = []
    for worker, pod, container in facts.containers():
        for state in (container.get("lastState") or {}, container.get("state") or {}):
            over = state.get("terminated")
            if container.get("name") == CONTAINER and over and over.get("exitCode") != EXIT_DONE:
                found.append((worker, pod, container, over))
    return iter(sorted(found, key=lambda each: str(each[3].get("finishedAt") or _LATE)))


def last_words(text: object) -> str:
    """The line of a termination message, or of the end of a log, that tells most."""
    lines = [line.strip() for line in str(text or "").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(_ERROR)]
    crashes = [line for line in lines if _CRASH.fullmatch(line)]
    line = next(iter([*reversed(errors), *reversed(crashes), *reversed(lines)]), "")
    return one_line(line).removeprefix(_ERROR)


def fresh(lines: Iterable[Line]) -> list[Line]:
    """Lines of one worker since it last trained, or since its pod began."""
    kept: list[Line] = []
    for line in lines:
        if pod_of(line.text) or _BEGUN.match(line.text):
            kept = []
        kept.append(line)
    return kept


def _of_containers(facts: Facts) -> Iterator[Word]:
    for worker, pod, container, over in ended(facts):
        if text := last_words(over.get("message")):
            last = over is (container.get("lastState") or {}).get("terminated")
            yield Word(text, from_container(pod, container, last), worker, over.get("exitCode"))


def _of_logs(facts: Facts) -> Iterator[Word]:
    for worker, lines in sorted(facts.logs.items()):
        recent = fresh(lines)
        for line in recent:
            for mark in (_ERROR, _AGAIN):
                if line.text.startswith(mark):
                    yield Word(line.text.removeprefix(mark), from_log(line), worker)
        crashes = [line for line in recent if _CRASH.fullmatch(line.text.strip())]
        if crashes and not any(line.text.startswith(_ERROR) for line in recent):
            yield Word(crashes[-1].text.strip(), from_log(crashes[-1]), worker)


def _of_status(facts: Facts) -> Iterator[Word]:
    if facts.said.get("state") in _SPOKEN_FOR and (seen := from_status(facts, "message")):
        yield Word(str(facts.said["message"]), seen)
