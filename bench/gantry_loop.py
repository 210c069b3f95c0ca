"""Contestant: Gantry's own step and feed, in calls as long as those of a run."""

import argparse
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from bench.contestant import serve
from trainer.config import RunConfig, resolve
from trainer.data import open_source
from trainer.environment import tf_config
from trainer.networks.sizes import sizes
from trainer.randomness import Shuffle, batches
from trainer.training import distribution, input_pipeline
from trainer.training.input_pipeline import IndexStream
from trainer.training.state import State
from trainer.training.step import Stepper


class Loop:
    """Takes steps, as many in one call as lie between two lines of metrics."""

    def __init__(self, config: RunConfig, stepper: Stepper, images: int) -> None:
        """`images`: in the set."""
        self._config, self._stepper, self._taken = config, stepper, 0
        labels = np.arange(images) % config.conditioning.classes if config.conditioning.on else None
        self._feed = IndexStream(config, images, 0, labels)

    def __call__(self, count: int) -> None:
        """Take `count` steps."""
        end = self._taken + count
        while self._taken < end:
            now = min(self._config.metrics.every_steps, end - self._taken)
            outcome = self._stepper(self._taken, now, False, now, *self._feed.take(now))
            self._taken += now
            if not outcome.finite:
                raise SystemExit(f"NaN or Inf by step {self._taken}")

    def close(self) -> None:
        """Have no more indices made."""
        self._feed.close()


def images_for(config: RunConfig, count: int) -> np.ndarray:
    """`count` images: the digits, moved about where more are asked for; noise for another shape."""
    rng = np.random.default_rng(0)
    if config.image.shape != (28, 28, 1):
        return rng.integers(0, 256, (count or 256, *config.image.shape), np.uint8)
    digits = open_source("digits", config.image.shape).load()
    if not count or count == len(digits):
        return digits
    images = digits[rng.integers(0, len(digits), count)]
    for number, shift in enumerate([(y, x) for y in range(-2, 3) for x in range(-2, 3)]):
        images[number::25] = np.roll(images[number::25], shift, axis=(1, 2))
    return images


def reducer(strategy: tf.distribute.Strategy, state: State) -> Callable[[int], object]:
    """Only a step's two all-reduces, of tensors as large as the gradients."""
    shapes = [
        [weight.shape for weight in weights]
        for weights in (state.weights[player] for player in ("discriminator", "generator"))
    ]

    def once(tick: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        for group in shapes:
            parts = context.all_reduce(
                tf.distribute.ReduceOp.SUM, [tf.fill(shape, tick / 2) for shape in group]
            )
            tick = tf.reshape(parts[0], [-1])[0]
        return tick

    @tf.function
    def reduce(count: tf.Tensor) -> tf.Tensor:
        tick = tf.constant(1.0)
        for _ in tf.range(count):
            tick = strategy.experimental_local_results(strategy.run(once, args=(tick,)))[0]
        return tick

    reduce(tf.constant(1))
    return lambda count: reduce(tf.constant(count)).numpy()


def parts(
    config: RunConfig, stepper: Stepper, state: State, count: int
) -> dict[str, Callable[[int], object]]:
    """What a step carries beside the game, each by itself: called with how many steps' worth, or looks."""

    def order(images: int) -> Callable[[int], object]:
        shuffle, at_once = Shuffle(config.seed, images, config.data.shuffle_window), 4096 // config.batch_size

        def run(steps: int) -> None:
            for first in range(0, steps, at_once):
                batches(shuffle, config.batch_size, first, min(at_once, steps - first))

        return run

    def agree() -> tf.Tensor:
        args = (tf.zeros((2,)), state.tally)
        return stepper._strategy.run(stepper._agree, args=args)

    @tf.function
    def sums(steps: tf.Tensor) -> tf.Tensor:
        tally, scores = tf.zeros((6,), tf.float64), tf.random.normal((config.batch_size,))
        for _ in tf.range(steps):
            of_one = [tf.reduce_sum(each) for each in (scores, -scores, scores)]
            of_one += [tf.reduce_sum(tf.cast(each, tf.float32)) for each in (scores > 0, scores <= 0)]
            tally += tf.concat([tf.cast(tf.stack(of_one), tf.float64), [1.0]], 0)
            scores += 1e-3
        return tally

    look = tf.function(agree, autograph=False)
    look(), sums(tf.constant(1))
    return {
        "order": order(count),
        "look": lambda looks: [look() for _ in range(looks)][-1].numpy(),
        "sums": lambda steps: sums(tf.constant(steps)).numpy(),
        **{f"order{images}": order(images) for images in (1_000, 5_000, 60_000, 1_000_000, 100_000_000)},
    }


def main() -> None:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--images", type=int, default=0, help="size of the data set")
    parser.add_argument("--parts", action="store_true", help="serve what a step carries by itself too")
    parser.add_argument("--warm", type=int, default=5, help="steps before the first that counts")
    compete(parser.parse_args())


def build(config: RunConfig, strategy: tf.distribute.Strategy, count: int = 0) -> tuple[Stepper, State, int]:
    """What takes a run's steps, on a table of `count` images (0: all that there are), and their number."""
    with strategy.scope():
        state = State(config)
    images = images_for(config, count)
    stepper = Stepper(config, strategy, state, input_pipeline.on_devices(strategy, images))
    return stepper, state, len(images)


def compete(options: argparse.Namespace) -> None:
    """Build everything as `trainer.training.train` does, compile, warm up, serve."""
    config = resolve(options.preset, options.overrides)
    cluster = tf_config.from_environment(os.environ)
    tf_config.check_port(cluster)
    distribution.set_threads(options.threads)
    distribution.set_fusion(config)
    strategy = distribution.connect(cluster, config.recovery.heartbeat_seconds)
    stepper, state, images = build(config, strategy, options.images)
    loop = Loop(config, stepper, images)
    loop(options.warm)
    commands: dict[str, Callable[[int], object]] = {"run": loop}
    if not cluster.alone:
        commands["reduce"] = reducer(strategy, state)
    if options.parts:
        commands |= parts(config, stepper, state, images)
    gradients = sum(4 * int(tf.size(w)) for player in state.weights.values() for w in player)
    about = {"flop_per_image": sizes(config).flop_per_image, "gradient_mb": gradients / 1e6}
    serve(commands, about)


if __name__ == "__main__":
    main()
