"""The chief's look at the game: what grids and weights say of it, which conditions hold, what is done then.

What is done is decided from the lines alone, at steps of lines, so that a run that was killed decides the
same when it comes there again.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from trainer import losses
from trainer.config import RunConfig
from trainer.health import Found, Monitor, in_words
from trainer.pictures.variety import deviation, variety
from trainer.run import best, checkpoints, layout, ownership, rollbacks
from trainer.run.status import amend
from trainer.storage import Store

GO_ON, STOP = -1, -2
"""What all workers agree on after a line; any other number is the step to go back to."""
_DIGITS = 9


def acts(config: RunConfig, step: int) -> bool:
    """Whether it is decided after so many steps whether the run goes on; the same on every worker."""
    line = step % config.metrics.every_steps == 0 or step == config.steps
    return config.health.on_collapse != "warn" and step > 0 and line


class Watch:
    """Hears each line of a run, and those before it."""

    def __init__(self, config: RunConfig, lines: Iterable[Mapping[str, Any]], real: np.ndarray) -> None:
        """Begin after some lines; `real` images are those beside the grid, uint8 [n, …]."""
        self._config, self._real = config, deviation(real)
        self._monitor = Monitor(config.health, losses.LOSSES[config.loss].logistic, lines)
        self._told: set[str] = set()

    def figures(self, step: int) -> bool:
        """Whether the line of a step has figures of a grid: the first one that comes with it or after."""
        config = self._config
        before = (step - 1) // config.metrics.every_steps * config.metrics.every_steps
        every = config.samples.every_steps
        return step // every > before // every or step == config.steps

    def measured(self, images: np.ndarray, weights: Mapping[str, Sequence[tf.Variable]]) -> dict[str, float]:
        """Those figures: of the grid's images, uint8 [n, …], and of each player's weights."""
        spread, repeats = variety(images, self._real)
        generator, discriminator = (norm(weights[player]) for player in ("generator", "discriminator"))
        return {"spread": spread, "repeats": repeats, "g_norm": generator, "d_norm": discriminator}

    def add(self, line: Mapping[str, Any]) -> None:
        """Hear a line; say once of each condition that it holds, and when none does any more."""
        self._monitor.add(line)
        found = self._monitor.found
        for each in found:
            if each.name not in self._told:
                ownership.say(f"warning: step {line['step']}: {each.sentence}")
        if self._told and not found:
            ownership.say(f"note: step {line['step']}: G and D play again")
        self._told = {each.name for each in found}

    @property
    def status(self) -> dict[str, Any]:
        """For status.json: the sentence, None while nothing holds, and the conditions."""
        found = self._monitor.found
        return {"health": in_words(found) or None, "conditions": [each.as_json() for each in found]}

    @property
    def over(self) -> Found | None:
        """By which condition the game is over."""
        return self._monitor.over

    def spared(self, step: int) -> int | None:
        """Step up to which the newest checkpoint is to be kept, so that there is one to go back to."""
        return self._monitor.healthy_until(step) if self._config.health.on_collapse == "rollback" else None

    def verdict(self, store: Store, step: int) -> int:
        """What is to be done after a step's line: `GO_ON`, `STOP`, or the checkpoint's step to go back to.

        Every checkpoint that was handed in has to be written.
        """
        rules = self._config.health
        if self.over is None or rules.on_collapse == "warn":
            return GO_ON
        if rules.on_collapse == "stop" or len(rollbacks.read(store)) >= rules.rollbacks:
            return STOP
        healthy = self._monitor.healthy_until(step)
        return next((saved for saved in checkpoints.complete_steps(store) if saved <= healthy), 0)


def go_back(store: Store, at: int, to: int, found: Found) -> int:
    """Have the next process, or this one, go on from `to` with other latents; the rollback's number.

    The record comes last: cut off before it, the run comes to the same line again, and decides the same.
    """
    amend(store, step=to, checkpoint_step=to or None)  # or all that were would be missed at the next start
    checkpoints.discard_after(store, to)
    for folder, step_of in (
        ("samples/", layout.sample_step),
        (layout.EVALUATIONS, layout.evaluation_step),
    ):
        for name in [stat.name for stat in store.list(folder)]:
            step = step_of(name)
            if step is not None and step > to:
                store.delete(name)
    if ((best.read(store) or {}).get("step") or 0) > to:
        store.delete(layout.BEST)
    return rollbacks.add(store, at, to, found.name, found.evidence)


def norm(weights: Sequence[tf.Variable]) -> float:
    """Of all weights together, summed in one order in float64."""
    total = sum(float(np.square(tf.identity(each).numpy(), dtype=np.float64).sum()) for each in weights)
    return float(f"{total**0.5:.{_DIGITS}g}")
