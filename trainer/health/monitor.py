"""Hears the lines of a run in their order, and knows which conditions hold.

A condition holds when every line that tells of it has said so for as long as it has to: D is often right
about everything for a while at the beginning of a run that ends well.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from trainer.health.conditions import BY_NAME, CONDITIONS, Condition
from trainer.health.settings import Health
from trainer.health.signs import Line


class Found(NamedTuple):
    """A condition that holds."""

    name: str
    """In `BY_NAME`."""
    since: int
    """Step of the last line that said otherwise, 0 where none did: what was saved until then was healthy."""
    evidence: str
    """What the newest line said, with its numbers."""

    @property
    def condition(self) -> Condition:
        """Its row."""
        return BY_NAME[self.name]

    @property
    def sentence(self) -> str:
        """The evidence, and what to change."""
        return f"{self.evidence}; {self.condition.advice}"

    def as_json(self) -> dict[str, Any]:
        """For status.json and result.json."""
        told = {"name": self.name, "since": self.since, "evidence": self.evidence}
        return {**told, "option": self.condition.option, "ends": self.condition.ends}


class _Streak:
    """One condition, and the lines in a row that said it holds."""

    def __init__(self, condition: Condition, health: Health) -> None:
        self.condition, self._health = condition, health
        self.since = self._last = self._count = 0
        self._heard: list[Line] = []
        self._said = ""

    def add(self, line: Line) -> None:
        if any(name not in line for name in self.condition.reads):
            return
        self._said = self.condition.says(line, self._heard, self._health)
        self._heard.append(line)
        self._last = line["step"]
        if self._said:
            self._count += 1
        else:
            self.since, self._count = self._last, 0

    @property
    def suspicious(self) -> bool:
        """Whether the newest line said so."""
        return self._count > 0

    def found(self) -> Found | None:
        condition, health = self.condition, self._health
        lasted = self._last - self.since >= condition.steps(health) and self._count >= condition.lines(health)
        if not self._said or not lasted:
            return None
        return Found(condition.name, self.since, self._said.format(since=self.since))


class Monitor:
    """Every condition of a run; a pure function of its lines."""

    def __init__(self, health: Health, logistic: bool = True, lines: Iterable[Line] = ()) -> None:
        """Hear the `lines` before; `logistic`: whether the losses are cross-entropies."""
        self._streaks = [_Streak(each, health) for each in CONDITIONS if logistic or not each.logistic]
        for line in lines:
            self.add(line)

    def add(self, line: Line) -> None:
        """Hear a line."""
        for streak in self._streaks:
            streak.add(line)

    @property
    def found(self) -> list[Found]:
        """The conditions that hold, in the table's order."""
        return [found for streak in self._streaks if (found := streak.found())]

    @property
    def over(self) -> Found | None:
        """The first condition by which the game is over."""
        return next((each for each in self.found if each.condition.ends), None)

    def healthy_until(self, step: int) -> int:
        """Step before which nothing that can end the game had begun, of those up to `step`."""
        begun = [each.since for each in self._streaks if each.suspicious and each.condition.ends]
        return min([step, *begun])


def in_words(found: Sequence[Found]) -> str:
    """All of them in one line, empty where none holds."""
    return "; ".join(each.sentence for each in found)
