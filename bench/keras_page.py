"""Contestant: the plain GAN as countless pages teach it, run by Keras 3: `predict`, three `train_on_batch`.

The pages freeze the discriminator right after compiling it. Keras 3 reads `trainable` when it traces the
first call, so the frozen discriminator would never learn; here its first batch comes before it is frozen.
Each step then does the work the page means, and that both networks learn is checked.
"""

import argparse

import keras
import numpy as np

from bench.contestant import serve
from trainer.training.distribution import set_threads


def stack(units: tuple[int, ...], inputs: int, outputs: int, activation: str) -> keras.Sequential:
    """Dense layers with LeakyReLU between them, the sizes of the preset `mlp`."""
    hidden = [layer for width in units for layer in (keras.layers.Dense(width), keras.layers.LeakyReLU(0.2))]
    return keras.Sequential(
        [keras.Input((inputs,)), *hidden, keras.layers.Dense(outputs, activation=activation)]
    )


class Page:
    """The page's networks and its loop."""

    def __init__(self, batch: int, images: np.ndarray) -> None:
        self._batch, self._rng = batch, np.random.default_rng(0)
        self._images = images.reshape(len(images), -1).astype("float32") / 127.5 - 1
        self._ones, self._zeros = np.ones((batch, 1), "float32"), np.zeros((batch, 1), "float32")
        self.generator = stack((128, 256, 512, 1024), 100, 784, "tanh")
        self.discriminator = stack((1024, 512, 256), 784, 1, "sigmoid")
        self.discriminator.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(2e-4, 0.5))
        self.discriminator.train_on_batch(self._images[:batch], self._ones)
        self.discriminator.trainable = False
        self.gan = keras.Sequential([keras.Input((100,)), self.generator, self.discriminator])
        self.gan.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(2e-4, 0.5))

    def run(self, count: int) -> None:
        """Take `count` steps."""
        for _ in range(count):
            noise = self._rng.normal(size=(self._batch, 100)).astype("float32")
            fake = self.generator.predict(noise, verbose=0)
            real = self._images[self._rng.integers(0, len(self._images), self._batch)]
            self.discriminator.train_on_batch(real, self._ones)
            self.discriminator.train_on_batch(fake, self._zeros)
            self.gan.train_on_batch(noise, self._ones)

    def check_learning(self) -> None:
        """Stop unless a step changes both networks."""
        networks = (self.generator, self.discriminator)
        before = [network.get_weights()[0].copy() for network in networks]
        self.run(1)
        for network, old in zip(networks, before, strict=True):
            if np.array_equal(network.get_weights()[0], old):
                raise SystemExit(f"{network.name} does not learn")


def main() -> None:
    """Build, trace, serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--images", required=True, help="uint8 images, .npy")
    options = parser.parse_args()
    set_threads(options.threads)
    page = Page(options.batch, np.load(options.images))
    page.run(3)
    page.check_learning()
    serve({"run": page.run})


if __name__ == "__main__":
    main()
