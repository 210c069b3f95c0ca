"""Deep convolutional GAN (Radford, Metz and Chintala 2015, arXiv:1511.06434).

As section 3 and figure 1 say: strided convolutions instead of pooling, batch normalization in both networks
but not at the generator's output nor the discriminator's input, ReLU in the generator with tanh at its end,
LeakyReLU in the discriminator, weights from N(0, 0.02).
"""

import keras

from trainer.config.schema import Dcgan, Image
from trainer.networks.layers import SyncBatchNormalization, UpConvolution
from trainer.networks.seeds import Seeds


def generator(network: Dcgan, image: Image, seeds: Seeds, *, portable: bool = False) -> keras.Sequential:
    """Latents [batch, latent_size] to images [batch, height, width, channels] in [-1, 1].

    Args:
        network: filters, kernel and first weights.
        image: shape of the images; each side is a multiple of 2 to the number of filters.
        seeds: of the first weights.
        portable: use Keras' own layers, which need no Gantry to be loaded; the weights are the same.
    """
    up = keras.layers.Conv2DTranspose if portable else UpConvolution
    first, *rest = network.generator_filters
    factor = 2 ** len(network.generator_filters)
    grid = (image.height // factor, image.width // factor, first)
    layers = [
        keras.Input((network.latent_size,)),
        keras.layers.Dense(
            grid[0] * grid[1] * first,
            use_bias=False,
            kernel_initializer=_weights(network, seeds),
            name="project",
        ),
        keras.layers.Reshape(grid, name="grid"),
        _normalization(network, seeds, "project", portable),
        keras.layers.ReLU(name="relu_project"),
    ]
    for number, filters in enumerate(rest, start=1):
        layers += [
            up(filters, **_convolution(network, seeds), use_bias=False, name=f"up_{number}"),
            _normalization(network, seeds, f"up_{number}", portable),
            keras.layers.ReLU(name=f"relu_{number}"),
        ]
    layers.append(up(image.channels, **_convolution(network, seeds), activation="tanh", name="image"))
    return keras.Sequential(layers, name="generator")


def discriminator(network: Dcgan, image: Image, seeds: Seeds) -> keras.Sequential:
    """Images [batch, height, width, channels] in [-1, 1] to logits [batch, 1], positive for real."""
    first, *rest = network.discriminator_filters
    layers = [
        keras.Input(image.shape),
        keras.layers.Conv2D(first, **_convolution(network, seeds), name="down_1"),
        keras.layers.LeakyReLU(network.leaky_slope, name="leaky_1"),
    ]
    for number, filters in enumerate(rest, start=2):
        layers += [
            keras.layers.Conv2D(
                filters, **_convolution(network, seeds), use_bias=False, name=f"down_{number}"
            ),
            _normalization(network, seeds, f"down_{number}", portable=False),
            keras.layers.LeakyReLU(network.leaky_slope, name=f"leaky_{number}"),
        ]
    layers += [
        keras.layers.Flatten(name="flat"),
        keras.layers.Dense(1, kernel_initializer=_weights(network, seeds), name="logit"),
    ]
    return keras.Sequential(layers, name="discriminator")


def _convolution(network: Dcgan, seeds: Seeds) -> dict[str, object]:
    return {
        "kernel_size": network.kernel,
        "strides": 2,
        "padding": "same",
        "kernel_initializer": _weights(network, seeds),
    }


def _weights(network: Dcgan, seeds: Seeds) -> keras.Initializer:
    return seeds.normal(network.weight_stddev)


def _normalization(network: Dcgan, seeds: Seeds, after: str, portable: bool) -> keras.layers.Layer:
    kind = keras.layers.BatchNormalization if portable else SyncBatchNormalization
    # Scale from N(1, 0.02) as in the authors' code; epsilon as there.
    scale = seeds.normal(network.weight_stddev, mean=1.0)
    return kind(
        momentum=network.batch_norm_momentum, epsilon=1e-5, gamma_initializer=scale, name=f"normalize_{after}"
    )
