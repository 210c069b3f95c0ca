"""A run's images judged while it trains: by all workers together, in parts of a fraction of a second.

Each worker draws and looks at every so many blocks of 256 samples; what they see is summed into the place of
each block, so that the figures do not depend on how many workers there are. The chief alone computes them.
Between two blocks all hear whether one of them was asked to stop: then the step is judged when the run goes
on, before anything else.
"""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer.config import RunConfig
from trainer.data import ImageSource
from trainer.environment.tf_config import Cluster
from trainer.evaluation import choosing, features, reference
from trainer.evaluation.comparison import Comparison, Sources, check
from trainer.evaluation.drawing import BLOCK, Drawer
from trainer.evaluation.features import Seen
from trainer.run import ownership
from trainer.sampling.shown import Shown
from trainer.storage.retrying import ask
from trainer.training import distribution
from trainer.training.state import State


class Judged(NamedTuple):
    """What was found of one step; empty but on the chief."""

    values: dict[str, float]
    """For its line of metrics."""
    entry: dict[str, Any]
    """For evaluations/<step>.json."""


class Judge:
    """Judges a run's images; every call is made by all workers at the same step."""

    def __init__(
        self,
        config: RunConfig,
        strategy: tf.distribute.Strategy,
        cluster: Cluster,
        state: State,
        sources: Sources,
    ) -> None:
        """Ready to be asked.

        Args:
            config: the run's.
            strategy: that `state` was created under.
            cluster: the workers.
            state: what training changes.
            sources: what it is judged with.

        Raises:
            UserError: the feature network is not installed, or there are too few images for it.
        """
        self._config, self._strategy, self._state, self._sources = config, strategy, state, sources
        self._index, self._workers = cluster.index, cluster.workers
        self._agree = distribution.agreement(strategy, cluster)
        by = config.evaluation.looks_by(config.image)
        network = choosing.choose(by, config.image.shape, said="evaluation.features")
        self._network, self._look, self._shares = features.loaded(network, config.image.shape)
        check(config, self._network, sources)
        self._shown = Shown(config, state.networks.generator, state.variables())
        self._drawer = Drawer(config, self._shown.generator, sources.source.labels)
        self._local = len(strategy.extended.worker_devices)
        self._sum = tf.function(lambda *mine: strategy.run(self._summed, args=mine), autograph=False)
        self._comparison: Comparison | None = None

    def prepare(self, beat: Callable[[], object]) -> None:
        """Have what samples are compared with: kept from another run, or looked at now by all together."""
        config, sources = self._config, self._sources
        ids = reference.chosen(sources.source.count, 2 * config.evaluation.samples, sources.in_memory)
        real = self._of("training", ids, partial(self._read, sources.source), beat)
        halves: list[Seen] = []
        for images in sources.held_out.halves if sources.held_out else ():
            which = f"held out {len(halves)}"
            halves.append(self._of(which, np.arange(len(images)), images.__getitem__, beat))
        if self._index == 0:
            self._comparison = Comparison(config, self._network, sources, real, halves)

    def judge(self, step: int, stop: Callable[[], bool], beat: Callable[[], object]) -> Judged | None:
        """What the images of these weights are like; None when one of the workers was asked to stop.

        Args:
            step: steps taken.
            stop: whether this worker was asked to stop.
            beat: called after each part.
        """
        began = time.monotonic()
        self._shown.refresh()
        count = self._config.evaluation.samples
        fake = self._seen(count, lambda number: self._look(self._drawer.block(number)), stop, beat)
        if fake is None:
            return None
        if self._comparison is None:
            return Judged({}, {})
        discriminator = self._state.networks.discriminator
        values, entry = self._comparison.figures(fake, self._drawer, discriminator)
        about = {"step": step, "average": self._shown.is_average, "made": "training"}
        return Judged(values, about | entry | {"seconds": round(time.monotonic() - began, 3)})

    def _of(
        self,
        which: str,
        ids: np.ndarray,
        read: Callable[[np.ndarray], np.ndarray],
        beat: Callable[[], object],
    ) -> Seen:
        """What the network sees in some real images: from the experiment's folder where it is there."""
        held = self._sources.held_out
        about = reference.about(
            which,
            self._sources.fingerprint if which == "training" else held and held.fingerprint,
            None if held is None else (held.fingerprint, held.source.count),
            self._network.label,
            self._config.image.shape,
            len(ids),
            self._sources.source.count,
        )
        kept = self._sources.kept
        found = reference.kept(kept, about)
        if self._agree(found is not None):
            return found or Seen(np.zeros((0, 0)), np.zeros((0, 0)))
        blocks = [np.resize(ids[at : at + BLOCK], BLOCK) for at in range(0, len(ids), BLOCK)]  # one shape
        seen = self._seen(len(ids), lambda number: self._look(read(blocks[number])), lambda: False, beat)
        assert seen is not None
        reference.remember(kept, about, seen, ownership.say)
        return seen

    def _read(self, source: ImageSource, ids: np.ndarray) -> np.ndarray:
        return ask(ownership.outage(self._config), lambda: source.read(ids))

    def _seen(
        self, count: int, look: Callable[[int], Seen], stop: Callable[[], bool], beat: Callable[[], object]
    ) -> Seen | None:
        """What all workers see in blocks of images, on each of them; None when one was asked to stop."""
        blocks, parts = -(-count // BLOCK), []
        for first in range(0, blocks, self._workers):
            mine = first + self._index
            seen = look(mine) if mine < blocks else None
            rows, stopped = self._together(seen, stop())
            beat()
            if stopped:
                return None
            parts.append(rows)
        size = self._network.size
        rows = np.concatenate(parts)[:count]
        return Seen(rows[:, :size], rows[:, size:].reshape(len(rows), *self._shares))

    def _together(self, seen: Seen | None, stop: bool) -> tuple[np.ndarray, bool]:
        """The blocks of all workers one after another, float32 [workers * 256, size + shares]."""
        width = self._network.size + math.prod(self._shares)
        rows = np.zeros((BLOCK, width), np.float32)
        if seen is not None:
            shares = seen.shares.reshape(len(seen.shares), -1)
            rows[: len(shares)] = np.concatenate((seen.features, shares), axis=1)
        if self._workers == 1:
            return rows, stop
        summed, stops = self._sum(tf.constant(rows), tf.constant(float(stop)))
        rows = self._strategy.experimental_local_results(summed)[0].numpy()
        return rows.reshape(-1, width), bool(self._strategy.experimental_local_results(stops)[0].numpy())

    def _summed(self, rows: tf.Tensor, stop: tf.Tensor) -> list[tf.Tensor]:
        """On one replica: each worker's rows in their place, [workers, 256, width]; others add 0."""
        context = tf.distribute.get_replica_context()
        lead = tf.equal(context.replica_id_in_sync_group, self._index * self._local)
        places = tf.one_hot(self._index, self._workers, on_value=True, off_value=False, dtype=tf.bool)
        places = tf.logical_and(places, lead)[:, tf.newaxis, tf.newaxis]
        placed = tf.where(places, rows[tf.newaxis], tf.zeros((1, 1, 1)))
        here = tf.identity(stop)  # on this replica's device: an argument is on none
        reduced: list[tf.Tensor] = context.all_reduce(tf.distribute.ReduceOp.SUM, [placed, here])
        return reduced
