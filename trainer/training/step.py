"""One training step, and many of them in one call.

A step updates the discriminator on real and generated images, then the generator against the updated
discriminator with the same latents (Goodfellow et al. 2014, algorithm 1, with one discriminator step). The
generated images are computed once and serve both updates.

`Stepper` runs any number of steps in one `tf.function` call; Python sees the loop only between calls.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer import losses, randomness
from trainer.config import RunConfig
from trainer.data import to_unit_range
from trainer.networks.keras_builder import Networks, build, named_variables
from trainer.optimizers.adam import Adam
from trainer.training.input_pipeline import Feed

# What each step sums over the global batch, in this order.
_D_SUMS = ("d_loss_real", "d_loss_fake", "d_accuracy_real", "d_accuracy_fake")
SUMS = (*_D_SUMS, "g_loss")
TALLY = "metrics/tally"
"""Name in a checkpoint of what the next line of metrics has of its steps so far."""


class State:
    """All that training changes: two networks and Adam's moments. Create it in the strategy's scope."""

    def __init__(self, config: RunConfig) -> None:
        self.networks: Networks = build(config)
        generator, discriminator = self.networks
        self.generator_weights = [weight.value for weight in generator.trainable_variables]
        self.discriminator_weights = [weight.value for weight in discriminator.trainable_variables]
        self.generator_adam = Adam(config.optimizer, self.generator_weights)
        self.discriminator_adam = Adam(config.optimizer, self.discriminator_weights)
        self.begin_line()

    def begin_line(self) -> None:
        """Have the next line of metrics begin after the steps so far."""
        # Doubles, added one step after another: the same sums however calls and restarts cut the steps.
        self.tally = tf.zeros((len(SUMS) + 1,), tf.float64)
        """`SUMS` over the steps of a line so far, and how many these are, float64 [len(SUMS) + 1]."""

    def tensors(self) -> dict[str, tf.Variable | tf.Tensor]:
        """All that a checkpoint keeps, by name."""
        return {**self.variables(), TALLY: self.tally}

    def variables(self) -> dict[str, tf.Variable]:
        """Every variable by the name it has in a checkpoint."""
        found: dict[str, tf.Variable] = {}
        for network, adam in zip(self.networks, (self.generator_adam, self.discriminator_adam), strict=True):
            found |= named_variables(network)
            for name, first, second in zip(trainable_names(network), adam.first, adam.second, strict=True):
                found[f"adam/{name}/first_moment"] = first
                found[f"adam/{name}/second_moment"] = second
        return found

    def not_finite(self) -> str | None:
        """Name of the first weight or moving statistic that is NaN or Inf, None when all are finite."""
        for name, variable in self.variables().items():
            if not name.startswith("adam/") and not tf.reduce_all(tf.math.is_finite(tf.identity(variable))):
                return name
        return None

    def assign(self, values: Mapping[str, np.ndarray]) -> None:
        """Give every variable the value of that name, on each replica, and go on with a checkpoint's line.

        Raises:
            KeyError: a variable has no value.
        """
        self.begin_with({name: values[name] for name in self.variables()})
        if TALLY in values:  # checkpoints up to version 0.1 have none: the line begins here
            self.tally = tf.constant(values[TALLY], tf.float64)

    def begin_with(self, values: Mapping[str, np.ndarray]) -> None:
        """Give the variables that are named their values, on each replica."""
        variables = self.variables()
        for name, value in values.items():
            variables[name].assign(value)


def trainable_names(network: Any) -> list[str]:
    """Names of a network's trainable variables, in Keras' order."""
    by_id = {id(variable): name for name, variable in named_variables(network).items()}
    return [by_id[id(weight.value)] for weight in network.trainable_variables]


class Outcome(NamedTuple):
    """What Python learns from one call."""

    metrics: dict[str, float]
    """Losses and accuracies, means over the images of all steps since the last line of metrics."""
    bad_step: int | None
    """Steps taken before the first one with a NaN or Inf."""
    bad_tensor: str | None
    """The first tensor of that step that was not finite."""
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
        feed: Feed,
        adam_steps: int = 0,
    ) -> None:
        """`adam_steps`: those that Adam has taken before the run's first."""
        self._config = config
        self._time_offset = 1 + adam_steps
        self._strategy = strategy
        self._state = state
        self._feed = feed
        self._replicas = strategy.num_replicas_in_sync
        self._loss = losses.load(config.loss)
        self._names = [
            "d_loss",
            *(f"gradient of {name}" for name in trainable_names(state.networks.discriminator)),
            "g_loss",
            *(f"gradient of {name}" for name in trainable_names(state.networks.generator)),
        ]
        # XLA makes the whole step one program: 15.9 against 17.7 ms for the plain GAN on two cores. It cannot
        # hold a collective, cut in pieces around one it was slower than none (195 against 175 ms at 512 a
        # worker), and its convolutions on a CPU are many times slower.
        whole = self._replicas == 1 and not state.networks.batch_dependent and config.xla == "auto"
        self._play: Callable[..., Any] = (
            tf.function(self._play_game, jit_compile=True, autograph=False) if whole else self._play_game
        )
        # AutoGraph would rewrite 38 functions for one loop: 1.3 s of processor time at every start.
        self._run = tf.function(self._run_steps, input_signature=self._signature(), autograph=False)

    def __call__(self, first: int, count: int, stop: bool, propose: int, images: Any = None) -> Outcome:
        """Take `count` steps, of which the first is step `first` (from 0).

        Args:
            first: steps taken before.
            count: steps to take, the same on every worker.
            stop: whether this worker was asked to stop.
            propose: how many steps this worker would take next; the chief's counts.
            images: streamed uint8 [count, local batch, height, width, channels], None with a table.
        """
        tally, bad, agreed = self._run(
            self._state.tally,
            tf.constant(first, tf.int64),
            tf.constant(count, tf.int64),
            tf.constant([float(stop), float(propose)]),
            *(() if images is None else (images,)),
        )
        self._state.tally = tally
        *sums, steps = tally.numpy().tolist()
        images_seen = steps * self._config.batch_size
        means = {name: total / images_seen for name, total in zip(SUMS, sums, strict=True)}
        bad_step, bad_index = (int(value) for value in bad.numpy())
        wants_stop, next_count = agreed.numpy()
        return Outcome(
            metrics={"d_loss": (means["d_loss_real"] + means["d_loss_fake"]) / 2, **means},
            bad_step=None if bad_step < 0 else bad_step,
            bad_tensor=None if bad_step < 0 else self._names[bad_index],
            stop=bool(wants_stop),
            next_count=max(1, int(next_count)),
        )

    def _signature(self) -> list[tf.TensorSpec]:
        """Of `_run_steps`: one trace for every count of steps, streamed ones included."""
        streamed = self._local_shape(len(self._strategy.extended.worker_devices))
        return [
            tf.TensorSpec((len(SUMS) + 1,), tf.float64),
            tf.TensorSpec((), tf.int64),
            tf.TensorSpec((), tf.int64),
            tf.TensorSpec((2,), tf.float32),
            *([tf.TensorSpec((None, *streamed), tf.uint8)] if self._feed.table is None else []),
        ]

    def _run_steps(
        self, tally: tf.Tensor, first: tf.Tensor, count: tf.Tensor, wishes: tf.Tensor, images: Any = None
    ) -> Any:
        chosen = self._chosen(first, count)

        def one(position: tf.Tensor, tally: tf.Tensor, bad: tf.Tensor) -> tuple[tf.Tensor, ...]:
            step = first + position
            inputs = chosen[position] if images is None else images[position]
            result = self._strategy.run(self._replica_step, args=(step, inputs, self._feed.table))
            sums, finite = (self._strategy.experimental_local_results(part)[0] for part in result)
            tally += tf.concat([tf.cast(sums, tf.float64), [1.0]], 0)
            is_first_bad = tf.logical_and(bad[0] < 0, tf.logical_not(tf.reduce_all(finite)))
            found = tf.stack([step, tf.argmin(tf.cast(finite, tf.int32))])
            return position + 1, tally, tf.where(is_first_bad, found, bad)

        nothing = tf.constant([-1, 0], tf.int64)
        start = (tf.zeros((), tf.int64), tally, nothing)
        _, tally, bad = tf.while_loop(lambda position, *_: position < count, one, start)
        agreed = self._strategy.run(self._agree, args=(wishes,))
        return tally, bad, self._strategy.experimental_local_results(agreed)[0]

    def _agree(self, wishes: tf.Tensor) -> tf.Tensor:
        """Any worker's wish to stop is everybody's; the chief's proposal is everybody's."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        mine = tf.stack([wishes[0], tf.where(tf.equal(replica, 0), wishes[1], 0.0)])
        return self._sum([mine])[0]

    def _chosen(self, first: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """Indices of every step of a call, int64 [count, batch_size]; for each step alone they cost 1 ms."""
        config = self._config
        if self._feed.table is None:
            return tf.zeros((0, config.batch_size), tf.int64)
        chosen = randomness.indices(
            config.seed, first, config.batch_size, self._feed.count, config.data.shuffle_window, count
        )
        return tf.reshape(chosen, (-1, config.batch_size))

    def _replica_step(self, step: tf.Tensor, inputs: tf.Tensor, table: Any) -> Any:
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

    def _play_game(self, real: tf.Tensor, noise: tf.Tensor, time: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Both updates on this replica's images; returns the sums of `SUMS` and what was finite."""
        state = self._state
        real = to_unit_range(real)
        with tf.GradientTape(watch_accessed_variables=False) as generator_tape:
            generator_tape.watch(state.generator_weights)
            fake = state.networks.generator(noise, training=True)

        gradients, sums = self._discriminator_gradients(real, tf.stop_gradient(fake))
        *gradients, d_sums = self._sum([*gradients, sums])
        finite = [_finite([d_sums]), _finite(gradients)]
        state.discriminator_adam.apply(gradients, time)

        to_fake, sums = self._generator_signal(fake)
        gradients = generator_tape.gradient(fake, state.generator_weights, output_gradients=to_fake)
        *gradients, g_sums = self._sum([*gradients, sums])
        finite += [_finite([g_sums]), _finite(gradients)]
        state.generator_adam.apply(gradients, time)
        return tf.concat([d_sums, g_sums], 0), tf.concat(finite, 0)

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
        """Logits [batch] of both halves; in one pass where that gives the same (5 % of the plain GAN's step).

        With batch normalization real and generated images are batches of their own, as in Radford et al.
        """
        discriminator = self._state.networks.discriminator
        if self._state.networks.batch_dependent:
            real_logits, fake_logits = (discriminator(half, training=True)[:, 0] for half in (real, fake))
            return real_logits, fake_logits
        real_logits, fake_logits = tf.split(discriminator(tf.concat([real, fake], 0), training=True)[:, 0], 2)
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


def _finite(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """Whether every entry of each tensor is finite, bool [len(tensors)]."""
    return tf.stack([tf.reduce_all(tf.math.is_finite(tensor)) for tensor in tensors])
