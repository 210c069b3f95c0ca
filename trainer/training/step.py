"""One training step, and many of them in one call.

A step updates the discriminator on real and generated images, then the generator against the updated
discriminator with the same latents (Goodfellow et al. 2014, algorithm 1, with one discriminator step). The
generated images are computed once and serve both updates.

`Stepper` runs any number of steps in one `tf.function` call; Python sees the loop only between calls.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer import losses, randomness
from trainer.config import RunConfig
from trainer.data import to_unit_range
from trainer.networks.layers import batches_apart
from trainer.training.state import SUMS, State, all_finite


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
    ) -> None:
        """One for a run.

        Args:
            config: the run's.
            strategy: that `state` was created under.
            state: what it changes.
            table: the set, uint8 [count, height, width, channels] on each local replica; None when streaming.
            adam_steps: those that Adam has taken before the run's first.
        """
        self._config = config
        self._time_offset = 1 + adam_steps
        self._strategy = strategy
        self._state = state
        self._table = table
        self._replicas = strategy.num_replicas_in_sync
        self._loss = losses.load(config.loss)
        # XLA makes the whole step one program: 15.9 against 17.7 ms for the plain GAN on two cores. It cannot
        # hold a collective, cut in pieces around one it was slower than none (195 against 175 ms at 512 a
        # worker), and its convolutions on a CPU are many times slower.
        whole = self._replicas == 1 and not state.networks.batch_dependent and config.xla == "auto"
        self._play: Callable[..., Any] = (
            tf.function(self._play_game, jit_compile=True, autograph=False) if whole else self._play_game
        )
        # AutoGraph would rewrite 38 functions for one loop: 1.3 s of processor time at every start.
        self._run = tf.function(self._run_steps, input_signature=self._signature(), autograph=False)

    def __call__(self, first: int, count: int, stop: bool, propose: int, inputs: np.ndarray) -> Outcome:
        """Take `count` steps.

        Args:
            first: steps taken before.
            count: steps to take now, equal on all workers.
            stop: whether this worker was asked to stop.
            propose: how many steps the next call should take, if this worker is the chief.
            inputs: the global batches' indices into the table, int64 [count, batch]; streamed, this process'
                images of each step, uint8 [count, local batch, height, width, channels].
        """
        self._state.tally, agreed = self._run(
            self._state.tally,
            tf.constant(first, tf.int64),
            tf.constant(count, tf.int64),
            tf.constant([float(stop), float(propose)]),
            inputs,
        )
        *sums, steps = self._state.tally.numpy().tolist()
        images_seen = steps * self._config.batch_size
        means = {name: total / images_seen for name, total in zip(SUMS, sums, strict=True)}
        wants_stop, next_count, broken = agreed.numpy()
        return Outcome(
            metrics={"d_loss": (means["d_loss_real"] + means["d_loss_fake"]) / 2, **means},
            finite=not broken,
            stop=bool(wants_stop),
            next_count=max(1, int(next_count)),
        )

    def _signature(self) -> list[tf.TensorSpec]:
        """Of `_run_steps`: one trace for every count of steps."""
        streamed = self._local_shape(len(self._strategy.extended.worker_devices))
        return [
            tf.TensorSpec((len(SUMS) + 1,), tf.float64),
            tf.TensorSpec((), tf.int64),
            tf.TensorSpec((), tf.int64),
            tf.TensorSpec((2,), tf.float32),
            tf.TensorSpec((None, *streamed), tf.uint8)
            if self._table is None
            else tf.TensorSpec((None, self._config.batch_size), tf.int64),
        ]

    def _run_steps(
        self, tally: tf.Tensor, first: tf.Tensor, count: tf.Tensor, wishes: tf.Tensor, inputs: tf.Tensor
    ) -> Any:
        def one(position: tf.Tensor, tally: tf.Tensor) -> tuple[tf.Tensor, ...]:
            args = (first + position, inputs[position], self._table)
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

    def _replica_step(self, step: tf.Tensor, inputs: tf.Tensor, table: Any) -> tf.Tensor:
        """One replica's part of a step: take its slice of the images and of the noise, and play.

        Args:
            step: int64 scalar.
            inputs: the global batch's indices into `table`, or this process' streamed images.
            table: the whole set on this replica's device, None when streaming.
        """
        config, replicas = self._config, self._replicas
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        noise = randomness.noise(config.seed, step, config.batch_size, config.network.latent_size)
        noise = randomness.replica_slice(noise, replica, replicas)
        if table is None:
            here = len(self._strategy.extended.worker_devices)
            images = tf.reshape(inputs, self._local_shape(here))
            real = randomness.replica_slice(images, replica % here if here > 1 else 0, here)
        else:
            real = tf.gather(table, randomness.replica_slice(inputs, replica, replicas))
        return self._play(real, noise, tf.cast(step + self._time_offset, tf.float32))

    def _local_shape(self, local_replicas: int) -> list[int]:
        return [self._config.batch_size * local_replicas // self._replicas, *self._config.image.shape]

    def _play_game(self, real: tf.Tensor, noise: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
        """Both updates on this replica's images; returns the sums of `SUMS` over the global batch."""
        state = self._state
        real = to_unit_range(real)
        with tf.GradientTape(watch_accessed_variables=False) as generator_tape:
            generator_tape.watch(state.generator_weights)
            fake = state.networks.generator(noise, training=True)

        gradients, sums = self._discriminator_gradients(real, tf.stop_gradient(fake))
        *gradients, d_sums = self._sum([*gradients, sums])
        state.discriminator_adam.apply(gradients, time)

        to_fake, sums = self._generator_signal(fake)
        gradients = generator_tape.gradient(fake, state.generator_weights, output_gradients=to_fake)
        *gradients, g_sums = self._sum([*gradients, sums])
        state.generator_adam.apply(gradients, time)
        return tf.concat([d_sums, g_sums], 0)

    def _discriminator_gradients(self, real: tf.Tensor, fake: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor]:
        state = self._state
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(state.discriminator_weights)
            real_logits, fake_logits = self._discriminate(real, fake)
            real_loss = tf.reduce_sum(self._loss.real(real_logits))
            fake_loss = tf.reduce_sum(self._loss.fake(fake_logits))
            loss = (real_loss + fake_loss) / 2 / self._config.batch_size
        right = [tf.reduce_sum(tf.cast(right, tf.float32)) for right in (real_logits > 0, fake_logits <= 0)]
        return tape.gradient(loss, state.discriminator_weights), tf.stack([real_loss, fake_loss, *right])

    def _discriminate(self, real: tf.Tensor, fake: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits [batch] of both halves; in one pass where that is faster (5 % of the plain GAN's step).

        With batch normalization real and generated images are batches of their own, as in Radford et al. Then
        one replica takes two passes, with the fused kernel; several take one, for half the collectives.
        """
        discriminator, apart = self._state.networks.discriminator, self._state.networks.batch_dependent
        if apart and self._replicas == 1:
            real_logits, fake_logits = (discriminator(half, training=True)[:, 0] for half in (real, fake))
            return real_logits, fake_logits
        with batches_apart(2 if apart else 1):
            logits = discriminator(tf.concat([real, fake], 0), training=True)
        real_logits, fake_logits = tf.split(logits[:, 0], 2)
        return real_logits, fake_logits

    def _generator_signal(self, fake: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Gradient of the generator's loss with respect to its images, and the loss's sum as [1]."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fake)
            logits = self._state.networks.discriminator(fake, training=True)[:, 0]
            total = tf.reduce_sum(self._loss.generator(logits))
            loss = total / self._config.batch_size
        return tape.gradient(loss, fake), total[tf.newaxis]

    def _sum(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Sum each tensor over all replicas, in one batched all-reduce."""
        if self._replicas == 1:
            return list(tensors)
        context = tf.distribute.get_replica_context()
        return list(context.all_reduce(tf.distribute.ReduceOp.SUM, list(tensors)))
