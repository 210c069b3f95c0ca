"""Packing: the discriminator judges several images at once (PacGAN).

Lin et al. 2018, arXiv:1712.04086, section 2. Images of one source are told from those of the other together,
so that a generator that draws too few kinds gives itself away. Only the discriminator's first layer is wider;
losses are means over packs.
"""

import tensorflow as tf


def packed(images: tf.Tensor, count: int) -> tf.Tensor:
    """[n, height, width, channels] to [n / count, height, width, count channels].

    A pack's images are neighbours in the batch: as a replica has a multiple, the packs are those of the
    global batch.
    """
    if count == 1:
        return images
    _, height, width, channels = images.shape
    apart = tf.reshape(images, (-1, count, height, width, channels))
    return tf.reshape(tf.transpose(apart, (0, 2, 3, 1, 4)), (-1, height, width, count * channels))
