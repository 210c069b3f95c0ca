"""The residual networks: shapes and refusals, first weights, attention, and groups of channels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.config import resolve, validate
from trainer.errors import ConfigError
from trainer.networks.conditioning import CONDITIONINGS, Conditioning
from trainer.networks.keras_builder import KerasBuilder, build, call, named_variables
from trainer.networks.layers import GroupedConv2D
from trainer.networks.r3gan import R3gan
from trainer.networks.sizes import Counter, discriminator_fuses, discriminator_is_lipschitz
from trainer.networks.sngan import Sngan
from trainer.sections import Image

SNGAN = Sngan(name="sngan", generator_filters=(8, 6, 4), discriminator_filters=(4, 8), latent_size=5)
R3GAN = R3gan(name="r3gan", widths=(8, 4), groups=(4, 2), blocks=1, latent_size=5)


def shapes(network, image, kind="none"):
    """Of the generator's images and the discriminator's logits."""
    told = Conditioning(kind=kind, classes=3)
    return network.generator(Counter(), image, told), network.discriminator(Counter(), image, told)


@pytest.mark.parametrize("network", [SNGAN, R3GAN], ids=lambda network: network.name)
@pytest.mark.parametrize("size", [(28, 28), (32, 32), (48, 64), (4, 12)])
def test_images_of_all_shapes(network, size):
    for channels in (1, 3, 4):
        image = Image.model_construct(height=size[0], width=size[1], channels=channels)
        network.check(image)
        for kind in ("none", *CONDITIONINGS):
            assert shapes(network, image, kind) == (image.shape, (4,) if kind == "acgan" else (1,))


@pytest.mark.parametrize(
    ("preset", "sets", "words"),
    [
        ("sngan", ["image.height=30"], ["image.height is 30", "a multiple of 4", "28 or 32", "2 blocks"]),
        ("sngan", ["image.width=31"], ["image.width is 31", "nearest 32:", "generator_filters"]),
        ("sngan", ["network.discriminator_filters=[4,4,4]", "network.discriminator_halvings=3"],
         ["image.height is 28", "multiple of 8", "nearest 24 or 32: network.discriminator_halvings is 3"]),
        ("sngan", ["network.discriminator_halvings=4"], ["network.discriminator_halvings is 4", "at most 3"]),
        ("sngan", ["network.attention=7"], ["network.attention is 7", "(14), or 0"]),
        ("sngan", ["microbatch=8"], ["microbatch is 8", "network.generator_normalization=none"]),
        ("r3gan", ["image.height=36"], ["image.height is 36", "nearest 32 or 40", "4 stages"]),
        ("r3gan", ["network.groups=[2,2]"], ["network.groups has 2 entries, expected 4, one"]),
        ("r3gan", ["network.groups=[8,7,4,2]"], ["network.groups has 7", "expected a divisor of 128"]),
        ("r3gan", ["loss=wasserstein", "regularizers.r1.weight=0"], ["loss is wasserstein", "Lipschitz"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_a_line(preset, sets, words):
    with pytest.raises(ConfigError) as caught:
        resolve(preset, sets)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_attention_takes_the_promise_of_a_lipschitz_critic_back():
    """Kim et al. 2021, arXiv:2006.04710: no product of queries and keys has one."""
    image = Image()
    assert discriminator_is_lipschitz(SNGAN, image)
    assert not discriminator_is_lipschitz(SNGAN.model_copy(update={"attention": 14}), image)
    assert not discriminator_is_lipschitz(R3GAN, image)


@pytest.mark.parametrize("preset", ["sngan", "r3gan"])
def test_convolutions_are_left_apart_from_what_follows_them(preset):
    assert not discriminator_fuses(resolve(preset).network, resolve(preset).image)


def test_attention_changes_nothing_at_first_and_then_reaches_every_pixel():
    image, told = Image(height=16, width=8), Conditioning()
    plain, attending = (SNGAN.model_copy(update={"attention": height}) for height in (0, 8))
    outputs = []
    images = tf.random.stateless_normal((2, *image.shape), [1, 2])
    for network in (plain, attending):
        builder = KerasBuilder(0, "discriminator")
        model = builder.model(network.discriminator(builder, image, told))
        outputs.append(model(images).numpy())
    assert np.array_equal(*outputs)
    gamma = named_variables(model)["discriminator/attention_gamma/kernel"]
    assert gamma.shape == (1, 1) and gamma.numpy() == 0
    kinds = {layer.name: type(layer).__name__ for layer in model.layers}
    assert {kinds[f"attention_{name}"] for name in "fghv"} == {"SpectralConv2D"}
    gamma.assign([[1.0]])
    assert not np.array_equal(model(images), outputs[1])


def test_first_weights_of_r3gan_are_fix_ups():
    """Zhang et al. 2019, section 3.2: the last of a branch 0, the m - 1 before it times L^(-1/(2m-2))."""
    config = validate(
        {"network": {"name": "r3gan", "widths": [64, 32], "groups": [8, 4], "blocks": 2}}, "test"
    )
    networks = build(config)
    variables = named_variables(networks.discriminator)
    depth, gain = 4**-0.25, (2 / 1.04) ** 0.5
    expected = {"in": gain * depth / 8, "groups": gain * depth / (9 * 16) ** 0.5, "out": 0.0}
    for layer, stddev in expected.items():
        kernel = variables[f"discriminator/stage_1_block_1_{layer}/kernel"].numpy()
        assert kernel.std() == pytest.approx(stddev, rel=0.05)
    assert variables["discriminator/basis/kernel"].numpy().std() == pytest.approx(1 / 14, rel=0.05)
    # So a block passes on what it is given, and images are as strong as the latents wherever they are.
    images = call(networks.generator, tf.random.stateless_normal((64, 64), [3, 4]), None, False)
    assert 0.4 < float(tf.math.reduce_std(tf.math.atanh(images))) < 1.1


@pytest.mark.parametrize("stride", [1, 2])
def test_groups_are_keras_own_to_second_gradients(stride):
    inputs = tf.random.stateless_normal((2, 5, 4, 6), [1, 2])
    kernel = tf.random.stateless_normal((3, 3, 2, 9), [3, 4])
    found = []
    for kind in (GroupedConv2D, keras.layers.Conv2D):
        layer = kind(9, 3, strides=stride, padding="same", groups=3, activation="tanh")
        layer.build(inputs.shape)
        layer.set_weights([kernel, np.arange(9) / 9])

        @tf.function(autograph=False)
        def play(x, layer=layer):
            with tf.GradientTape() as outer:
                with tf.GradientTape() as tape:
                    tape.watch(x)
                    outputs = layer(x)
                penalty = tf.reduce_sum(tape.gradient(outputs, x) ** 2)
            return outputs, penalty, *outer.gradient(penalty, [each.value for each in layer.weights])

        found.append(play(inputs))
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * float(tf.reduce_max(tf.abs(theirs))))
