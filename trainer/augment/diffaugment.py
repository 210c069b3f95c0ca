"""DiffAugment (Zhao et al. 2020, arXiv:2006.10738): colour, translation and cutout of every image.

Brightness by up to 0.5 either way of a range of 2, saturation times 0 to 2, contrast times 0.5 to 1.5;
translation by up to an eighth, cutout of half of each edge, as section 3.2 says, both with zeros, the middle
grey. All are linear in the image, so the generator's gradient goes through them exactly.
"""

from collections.abc import Mapping

import tensorflow as tf

from trainer.augment import Augmentation
from trainer.augment.color import of_colors, spread
from trainer.sections import Image

_SHIFT, _HOLE = 0.125, 0.5  # shares of an edge


def parameters(
    numbers: Augmentation, image: Image, uniform: tf.Tensor, normal: tf.Tensor, p: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Factors float32 [n], shifts and corners of holes int32 [n, 2] of rows and columns."""
    del normal, p  # it has none
    edges = (image.height, image.width)
    found: dict[str, tf.Tensor] = {}
    if numbers.color:
        found["brightness"] = uniform[:, 0] - 0.5
        found["saturation"] = 2.0 * uniform[:, 1]
        found["contrast"] = uniform[:, 2] + 0.5
    if numbers.translation:
        most = [int(_SHIFT * edge + 0.5) for edge in edges]
        found["shift"] = _whole(uniform[:, 3:5], [2 * each + 1 for each in most]) - tf.constant(most)
    if numbers.cutout:
        holes = [int(_HOLE * edge + 0.5) for edge in edges]
        centres = [edge + 1 - hole % 2 for edge, hole in zip(edges, holes, strict=True)]
        found["hole"] = _whole(uniform[:, 5:7], centres) - tf.constant([hole // 2 for hole in holes])
    return found


def applied(images: tf.Tensor, done: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Images [n, height, width, channels] as `parameters` says."""
    if "brightness" in done:
        images = of_colors(images, lambda colors: _colored(colors, done))
    if "shift" in done:
        images = shifted(images, done["shift"])
    return images * hole(done["hole"], images.shape) if "hole" in done else images


def _colored(images: tf.Tensor, done: Mapping[str, tf.Tensor]) -> tf.Tensor:
    images = images + spread(done["brightness"])
    grey = tf.reduce_mean(images, 3, keepdims=True)
    images = (images - grey) * spread(done["saturation"]) + grey
    mean = tf.reduce_mean(images, [1, 2, 3], keepdims=True)
    return (images - mean) * spread(done["contrast"]) + mean


def shifted(images: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """Moved down and to the right by `shift`, int32 [n, 2]; zeros move in."""
    for axis in (1, 2):
        size = images.shape[axis]
        source = tf.range(size) - shift[:, axis - 1, tf.newaxis]
        inside = tf.cast((source >= 0) & (source < size), images.dtype)
        rows = images if axis == 1 else tf.transpose(images, (0, 2, 1, 3))
        rows = tf.gather(rows, tf.clip_by_value(source, 0, size - 1), batch_dims=1)
        rows *= inside[:, :, tf.newaxis, tf.newaxis]
        images = rows if axis == 1 else tf.transpose(rows, (0, 2, 1, 3))
    return images


def hole(corner: tf.Tensor, shape: tf.TensorShape) -> tf.Tensor:
    """Zeros in a rectangle from `corner` on, int32 [n, 2], which may begin or end outside; ones elsewhere."""
    inside = []
    for axis in (1, 2):
        size = shape[axis]
        place = tf.range(size) - corner[:, axis - 1, tf.newaxis]
        inside.append((place >= 0) & (place < int(_HOLE * size + 0.5)))
    both = inside[0][:, :, tf.newaxis] & inside[1][:, tf.newaxis, :]
    return 1.0 - tf.cast(both, tf.float32)[..., tf.newaxis]


def _whole(uniform: tf.Tensor, counts: list[int]) -> tf.Tensor:
    """Whole numbers below `counts`, int32 [n, 2]."""
    return tf.cast(tf.floor(uniform * tf.constant(counts, tf.float32)), tf.int32)
