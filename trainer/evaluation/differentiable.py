"""Feature networks as functions of images that gradients pass: for what is to look like an image."""

import importlib
from collections.abc import Callable

import tensorflow as tf

from trainer.evaluation.features import Network, weights_of


def features_of(network: Network) -> Callable[[tf.Tensor], tf.Tensor]:
    """From images float32 [n, height, width, channels] in grey levels to features [n, size].

    Of a network of the table that has weights; images are resized as `evaluation.resizing` does it.

    Raises:
        DataError: its file is missing or is another one.
    """
    if network.module == "stacked":
        return _of_each_channel(features_of(network._replace(module="")))
    module = importlib.import_module(f"trainer.evaluation.{network.name}")
    run = module.graph(weights_of(network))

    def look(images: tf.Tensor) -> tf.Tensor:
        if network.side:
            size = (network.side, network.side)
            images = tf.image.resize(images, size, "bilinear", antialias=True)
            images = tf.repeat(images, 3, axis=3) if images.shape[3] == 1 else images
        return run(images)[0]

    return look


def _of_each_channel(look: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
    def of_each(images: tf.Tensor) -> tf.Tensor:
        channels = [look(channel) for channel in tf.split(images, images.shape[3], axis=3)]
        return tf.concat(channels, axis=1)

    return of_each
