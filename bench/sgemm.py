"""Contestant: matrix products alone, as the yardstick of a fully connected step.

``numpy`` and ``tensorflow`` multiply two 2048x2048 matrices; ``products`` does what is multiplied in one step
of the preset `mlp`, compiled as the step is, and nothing else.
"""

import argparse
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import tensorflow as tf

from bench.contestant import serve
from bench.setting import SGEMM_FLOP as FLOP
from bench.setting import SGEMM_SIDE as SIDE
from trainer.training.distribution import set_threads

_GENERATOR = (100, 128, 256, 512, 1024, 784)
_DISCRIMINATOR = (784, 1024, 512, 256, 1)


def with_numpy() -> Callable[[int], None]:
    """The matrix product of NumPy's BLAS."""
    left, right = np.random.default_rng(0).random((2, SIDE, SIDE), np.float32)

    def run(count: int) -> None:
        for _ in range(count):
            left @ right

    return run


def with_tensorflow() -> Callable[[int], None]:
    """TensorFlow's kernel."""
    left, right = (tf.random.normal((SIDE, SIDE)) for _ in range(2))

    def run(count: int) -> None:
        for _ in range(count):
            result = tf.matmul(left, right)
        result.numpy()

    return run


def step_shapes(batch: int) -> list[tuple[int, int, int]]:
    """Rows, inner size and columns of each product of a step; `describe` counts the same FLOP."""
    shapes = []
    for network, rows, weights, first_inputs in (
        (_GENERATOR, batch, True, False),
        (_DISCRIMINATOR, 2 * batch, True, False),
        (_DISCRIMINATOR, batch, False, True),
    ):
        for number, (inputs, outputs) in enumerate(pairwise(network)):
            shapes.append((rows, inputs, outputs))
            if weights:
                shapes.append((inputs, rows, outputs))
            if number or first_inputs:
                shapes.append((rows, outputs, inputs))
    return shapes


def step_products(batch: int) -> Callable[[int], None]:
    """The products of one step."""
    pairs = [
        (tf.random.normal((rows, inner)), tf.random.normal((inner, columns)))
        for rows, inner, columns in step_shapes(batch)
    ]

    @tf.function(jit_compile=True)
    def once() -> list[tf.Tensor]:
        return [tf.matmul(left, right) for left, right in pairs]

    def run(count: int) -> None:
        for _ in range(count):
            result = once()
        result[-1].numpy()

    return run


def main() -> None:
    """Warm up, serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["numpy", "tensorflow", "products"])
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    set_threads(options.threads)
    if options.kind == "products":
        run = step_products(options.batch)
        flop = sum(2 * rows * inner * columns for rows, inner, columns in step_shapes(options.batch))
    else:
        run, flop = with_numpy() if options.kind == "numpy" else with_tensorflow(), FLOP
    run(3)
    serve({"run": run}, {"flop": flop})


if __name__ == "__main__":
    main()
