"""What the discriminator says of a batch, and what a regularizer may look at."""

from collections.abc import Callable, Mapping

import tensorflow as tf

from trainer.methods.packing import packed


class Judgement:
    """What the discriminator says of a batch."""

    def __init__(self, logits: tf.Tensor) -> None:
        """`logits`: as `networks.ends.logits` has them, [n, 1] or [n, 1 + classes]."""
        self.logits = logits

    @property
    def scores(self) -> tf.Tensor:
        """Positive for real, [n]."""
        return self.logits[:, 0]

    @property
    def classes(self) -> tf.Tensor:
        """A logit for each class, [n, classes]."""
        return self.logits[:, 1:]

    def class_loss(self, labels: tf.Tensor | None) -> tf.Tensor:
        """Cross-entropy of the classes with the labels, [n]."""
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=self.classes)


class Look:
    """One update as a regularizer sees it (`regularizers.Game`): images in packs, with their noise."""

    def __init__(
        self,
        real: tf.Tensor,
        fake: tf.Tensor,
        noise: Mapping[str, tf.Tensor],
        scores: Callable[[tf.Tensor], tf.Tensor],
        packing: int,
    ) -> None:
        """`scores`: the discriminator's, of packs of the same classes; `noise`: as a batch has it."""
        self.real, self.fake, self.scores = real, fake, scores
        self._noise, self._packing = noise, packing
        self.real_scores = self.fake_scores = None

    def noise(self, name: str) -> tf.Tensor:
        """A regularizer's random numbers, those of pixels in packs."""
        noise = self._noise[name]
        return packed(noise, self._packing) if noise.shape.rank > 1 else noise
