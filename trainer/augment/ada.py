"""Adaptive discriminator augmentation (Karras et al. 2020, arXiv:2006.06676), section 3 and appendix B.

Pixel blitting, general geometric transformations and colour transformations, each done to an image with
probability p. A rotation comes before and after the scaling of one axis, each with 1 - sqrt(1 - p), so that
with p at least one comes. Colours are multiplied by one matrix and geometry by another.

Not here: the low-pass filters around the resampling, which is bilinear at the image's own size (a rotated
image is blurred a little, where theirs is filtered at twice the size), and the image-space filters and
corruptions, which the paper leaves out of its default for the little that they bring (figure 4).
"""

import math
from collections.abc import Iterator, Mapping

import tensorflow as tf

from trainer.augment import Augmentation
from trainer.augment import geometry as affine
from trainer.augment.color import of_colors
from trainer.sections import Image

# As the paper's appendix B has them: standard deviations of exponents of 2, of a brightness in [-1, 1], of a
# shift as a share of the image, and the largest shift by whole pixels.
_SCALE, _ANISOTROPY, _FRACTION, _WHOLE = 0.2, 0.2, 0.125, 0.125
_BRIGHTNESS, _CONTRAST, _SATURATION = 0.2, 0.5, 1.0


def parameters(
    numbers: Augmentation, image: Image, uniform: tf.Tensor, normal: tf.Tensor, p: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Matrices by which places of the result come from, and by which colours do: [n, 3, 3], [n, 4, 4]."""
    flat, bell = iter(tf.unstack(uniform, axis=1)), iter(tf.unstack(normal, axis=1))
    blitted = _blitting(image, flat, p)
    moved = _geometry(image, flat, bell, p)
    colored = _color(flat, bell, p)
    parts = [part for part, wanted in ((blitted, numbers.blitting), (moved, numbers.geometry)) if wanted]
    found = {"geometry": parts[0] if len(parts) == 1 else tf.matmul(*parts)} if parts else {}
    return {**found, "color": colored} if numbers.color else found


def applied(images: tf.Tensor, done: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Images [n, height, width, channels] as `parameters` says."""
    if "geometry" in done:
        images = affine.transformed(images, done["geometry"])
    return of_colors(images, lambda colors: _colored(colors, done["color"])) if "color" in done else images


def _blitting(image: Image, flat: Iterator[tf.Tensor], p: tf.Tensor) -> tf.Tensor:
    flip = _chosen(next(flat), p, tf.floor(2.0 * next(flat)), 0.0)
    turns = _chosen(next(flat), p, tf.floor(4.0 * next(flat)), 0.0)
    gate = next(flat)
    x, y = (
        _chosen(gate, p, tf.round((2.0 * next(flat) - 1.0) * _WHOLE * edge), 0.0)
        for edge in (image.width, image.height)
    )
    mirrored = affine.scaling(1.0 - 2.0 * flip, tf.ones_like(flip))
    return tf.matmul(tf.matmul(mirrored, affine.quarter_turns(turns)), affine.translation(x, y))


def _geometry(image: Image, flat: Iterator[tf.Tensor], bell: Iterator[tf.Tensor], p: tf.Tensor) -> tf.Tensor:
    once = 1.0 - tf.sqrt(1.0 - p)
    size = _chosen(next(flat), p, tf.pow(2.0, _SCALE * next(bell)), 1.0)
    before = _chosen(next(flat), once, math.pi * (2.0 * next(flat) - 1.0), 0.0)
    stretch = _chosen(next(flat), p, tf.pow(2.0, _ANISOTROPY * next(bell)), 1.0)
    after = _chosen(next(flat), once, math.pi * (2.0 * next(flat) - 1.0), 0.0)
    gate = next(flat)
    x, y = (_chosen(gate, p, _FRACTION * edge * next(bell), 0.0) for edge in (image.width, image.height))
    found = tf.matmul(affine.scaling(size, size), affine.rotation(before))
    found = tf.matmul(tf.matmul(found, affine.scaling(stretch, 1.0 / stretch)), affine.rotation(after))
    return tf.matmul(found, affine.translation(x, y))


def _color(flat: Iterator[tf.Tensor], bell: Iterator[tf.Tensor], p: tf.Tensor) -> tf.Tensor:
    """Of RGB and one: brightness, contrast, inverted luma, hue and saturation, in the paper's order."""
    brightness = _chosen(next(flat), p, _BRIGHTNESS * next(bell), 0.0)
    contrast = _chosen(next(flat), p, tf.pow(2.0, _CONTRAST * next(bell)), 1.0)
    inverted = _chosen(next(flat), p, tf.floor(2.0 * next(flat)), 0.0)
    hue = _chosen(next(flat), p, math.pi * (2.0 * next(flat) - 1.0), 0.0)
    saturation = _chosen(next(flat), p, tf.pow(2.0, _SATURATION * next(bell)), 1.0)
    axis = tf.fill((3, 3), 1.0 / 3.0)  # the projection on luma, v v' with v = (1, 1, 1) / sqrt(3)
    beside = tf.eye(3) - axis
    turned = tf.constant([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3.0)  # v x

    def each(values: tf.Tensor) -> tf.Tensor:
        return values[:, tf.newaxis, tf.newaxis]

    luma = each(1.0 - 2.0 * inverted) * axis
    chroma = each(saturation) * (each(tf.cos(hue)) * beside + each(tf.sin(hue)) * turned)
    linear = each(contrast) * (luma + chroma)
    offset = tf.matmul(linear, tf.ones((3, 1))) * each(brightness)
    below = tf.constant([[[0.0, 0.0, 0.0, 1.0]]]) * each(tf.ones_like(hue))
    return tf.concat([tf.concat([linear, offset], 2), below], 1)


def _colored(images: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """RGB by the matrix; grey images as RGB of three alike, of which the mean is kept."""
    linear, offset = matrix[:, tf.newaxis, :3, :3], matrix[:, tf.newaxis, tf.newaxis, :3, 3]
    if images.shape[-1] == 1:
        factor = tf.reduce_sum(linear, [2, 3], keepdims=True) / 3.0
        return images * factor + tf.reduce_mean(offset, -1, keepdims=True)
    return tf.matmul(images, linear, transpose_b=True) + offset


def _chosen(gate: tf.Tensor, p: tf.Tensor, value: tf.Tensor, nothing: float) -> tf.Tensor:
    """The value with probability p, else what changes nothing; all [n]."""
    return tf.where(gate < p, value, nothing)
