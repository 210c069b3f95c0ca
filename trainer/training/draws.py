"""The random numbers of a step: this replica's part of those of the global batch.

Drawn before the step is played and not where they are used, because XLA would draw other numbers.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from trainer import augment, losses, randomness, regularizers
from trainer.config import RunConfig
from trainer.regularizers.instance_noise import stddev


class Draws(NamedTuple):
    """What is drawn for one step on one replica."""

    config: RunConfig
    step: Any
    """Steps taken before, int64 scalar."""
    replica: Any
    """Which one this is, int32 scalar."""
    replicas: int
    """That share the global batch."""
    branches: tuple[int, ...] = ()
    """Steps that rollbacks went back to."""
    p: Any = 0.0
    """Probability of an augmentation of `ada`, float32 scalar."""

    @property
    def _number(self) -> Any:
        """Of the step, in every stream."""
        return randomness.on_branch(self.step, self.branches)

    def latents(self, purpose: str = "", repeat: int = 0) -> tf.Tensor:
        """Of one update, [n, latent size]."""
        config = self.config
        size = config.network.latent_size
        drawn = randomness.noise(config.seed, self._number, config.batch_size, size, purpose, repeat)
        return randomness.replica_slice(drawn, self.replica, self.replicas)

    def flips(self, repeat: int) -> tf.Tensor:
        """Which real images of an update of the discriminator are mirrored, bool [n]."""
        config = self.config
        drawn = randomness.shares(config.seed, self._number, config.batch_size, "data/flip", repeat)
        return randomness.replica_slice(drawn < 0.5, self.replica, self.replicas)

    def for_discriminator(self, repeat: int) -> dict[str, Any]:
        """What regularizers and augmentations draw for an update of the discriminator, by name."""
        config = self.config
        found: dict[str, Any] = {}
        for name in regularizers.penalties(config.regularizers):
            shape = regularizers.REGULARIZERS[name].noise
            if shape == ():
                packs = config.batch_size // config.packing
                drawn = randomness.shares(config.seed, self._number, packs, name, repeat)
                found[name] = randomness.replica_slice(drawn, self.replica, self.replicas)
            elif shape:
                found[name] = self._pixels(name, repeat)
        return found | self._of_images("discriminator", ("real", "fake"), repeat)

    def for_generator(self, repeat: int) -> dict[str, Any]:
        """The same for an update of the generator."""
        of_pairs = losses.LOSSES[self.config.loss].relative
        return self._of_images("generator", ("real", "fake") if of_pairs else ("fake",), repeat)

    def _of_images(self, player: str, images: tuple[str, ...], repeat: int) -> dict[str, Any]:
        """What is done to the images that the discriminator is shown."""
        noise: dict[str, Any] = self._instance_noise(player, images, repeat)
        return noise | self._augmentation(player, images, repeat)

    def _augmentation(self, player: str, images: tuple[str, ...], repeat: int) -> dict[str, Any]:
        """Parameters of each image's augmentation, and p for each where it is measured."""
        config, found = self.config, {}
        numbers = config.augmentation
        if not numbers.on:
            return {}
        about, batch = augment.AUGMENTATIONS[numbers.kind], config.batch_size
        for kind in images:
            purpose = f"augmentation/{player}/{kind}"
            flat = randomness.shares(config.seed, self._number, batch * about.uniform, purpose, repeat)
            bell = randomness.noise(
                config.seed, self._number, batch, about.normal, f"{purpose}/normal", repeat
            )
            # Of the global batch, since a cosine's last bit hangs on how many others are computed beside it.
            flat = tf.reshape(flat, (batch, about.uniform))
            done = augment.parameters(numbers, config.image, flat, bell, self.p)
            found[f"augmented_{kind}"] = {
                name: randomness.replica_slice(each, self.replica, self.replicas)
                for name, each in done.items()
            }
        if numbers.adaptive:
            found["p"] = tf.fill((batch // self.replicas,), self.p)
        return found

    def _instance_noise(self, player: str, images: tuple[str, ...], repeat: int) -> dict[str, tf.Tensor]:
        """Noise for the images that the discriminator is shown, as large as it is at this step."""
        numbers = self.config.regularizers.instance_noise
        if not numbers.stddev:
            return {}
        size = stddev(numbers, tf.cast(self.step, tf.float32))
        return {kind: size * self._pixels(f"instance_noise/{player}/{kind}", repeat) for kind in images}

    def _pixels(self, purpose: str, repeat: int) -> tf.Tensor:
        """Normal noise for each pixel of this replica's images, [n, height, width, channels]."""
        here = self.config.batch_size // self.replicas
        rows = (here, *self.config.image.shape)
        return randomness.pixels(self.config.seed, self._number, self.replica * here, rows, purpose, repeat)
