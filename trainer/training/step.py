"""One training step, and many of them in one call.

A step is the updates of a method (`trainer.methods`), each summed over all replicas in one all-reduce. Python
sees the loop only between calls of `Stepper`, each of which takes any number of steps in one `tf.function`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer import randomness
from trainer.config import RunConfig
from trainer.methods import Batch, Method, Turn
from trainer.methods.adversarial import Adversarial
from trainer.training.draws import Draws
from trainer.training.state import State, all_finite


class Outcome(NamedTuple):
    """What Python learns from one call."""

    metrics: dict[str, float]
    """Losses and accuracies, means over the images of all steps since the last line of metrics."""
    finite: bool
    """Whether the losses and all that a checkpoint keeps were free of NaN and Inf after it, everywhere."""
    stop: bool
    """Whether some worker was asked to stop."""
    next_count: int
    """The chief's proposal for the next call, agreed by all."""


class Stepper:
    """Runs steps under a strategy; the same code for one replica and for many."""

    def __init__(
        self,
        config: RunConfig,
        strategy: tf.distribute.Strategy,
        state: State,
        table: Any = None,
        adam_steps: int = 0,
        branches: tuple[int, ...] = (),
    ) -> None:
        """One for a run.

        Args:
            config: the run's.
            strategy: that `state` was created under.
            state: what it changes.
            table: the set, uint8 [count, height, width, channels] on each local replica; None when streaming.
            adam_steps: those that Adam has taken before the run's first.
            branches: steps that rollbacks went back to, the first one first.
        """
        self._config = config
        self._steps_before, self._branches = adam_steps, branches
        self._strategy = strategy
        self._state = state
        self._table = table
        self._replicas = strategy.num_replicas_in_sync
        self._method: Method = Adversarial(config, state.networks, self._replicas)
        # XLA makes the whole step one program: 15.9 against 17.7 ms for the plain GAN on two cores. It cannot
        # hold a collective, cut in pieces around one it was slower than none (195 against 175 ms at 512 a
        # worker), and its convolutions on a CPU are slower: 1,000 images/s instead of 2,000, and 90 in parts
        # (64 and 32 filters, batch 512, parts of 64).
        slow = state.networks.convolves and not tf.config.list_logical_devices("GPU")
        alone = self._replicas == 1 and not state.networks.batch_dependent
        whole = alone and not slow and config.xla == "auto"
        self._play: Callable[..., Any] = (
            tf.function(self._play_game, jit_compile=True, autograph=False) if whole else self._play_game
        )
        # AutoGraph would rewrite 38 functions for one loop: 1.3 s of processor time at every start.
        self._run = tf.function(self._run_steps, input_signature=self._signature(), autograph=False)

    def __call__(
        self,
        first: int,
        count: int,
        stop: bool,
        propose: int,
        inputs: np.ndarray,
        labels: np.ndarray | None = None,
    ) -> Outcome:
        """Take `count` steps.

        Args:
            first: steps taken before.
            count: steps to take now, equal on all workers.
            stop: whether this worker was asked to stop.
            propose: how many steps the next call should take, if this worker is the chief.
            inputs: the steps' indices into the table, int64 [count, images]; streamed, this process' images
                of each, uint8 [count, local images, height, width, channels]. In a step the batches of the
                discriminator's updates come one after another.
            labels: of the same images, int32 [count, images]; None for a run without labels.
        """
        if labels is None:
            labels = np.zeros((count, 0), np.int32)
        self._state.tally, agreed = self._run(
            self._state.tally,
            tf.constant(first, tf.int64),
            tf.constant(count, tf.int64),
            tf.constant([float(stop), float(propose)]),
            inputs,
            labels,
        )
        *sums, steps = self._state.tally.numpy().tolist()
        images_seen = steps * self._config.batch_size
        means = {name: total / images_seen for name, total in zip(self._state.sums, sums, strict=True)}
        wants_stop, next_count, broken = agreed.numpy()
        return Outcome(
            metrics=self._method.metrics(means),
            finite=not broken,
            stop=bool(wants_stop),
            next_count=max(1, int(next_count)),
        )

    def _signature(self) -> list[tf.TensorSpec]:
        """Of `_run_steps`: one trace for every count of steps."""
        config = self._config
        here = len(self._strategy.extended.worker_devices)
        mine = config.images_per_step * here // self._replicas
        images = mine if self._table is None else config.images_per_step
        return [
            tf.TensorSpec((len(self._state.sums) + 1,), tf.float64),
            tf.TensorSpec((), tf.int64),
            tf.TensorSpec((), tf.int64),
            tf.TensorSpec((2,), tf.float32),
            tf.TensorSpec((None, mine, *config.image.shape), tf.uint8)
            if self._table is None
            else tf.TensorSpec((None, images), tf.int64),
            tf.TensorSpec((None, images if config.conditioning.on else 0), tf.int32),
        ]

    def _run_steps(
        self,
        tally: tf.Tensor,
        first: tf.Tensor,
        count: tf.Tensor,
        wishes: tf.Tensor,
        inputs: tf.Tensor,
        labels: tf.Tensor,
    ) -> Any:
        def one(position: tf.Tensor, tally: tf.Tensor) -> tuple[tf.Tensor, ...]:
            args = (first + position, inputs[position], labels[position], self._table)
            sums = self._strategy.run(self._replica_step, args=args)
            sums = self._strategy.experimental_local_results(sums)[0]
            return position + 1, tally + tf.concat([tf.cast(sums, tf.float64), [1.0]], 0)

        start = (tf.zeros((), tf.int64), tally)
        _, tally = tf.while_loop(lambda position, *_: position < count, one, start)
        agreed = self._strategy.run(self._agree, args=(wishes, tally))
        return tally, self._strategy.experimental_local_results(agreed)[0]

    def _agree(self, wishes: tf.Tensor, tally: tf.Tensor) -> tf.Tensor:
        """Any worker's wish to stop, and its NaN, is everybody's; the chief's proposal is everybody's.

        NaN and Inf stay in what they touch, so it is enough to look once a call: 1.2 ms of two cores for the
        plain GAN, and as much in every step when each looked at its gradients.
        """
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        kept = [tf.identity(variable) for variable in self._state.variables().values()]
        finite = tf.reduce_all(tf.stack([all_finite(tensor) for tensor in (tally, *kept)]))
        chiefs = tf.where(tf.equal(replica, 0), wishes[1], 0.0)
        return self._sum([tf.stack([wishes[0], chiefs, 1.0 - tf.cast(finite, tf.float32)])])[0]

    def _replica_step(self, step: tf.Tensor, inputs: tf.Tensor, labels: tf.Tensor, table: Any) -> tf.Tensor:
        """One replica's part of a step: take its slices of images and of noise, and play.

        Args:
            step: int64 scalar, steps taken before.
            inputs: the step's indices into `table`, or this process' streamed images.
            labels: theirs; none without labels.
            table: the whole set on this replica's device, None when streaming.
        """
        config = self._config
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        p = self._state.adaptive.now() if self._state.adaptive else tf.constant(config.augmentation.p)
        last, draws = config.d_repeats - 1, Draws(config, step, replica, self._replicas, self._branches, p)
        # The last batch's latents are both players', from the stream of runs that have no other.
        batches = [
            Batch(
                self._flipped(self._real(inputs, table, replica, repeat), draws, repeat),
                self._mine(labels, table, replica, repeat) if config.conditioning.on else None,
                draws.latents() if repeat == last else draws.latents("discriminator", repeat),
                draws.for_discriminator(repeat),
            )
            for repeat in range(config.d_repeats)
        ]
        more = [draws.latents("generator", repeat) for repeat in range(1, config.g_repeats)]
        noise = [draws.for_generator(repeat) for repeat in range(config.g_repeats)]
        return self._play(Turn(step, batches, more, noise))

    def _real(self, inputs: tf.Tensor, table: Any, replica: tf.Tensor, repeat: int) -> tf.Tensor:
        """This replica's images of one update, uint8 [n, height, width, channels]."""
        mine = self._mine(inputs, table, replica, repeat)
        return mine if table is None else tf.gather(table, mine)

    def _flipped(self, images: tf.Tensor, draws: Draws, repeat: int) -> tf.Tensor:
        """The same, some of them mirrored where the configuration has it so."""
        if not self._config.data.flip:
            return images
        mirrored = draws.flips(repeat)[:, tf.newaxis, tf.newaxis, tf.newaxis]
        return tf.where(mirrored, tf.reverse(images, [2]), images)

    def _mine(self, rows: tf.Tensor, table: Any, replica: tf.Tensor, repeat: int) -> tf.Tensor:
        """This replica's rows for one update, of the global batch's or of what this process streams."""
        batch = tf.split(rows, self._config.d_repeats)[repeat]
        if table is not None:
            return randomness.replica_slice(batch, replica, self._replicas)
        here = len(self._strategy.extended.worker_devices)
        return randomness.replica_slice(batch, replica % here if here > 1 else 0, here)

    def _play_game(self, turn: Turn) -> tf.Tensor:
        """All updates of a step on this replica; returns the sums of `State.sums` over the global batch."""
        state, step = self._state, tf.cast(turn.step, tf.float32)
        repeats = {"discriminator": len(turn.batches), "generator": 1 + len(turn.latents)}
        taken = dict.fromkeys(repeats, 0)
        totals: dict[str, Any] = {}
        turn = turn._replace(scale=state.loss_scale and state.loss_scale.now())
        for update in self._method.updates(turn):
            player = update.player
            *gradients, sums = self._sum([*update.gradients, update.sums])
            first = (turn.step + self._steps_before) * repeats[player] + taken[player] + 1
            learn = partial(self._learn, player, tf.cast(first, tf.float32), step)
            if state.loss_scale:
                sums = state.loss_scale.apply(gradients, sums, turn.scale, learn)
            else:
                learn(gradients)
            if state.adaptive and player == "discriminator":
                state.adaptive.saw(sums)
            taken[player] += 1
            totals[player] = totals[player] + sums if player in totals else sums
        if state.average:
            state.average.update(step)
        if state.adaptive:
            state.adaptive.adjust(turn.step)
        return tf.concat([totals["discriminator"], totals["generator"]], 0)

    def _learn(self, player: str, time: tf.Tensor, step: tf.Tensor, gradients: Sequence[tf.Tensor]) -> None:
        """One update of a player's weights, and what follows it; nothing in it waits for another replica."""
        self._state.adam[player].apply(gradients, time, step)
        for hook in self._state.hooks:
            if hook.player == player:
                hook()

    def _sum(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Sum each tensor over all replicas, in one batched all-reduce."""
        if self._replicas == 1:
            return list(tensors)
        context = tf.distribute.get_replica_context()
        return list(context.all_reduce(tf.distribute.ReduceOp.SUM, list(tensors)))
