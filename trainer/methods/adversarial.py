"""The game of two: a discriminator and a generator, any loss, any regularizers (Goodfellow et al. 2014).

The discriminator is updated `d_repeats` times, each with images and latents of its own, then the generator
`g_repeats` times against the updated discriminator. The images of the discriminator's last update serve the
generator's first too: computed once, they are worth a third of the plain GAN's step.
"""

from collections.abc import Iterator, Mapping

import tensorflow as tf

from trainer import losses, regularizers
from trainer.config import RunConfig
from trainer.data import to_unit_range
from trainer.methods import Batch, Turn, Update
from trainer.networks.keras_builder import Networks, batch_dependent
from trainer.networks.layers import batches_apart


def names(config: RunConfig) -> tuple[str, ...]:
    """What a step sums: the loss's parts, how many images were told apart, penalties, the other's loss."""
    of_pairs = losses.LOSSES[config.loss].relative
    parts = ("d_loss",) if of_pairs else ("d_loss_real", "d_loss_fake")
    penalties = regularizers.penalties(config.regularizers)
    return (*parts, "d_accuracy_real", "d_accuracy_fake", *penalties, "g_loss")


class Adversarial:
    """The updates of a step, on one replica."""

    def __init__(self, config: RunConfig, networks: Networks, replicas: int) -> None:
        """`replicas`: those that share the global batch."""
        self._config, self._networks, self._replicas = config, networks, replicas
        self._loss, self._about = losses.load(config.loss), losses.LOSSES[config.loss]
        self._penalties = regularizers.penalties(config.regularizers)
        self._d_weights, self._g_weights = (
            [weight.value for weight in network.trainable_variables]
            for network in (networks.discriminator, networks.generator)
        )
        self._apart = batch_dependent(networks.discriminator)
        self.sums = names(config)

    def updates(self, turn: Turn) -> Iterator[Update]:
        """The discriminator's, then the generator's."""
        repeats = len(turn.batches)
        for number, batch in enumerate(turn.batches, start=1):
            real = to_unit_range(batch.real)
            last = number == repeats
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                if last:
                    tape.watch(self._g_weights)
                fake = self._networks.generator(batch.latents, training=True)
            taken = turn.step * repeats + number - 1
            gradients, sums = self._discriminator(Look(self, batch, real, tf.stop_gradient(fake)), taken)
            yield Update("discriminator", gradients, sums)
        yield self._generator(tape, fake, real)
        for latents in turn.latents:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(self._g_weights)
                fake = self._networks.generator(latents, training=True)
            yield self._generator(tape, fake, real)

    def metrics(self, means: Mapping[str, float]) -> dict[str, float]:
        """The discriminator's loss is its loss's alone, without penalties, which have names of their own."""
        config = self._config
        parts = [name for name in self.sums if name.startswith("d_loss")]
        counts = {name: config.g_repeats if name == "g_loss" else config.d_repeats for name in self.sums}
        found = {name: means[name] / counts[name] for name in self.sums}
        d_loss = self._loss.weight * sum(found[name] for name in parts)
        return {"d_loss": d_loss, **{name: value for name, value in found.items() if name != "d_loss"}}

    def scores(self, images: tf.Tensor) -> tf.Tensor:
        """The discriminator's, of one batch, [n]."""
        scores: tf.Tensor = self._networks.discriminator(images, training=True)[:, 0]
        return scores

    def both_scores(self, real: tf.Tensor, fake: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores of both halves; in one pass where that is faster (5 % of the plain GAN's step).

        With batch normalization real and generated images are batches of their own, as in Radford et al. Then
        one replica takes two passes, with the fused kernel; several take one, for half the collectives.
        """
        if self._apart and self._replicas == 1:
            return self.scores(real), self.scores(fake)
        with batches_apart(2 if self._apart else 1):
            scores = self.scores(tf.concat([real, fake], 0))
        real_scores, fake_scores = tf.split(scores, 2)
        return real_scores, fake_scores

    def _discriminator(self, look: "Look", taken: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Gradients and sums of one update, before which the discriminator has had `taken`."""
        batch_size, lazy = self._config.batch_size, []
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._d_weights)
            look.real_scores, look.fake_scores = self.both_scores(look.real, look.fake)
            parts = [tf.reduce_sum(part) for part in self._loss.parts(look.real_scores, look.fake_scores)]
            loss = tf.add_n(parts) * self._loss.weight / batch_size
            extra = []
            for name in self._penalties:
                if self._every(name) > 1:
                    lazy.append(name)
                    continue
                extra.append(tf.reduce_sum(self._penalty(name, look)))
                loss += extra[-1] / batch_size
        gradients = tape.gradient(loss, self._d_weights)
        right = self._right(look.real_scores, look.fake_scores)
        for name in lazy:
            more, value = self._lazily(name, look, taken)
            gradients = [one + other for one, other in zip(gradients, more, strict=True)]
            extra.append(value)
        order = [name for name in self._penalties if name not in lazy] + lazy
        named = dict(zip(order, extra, strict=True))
        return gradients, tf.stack([*parts, *right, *(named[name] for name in self._penalties)])

    def _right(self, real: tf.Tensor, fake: tf.Tensor) -> list[tf.Tensor]:
        """How many real and generated images are told apart; of pairs, for a loss of differences."""
        middle = self._about.middle
        right = (real > fake,) * 2 if middle is None else (real > middle, fake <= middle)
        return [tf.reduce_sum(tf.cast(each, tf.float32)) for each in right]

    def _lazily(self, name: str, look: "Look", taken: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Gradients of a penalty's share of the loss and its sum, `every` times as large when it is due.

        Only this replica's numbers are computed within: a collective in a condition would wait for ever.
        """
        every = self._every(name)

        def due() -> list[tf.Tensor]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(self._d_weights)
                total = every * tf.reduce_sum(self._penalty(name, look))
                loss = total / self._config.batch_size
            return [*tape.gradient(loss, self._d_weights, unconnected_gradients="zero"), total]

        def not_due() -> list[tf.Tensor]:
            return [*(tf.zeros_like(weight) for weight in self._d_weights), tf.zeros(())]

        *gradients, total = tf.cond(tf.equal(taken % every, 0), due, not_due)
        return gradients, total

    def _every(self, name: str) -> int:
        return int(getattr(getattr(self._config.regularizers, name), "every", 1))

    def _penalty(self, name: str, look: "Look") -> tf.Tensor:
        return regularizers.penalty(name, getattr(self._config.regularizers, name), look)

    def _generator(self, tape: tf.GradientTape, fake: tf.Tensor, real: tf.Tensor) -> Update:
        """The generator's update through images that `tape` has seen it draw."""
        to_fake, total = self._signal(fake, real)
        gradients = tape.gradient(fake, self._g_weights, output_gradients=to_fake)
        return Update("generator", gradients, total[tf.newaxis])

    def _signal(self, fake: tf.Tensor, real: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Gradient of the generator's loss with respect to its images, and the loss's sum."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fake)
            if self._about.relative:
                real_scores, fake_scores = self.both_scores(real, fake)
            else:
                fake_scores = self.scores(fake)
                real_scores = fake_scores  # which the loss does not look at
            total = tf.reduce_sum(self._loss.generator(real_scores, fake_scores))
            loss = total / self._config.batch_size
        return tape.gradient(loss, fake), total


class Look:
    """One update as a regularizer sees it (`regularizers.Game`)."""

    def __init__(self, method: Adversarial, batch: Batch, real: tf.Tensor, fake: tf.Tensor) -> None:
        self.real, self.fake, self.scores = real, fake, method.scores
        self._noise = batch.noise
        self.real_scores = self.fake_scores = None

    def noise(self, name: str) -> tf.Tensor:
        """A regularizer's random numbers."""
        return self._noise[name]
