"""Seeds of the first weights."""

import random

import keras


class Seeds:
    """A sequence of seeds that depends on the run's seed alone; each initializer takes the next one.

    Left alone, Keras draws them from Python's global generator, which all threads share: a retry of the
    storage client, whose pause is random, would change the weights that the run begins with. These are the
    numbers that Keras would draw undisturbed after `keras.utils.set_random_seed`.
    """

    def __init__(self, seed: int) -> None:
        self._draws = random.Random(seed)

    def glorot(self) -> keras.Initializer:
        """Keras' default for a kernel (Glorot and Bengio 2010)."""
        return keras.initializers.GlorotUniform(seed=self._next())

    def normal(self, stddev: float, mean: float = 0.0) -> keras.Initializer:
        """N(mean, stddev)."""
        return keras.initializers.RandomNormal(mean=mean, stddev=stddev, seed=self._next())

    def _next(self) -> int:
        return self._draws.randint(1, 10**9)
