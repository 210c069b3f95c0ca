"""The game of two: a discriminator and a generator, any loss, any regularizers (Goodfellow et al. 2014).

The discriminator is updated `d_repeats` times, each with images and latents of its own, then the generator
`g_repeats` times against the updated discriminator. The images of the discriminator's last update serve the
generator's first too: computed once, they are worth a third of the plain GAN's step.

With labels, generated images are of the classes of the real ones beside them: their shares are the set's, no
stream of random numbers more is needed, and whatever pairs the two pairs the same class.
"""

from collections.abc import Iterator, Mapping
from functools import partial

import tensorflow as tf

from trainer import augment, losses, regularizers
from trainer.config import RunConfig
from trainer.data import to_unit_range
from trainer.methods import Batch, Turn, Update
from trainer.methods.accumulation import Found, accumulated
from trainer.methods.look import Judgement, Look
from trainer.methods.packing import packed
from trainer.networks.keras_builder import Networks, batch_dependent, call
from trainer.networks.layers import batches_apart


def names(config: RunConfig) -> tuple[str, ...]:
    """What a step sums: the loss's parts, how many images were told apart, penalties, the other's loss."""
    of_pairs = losses.LOSSES[config.loss].relative
    parts = ("d_loss",) if of_pairs else ("d_loss_real", "d_loss_fake")
    says = config.conditioning.says_class
    of_classes = ("d_class_loss", "class_accuracy") if says else ()
    penalties = regularizers.penalties(config.regularizers)
    adapted: tuple[str, ...] = ("augmentation_p",) if config.augmentation.adaptive else ()
    adapted += ("loss_scale",) if config.precision == "float16" else ()
    of_generator = ("g_loss", "g_class_loss") if says else ("g_loss",)
    return (*parts, "d_accuracy_real", "d_accuracy_fake", *of_classes, *penalties, *adapted, *of_generator)


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
        self._packing = config.packing
        self._judged = config.batch_size // config.packing
        """How many scores of real images an update has, over all replicas: losses are means of those."""
        self._apart = batch_dependent(networks.discriminator)
        self._scale: tf.Tensor | None = None
        self.sums = names(config)

    def updates(self, turn: Turn) -> Iterator[Update]:
        """The discriminator's, then the generator's."""
        self._scale = turn.scale
        size = self._config.microbatch
        parts = size and size < self._config.per_replica_batch(self._replicas)
        yield from self._in_parts(turn, size) if parts else self._at_once(turn)

    def _at_once(self, turn: Turn) -> Iterator[Update]:
        """All of a replica's images of an update together."""
        repeats = len(turn.batches)
        for number, batch in enumerate(turn.batches, start=1):
            last = number == repeats
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                if last:
                    tape.watch(self._g_weights)
                fake = self._draw(batch)
            taken = turn.step * repeats + number - 1
            yield Update("discriminator", *self._discriminator(batch, tf.stop_gradient(fake), taken))
        first, *others = _of_generator(turn)
        yield Update("generator", *self._generator(tape, fake, first))
        for batch in others:
            yield Update("generator", *self._draw_and_learn(batch))

    def _in_parts(self, turn: Turn, size: int) -> Iterator[Update]:
        """`size` images after others; the images of no update serve another, as they are not kept."""
        of_generator = sum(name.startswith("g_") for name in self.sums)
        of_discriminator = len(self.sums) - of_generator
        for number, batch in enumerate(turn.batches):
            learn = partial(self._draw_and_judge, turn.step * len(turn.batches) + number)
            yield Update("discriminator", *accumulated(learn, batch, size, self._d_weights, of_discriminator))
        for batch in _of_generator(turn):
            found = accumulated(self._draw_and_learn, batch, size, self._g_weights, of_generator)
            yield Update("generator", *found)

    def metrics(self, means: Mapping[str, float]) -> dict[str, float]:
        """The discriminator's loss is its loss's alone, without penalties, which have names of their own."""
        config = self._config
        parts = [name for name in self.sums if name.startswith("d_loss")]
        of_generator = ("g_loss", "g_class_loss")
        counts = {name: config.g_repeats if name in of_generator else config.d_repeats for name in self.sums}
        found = {name: means[name] * self._packing / counts[name] for name in self.sums}
        d_loss = self._loss.weight * sum(found[name] for name in parts)
        return {"d_loss": d_loss, **{name: value for name, value in found.items() if name != "d_loss"}}

    def _shown_real(self, batch: Batch) -> tf.Tensor:
        """A batch's real images as the discriminator is shown them."""
        return self._shown("real", to_unit_range(batch.real), batch)

    def _shown(self, kind: str, images: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Images in [-1, 1], `real` or `fake` ones, augmented and with noise if there is any, in packs.

        Noise comes last, as resampling would smooth it.
        """
        if (done := batch.noise.get(f"augmented_{kind}")) is not None:
            images = augment.applied(self._config.augmentation, images, done)
        noisy = images + batch.noise[kind] if kind in batch.noise else images
        return packed(noisy, self._packing)

    def _look(self, batch: Batch, fake: tf.Tensor) -> Look:
        """An update of the discriminator as a regularizer sees it."""

        def scores(images: tf.Tensor) -> tf.Tensor:
            return self._judge(images, batch.labels).scores

        real = self._shown_real(batch)
        return Look(real, self._shown("fake", fake, batch), batch.noise, scores, self._packing)

    def _judge(self, images: tf.Tensor, labels: tf.Tensor | None) -> Judgement:
        """The discriminator's, of one batch."""
        return Judgement(call(self._networks.discriminator, images, labels, training=True))

    def _draw(self, batch: Batch) -> tf.Tensor:
        """The generator's images."""
        return call(self._networks.generator, batch.latents, batch.labels, training=True)

    def _judge_both(
        self, real: tf.Tensor, fake: tf.Tensor, labels: tf.Tensor | None
    ) -> tuple[Judgement, Judgement]:
        """Both halves; in one pass where that is faster (5 % of the plain GAN's step).

        With batch normalization real and generated images are batches of their own, as in Radford et al. Then
        one replica takes two passes, with the fused kernel; several take one, for half the collectives.
        """
        if self._apart and self._replicas == 1:
            return self._judge(real, labels), self._judge(fake, labels)
        twice = None if labels is None else tf.concat([labels, labels], 0)
        with batches_apart(2 if self._apart else 1):
            both = self._judge(tf.concat([real, fake], 0), twice)
        of_real, of_fake = tf.split(both.logits, 2)
        return Judgement(of_real), Judgement(of_fake)

    def _draw_and_judge(self, taken: tf.Tensor, batch: Batch) -> Found:
        """Gradients and sums of an update of the discriminator."""
        return self._discriminator(batch, self._draw(batch), taken)

    def _discriminator(self, batch: Batch, fake: tf.Tensor, taken: tf.Tensor) -> Found:
        """The same against images that were drawn; the discriminator has had `taken` updates before."""
        judged, lazy, look = self._judged, [], self._look(batch, fake)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._d_weights)
            of_real, of_fake = self._judge_both(look.real, look.fake, batch.labels)
            look.real_scores, look.fake_scores = of_real.scores, of_fake.scores
            parts = [tf.reduce_sum(part) for part in self._loss.parts(look.real_scores, look.fake_scores)]
            loss = tf.add_n(parts) * self._loss.weight / judged
            of_classes = self._of_classes(of_real, of_fake, batch.labels)
            if of_classes:
                loss += self._config.conditioning.class_weight * of_classes[0] / judged
            extra = []
            for name in self._penalties:
                if self._every(name) > 1:
                    lazy.append(name)
                    continue
                extra.append(tf.reduce_sum(self._penalty(name, look)))
                loss += extra[-1] / judged
            loss = self._scaled(loss)
        gradients = tape.gradient(loss, self._d_weights)
        right = self._right(look.real_scores, look.fake_scores)
        for name in lazy:
            more, value = self._lazily(name, look, taken)
            gradients = [one + other for one, other in zip(gradients, more, strict=True)]
            extra.append(value)
        order = [name for name in self._penalties if name not in lazy] + lazy
        named = dict(zip(order, extra, strict=True))
        penalties = (named[name] for name in self._penalties)
        return gradients, tf.stack(
            [*parts, *right, *of_classes, *penalties, *self._adapted(batch, look.real_scores)]
        )

    def _adapted(self, batch: Batch, scores: tf.Tensor) -> list[tf.Tensor]:
        """p of the augmentation and the loss scale, where there are any, once for each score."""
        found = []
        if self._config.augmentation.adaptive:
            found.append(tf.reduce_sum(batch.noise["p"]) / self._packing)
        if self._scale is not None:
            found.append(tf.reduce_sum(tf.ones_like(scores)) * self._scale)
        return found

    def _scaled(self, loss: tf.Tensor) -> tf.Tensor:
        """A loss as gradients are taken of it."""
        return loss if self._scale is None else loss * self._scale

    def _of_classes(
        self, of_real: Judgement, of_fake: Judgement, labels: tf.Tensor | None
    ) -> list[tf.Tensor]:
        """Its cross-entropy of classes, real and generated added up, and how many real it tells right."""
        if not self._config.conditioning.says_class:
            return []
        loss = tf.reduce_sum(of_real.class_loss(labels) + of_fake.class_loss(labels))
        right = tf.equal(tf.argmax(of_real.classes, 1, tf.int32), labels)
        return [loss, tf.reduce_sum(tf.cast(right, tf.float32))]

    def _right(self, real: tf.Tensor, fake: tf.Tensor) -> list[tf.Tensor]:
        """How many real and generated images are told apart; of pairs, for a loss of differences."""
        middle = self._about.middle
        right = (real > fake,) * 2 if middle is None else (real > middle, fake <= middle)
        return [tf.reduce_sum(tf.cast(each, tf.float32)) for each in right]

    def _lazily(self, name: str, look: Look, taken: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Gradients of a penalty's share of the loss and its sum, `every` times as large when it is due.

        Only this replica's numbers are computed within: a collective in a condition would wait for ever.
        """
        every = self._every(name)

        def due() -> list[tf.Tensor]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(self._d_weights)
                total = every * tf.reduce_sum(self._penalty(name, look))
                loss = self._scaled(total / self._judged)
            return [*tape.gradient(loss, self._d_weights, unconnected_gradients="zero"), total]

        def not_due() -> list[tf.Tensor]:
            return [*(tf.zeros_like(weight) for weight in self._d_weights), tf.zeros(())]

        *gradients, total = tf.cond(tf.equal(taken % every, 0), due, not_due)
        return gradients, total

    def _every(self, name: str) -> int:
        return int(getattr(getattr(self._config.regularizers, name), "every", 1))

    def _penalty(self, name: str, look: Look) -> tf.Tensor:
        return regularizers.penalty(name, getattr(self._config.regularizers, name), look)

    def _draw_and_learn(self, batch: Batch) -> Found:
        """Gradients and sums of an update of the generator."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._g_weights)
            fake = self._draw(batch)
        return self._generator(tape, fake, batch)

    def _generator(self, tape: tf.GradientTape, fake: tf.Tensor, batch: Batch) -> Found:
        """The same through images that `tape` has seen it draw."""
        to_fake, totals = self._signal(fake, batch)
        return tape.gradient(fake, self._g_weights, output_gradients=to_fake), tf.stack(totals)

    def _signal(self, fake: tf.Tensor, batch: Batch) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Gradient of the generator's loss with respect to its images, and the sums of its parts."""
        labels = batch.labels
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fake)
            seen = self._shown("fake", fake, batch)
            if self._about.relative:
                of_real, of_fake = self._judge_both(self._shown_real(batch), seen, labels)
            else:
                of_fake = self._judge(seen, labels)
                of_real = of_fake  # which the loss does not look at
            totals = [tf.reduce_sum(self._loss.generator(of_real.scores, of_fake.scores))]
            loss = totals[0] / self._judged
            if self._config.conditioning.says_class:
                totals.append(tf.reduce_sum(of_fake.class_loss(labels)))
                loss += self._config.conditioning.class_weight * totals[1] / self._judged
            loss = self._scaled(loss)
        return tape.gradient(loss, fake), totals


def _of_generator(turn: Turn) -> list[Batch]:
    """What the generator's updates have: the discriminator's last batch, after the first with own latents."""
    latents = (turn.batches[-1].latents, *turn.latents)
    return [
        turn.batches[-1]._replace(latents=own, noise=noise)
        for own, noise in zip(latents, turn.noise, strict=True)
    ]
