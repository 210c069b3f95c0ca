"""What happened to a run, attempt by attempt: from its records and what its chief has printed.

A trainer's lines carry no time of day. Times are those of records (``run.json``, ``local.json``,
``cluster.json``, ``result.json``) and of a log's last write; the last are left out where they lie behind the
run's own last word, because then the folder is a copy and the files are as old as that.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from launcher import backends
from launcher.records.follow import LogReader, log_attempts
from launcher.records.states import parse_time
from launcher.spec.redaction import without_password
from trainer.storage import Store

_SLACK = timedelta(minutes=1)  # a log's end is written after the status' last word
_MOST_EVENTS = 60  # of one attempt: its beginning and its end tell most
_PATTERNS = (
    ("resumed", re.compile(r"resuming .* (?P<text>after step (?P<step>\d+))")),
    ("restart", re.compile(r"starting again: (?P<text>.*?(?:from step (?P<step>\d+).*)?)")),
    ("pod", re.compile(r"(?P<text>pod \S+: worker \d+ of \d+), attempt \d+")),
    ("met", re.compile(r"generation (?P<number>\d+): all \d+ workers have met|all \d+ workers are here")),
    ("stopped", re.compile(r"stopped after step (?P<step>\d+);.*")),
    ("finished", re.compile(r"(?P<text>finished (?P<step>\d+) steps): .*")),
    ("error", re.compile(r"error: (?P<text>.*)")),
    ("warning", re.compile(r"warning: (?P<text>.*)")),
    ("note", re.compile(r"(?:took the run over from|storage is back after|step \d+: going on from step) .*")),
)
_PROGRESS = re.compile(r"(\d+)/\d+ \[D loss")


@dataclass(frozen=True)
class Event:
    """One thing that the chief's log tells of."""

    kind: str
    """resumed, restart, pod, met, stopped, finished, error, warning, note, or cut for those left out."""
    text: str
    step: int | None = None
    """Step that it is about."""


@dataclass
class Attempt:
    """One start of a run."""

    number: int
    begun: str | None = None
    """ISO time, UTC, None where nothing says it."""
    ended: str | None = None
    """ISO time, UTC, of the end, or of the last line where nothing else says it; None while it goes on."""
    how: str = ""
    """How it ended or where it is, in a few words."""
    reached: int | None = None
    """Highest step that its log mentions."""
    events: list[Event] = field(default_factory=list)


def read_timeline(store: Store, run: Mapping[str, Any], said: Mapping[str, Any] | None) -> list[Attempt]:
    """A run's attempts, oldest first; none for a run that was never started.

    Args:
        store: the run's.
        run: ``run.json``, empty when there is none.
        said: ``status.json``.

    Raises:
        GantryError: a record is damaged, or the storage does not answer.
    """
    records = (provider.newest(store) for provider in backends.providers())
    newest = next(filter(None, records), None)
    numbers = sorted({*log_attempts(store), *([newest.number] if newest else [])})
    if not numbers and run:
        numbers = [1]
    attempts = [_read(store, number, said) for number in numbers]
    for attempt in attempts:
        if attempt.number == 1:
            attempt.begun = _text(run.get("created"))
        if newest is not None and attempt.number == newest.number:
            attempt.begun = newest.begun
            _say_newest(attempt, said, newest.ended)
    if newest is not None and newest.exit_code is not None:
        attempts[-1].how += f" (exit code {newest.exit_code})"
    return attempts


def restart_steps(attempts: Iterable[Attempt]) -> list[int]:
    """Steps from which a trainer went on, in order and each once."""
    events = (event for attempt in attempts for event in attempt.events)
    return sorted({event.step for event in events if event.kind == "resumed" and event.step is not None})


def parse(lines: Iterable[str]) -> tuple[list[Event], int | None]:
    """What the lines of a chief's log tell, and the highest step they mention; a pure function."""
    events: list[Event] = []
    reached: int | None = None
    for line in lines:
        if found := _PROGRESS.match(line):
            reached = max(reached or 0, int(found[1]))
        elif event := _event(line):
            events.append(event)
            if event.step is not None:
                reached = max(reached or 0, event.step)
    return _shortened(events), reached


def _event(line: str) -> Event | None:
    for kind, pattern in _PATTERNS:
        if found := pattern.fullmatch(line.strip()):
            groups = found.groupdict()
            step = groups.get("step")
            text = without_password(groups.get("text") or line.strip())
            text = f"went on {text}" if kind == "resumed" else text
            return Event(kind, text, int(step) if step else None)
    return None


def _shortened(events: list[Event]) -> list[Event]:
    if len(events) <= _MOST_EVENTS:
        return events
    half = _MOST_EVENTS // 2
    left_out = Event("cut", f"{len(events) - 2 * half} more lines of the log")
    return [*events[:half], left_out, *events[-half:]]


def _read(store: Store, number: int, said: Mapping[str, Any] | None) -> Attempt:
    events, reached = parse(line.text for line in LogReader(store, number, 0).read(last=True))
    ends = [event for event in events if event.kind in ("finished", "stopped", "error")]
    how = {"finished": "finished", "stopped": "stopped", "error": "failed"}[ends[-1].kind] if ends else ""
    last = max((stat.updated for stat in store.list(f"logs/{number}/") if stat.size), default=None)
    return Attempt(number, None, _believed(last, said), how or "cut off", reached, events)


def _believed(last: datetime | None, said: Mapping[str, Any] | None) -> str | None:
    """A log's last write, unless the folder is a copy."""
    updated = parse_time((said or {}).get("updated"))
    if last is None or updated is None or last > updated + _SLACK:
        return None
    return last.isoformat(timespec="seconds")


def _say_newest(attempt: Attempt, said: Mapping[str, Any] | None, ended: str | None) -> None:
    """What only the newest attempt's status knows."""
    state = str((said or {}).get("state") or "")
    if ended is not None:
        attempt.ended = ended
    if not any(event.kind in ("finished", "stopped", "error") for event in attempt.events):
        attempt.how = state or "not begun"
    elif state == "collapsed":
        attempt.how = state
    step = (said or {}).get("step")
    if isinstance(step, int):
        attempt.reached = max(attempt.reached or 0, step)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
