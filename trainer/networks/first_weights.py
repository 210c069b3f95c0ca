"""First weights: a function of the run's seed and of the variable's name, whatever was built before it.

Left alone, Keras draws their seeds from Python's global generator, which all threads share: a retry of the
storage client, whose pause is random, would change the weights that a run begins with. By the order of
construction, one layer more would change those of all that follow.
"""

import hashlib

import keras

from trainer.networks.builder import Glorot, Weights


def initializer(weights: Weights, seed: int, name: str) -> keras.Initializer:
    """What draws a variable's first values.

    Args:
        weights: their distribution.
        seed: the run's.
        name: the variable's in a checkpoint, such as ``generator/hidden_1/kernel``.
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    number = int.from_bytes(digest[:4], "big") >> 1  # Keras' seeds are 31 bits
    if isinstance(weights, Glorot) and weights.gain == 1:
        return keras.initializers.GlorotUniform(seed=number)
    if isinstance(weights, Glorot):
        return keras.initializers.VarianceScaling(weights.gain**2, "fan_avg", "uniform", seed=number)
    return keras.initializers.RandomNormal(mean=weights.mean, stddev=weights.stddev, seed=number)
