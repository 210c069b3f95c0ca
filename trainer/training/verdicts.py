"""What the chief keeps of a run's figures: which step is the best, what they cost, which are missing."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.config import RunConfig
from trainer.config.evaluation import USUAL_SHARE
from trainer.errors import StorageError
from trainer.metrics import BY_NAME
from trainer.run import best, evaluations, ownership
from trainer.run.best import Choice
from trainer.run.metrics_log import MetricsLog
from trainer.run.status import now
from trainer.storage import Store
from trainer.training.judging import Judged

_ENOUGH = 2  # evaluations, before their cost is judged: the first one compiles


class Verdicts:
    """The figures of a run so far."""

    def __init__(
        self, config: RunConfig, store: Store, log: MetricsLog, lines: Sequence[Mapping[str, Any]]
    ) -> None:
        """Go on with the `lines` that there are; best.json is mended where one died before it was written."""
        self._config, self._store, self._log = config, store, log
        self.choice = Choice(config.evaluation, lines)
        self._lacking = {line["step"] for line in lines if config.evaluation.metric not in line}
        self.seconds = 0.0
        """That evaluations took in this process."""
        self._began, self._told, self._count_of = time.monotonic(), False, 0
        found, chosen = best.read(store), self.choice.best
        if chosen and (found or {}).get("step") != chosen.step:
            self.write_best(self._entry(chosen.step))

    def lacks(self, step: int) -> bool:
        """Whether a step's line has no figures although it was written."""
        return step in self._lacking

    def complete(self, step: int, judged: Judged) -> dict[str, Any]:
        """Put figures into a line that was written without; returns the line."""
        return self._log.complete(self._store, step, judged.values)

    def hear(self, line: dict[str, Any], judged: Judged) -> bool:
        """Say what was found of a step, and whether it is the best so far."""
        is_best = self.choice.hear(line)
        figure = judged.entry["metrics"][self._config.evaluation.metric]
        floor = "" if figure["floor"] is None else f" (floor {figure['floor']:.4g})"
        text = f"step {line['step']}: {figure['name']} {figure['value']:.4g}{floor}"
        for name in (best.CHOSEN_BY, best.REPORTED):
            if name in line:
                text += f", {BY_NAME[name].short} {line[name]:.4g}"
        if "recall" in line:
            text += f", precision {line['precision']:.2f}, recall {line['recall']:.2f}"
        ownership.say(text + (", the best so far" if is_best else ""))
        self._count(judged)
        return is_best

    def keep(self, judged: Judged, is_best: bool) -> None:
        """Write the figures of a step, and that it is the best."""
        entry = {**judged.entry, "run": self._store.url, "created": now()}
        try:
            evaluations.add(self._store, entry)
        except StorageError as error:  # somebody else evaluates the same step without end
            ownership.say(f"warning: {error}")
        if is_best:
            self.write_best(entry)

    def write_best(self, entry: dict[str, Any] | None) -> None:
        """Write best.json."""
        assert self.choice.best is not None
        best.write(self._store, best.content(self.choice.best, self._config.evaluation.metric, entry))

    @property
    def told(self) -> dict[str, Any] | None:
        """What the status says of the best."""
        found = self.choice.best
        return found and {
            "metric": self._config.evaluation.metric,
            **found._asdict(),
            "since": self.choice.since,
        }

    def _entry(self, step: int) -> dict[str, Any] | None:
        found = [entry for entry in evaluations.read(self._store, step) if entry.get("made") == "training"]
        return dict(found[-1]) if found else None

    def _count(self, judged: Judged) -> None:
        """Add up what evaluations cost, and say once when that is more than usual."""
        self.seconds += judged.entry["seconds"]
        share = self.seconds / max(time.monotonic() - self._began, 1e-3)
        self._count_of += 1
        if self._told or share <= USUAL_SHARE or self._count_of < _ENOUGH:
            return
        self._told = True
        every, line = self._config.evaluation.every_steps, self._config.metrics.every_steps
        usual = -(-round(every * share * (1 - USUAL_SHARE) / (USUAL_SHARE * (1 - share))) // line) * line
        ownership.say(
            f"note: evaluations take {100 * share:.0f} % of the time, {judged.entry['seconds']:.1f} s each; "
            f"evaluation.every_steps={usual} would take {100 * USUAL_SHARE:.0f} %"
        )
