"""Sizes from the configuration alone are those of the networks that Keras builds, and of real checkpoints."""

import math

import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.config import preset_names, resolve, validate
from trainer.networks.conditioning import CONDITIONINGS
from trainer.networks.keras_builder import build
from trainer.networks.sizes import sizes
from trainer.run import checkpoints, layout
from trainer.storage import LocalStore
from trainer.training.state import State, trainable_names


def check(config):
    """Layer by layer what Keras has: names, kinds, shapes, variables and the products' cost."""
    found, networks = sizes(config), build(config)
    for ours, network in zip(found[:2], networks, strict=True):
        layers = [layer for layer in network.layers if not isinstance(layer, keras.layers.InputLayer)]
        # Keras sorts the layers of two inputs, and of branches, by their depth.
        branches = config.conditioning.on or any(size.kind == "Add" for size in ours)
        assert branches or [size.name for size in ours] == [layer.name for layer in layers]
        ours, layers = (sorted(those, key=lambda layer: layer.name) for those in (ours, layers))
        assert [size[:3] for size in ours] == [
            (layer.name, type(layer).__name__, tuple(layer.output.shape[1:])) for layer in layers
        ]
        assert [size.parameters for size in ours] == [layer.count_params() for layer in layers]
        assert [size.flop for size in ours] == [products(layer) for layer in layers]
        expected = [[math.prod(weight.shape) for weight in layer.trainable_variables] for layer in layers]
        assert [list(size.trainable) for size in ours] == expected
    assert found.batch_dependent == networks.batch_dependent


def products(layer):
    """Two operations for each multiply and add of a layer's products."""
    if isinstance(layer, keras.layers.Attention):
        (queries, few), (pixels, channels) = (each.shape[1:] for each in layer.input[:2])
        return 2 * queries * pixels * (few + channels)
    if isinstance(layer, keras.layers.Conv2DTranspose):
        uses = math.prod(layer.input.shape[1:3])
    elif isinstance(layer, keras.layers.Conv2D):
        uses = math.prod(layer.output.shape[1:3])
    elif isinstance(layer, keras.layers.Dense):
        uses = math.prod(layer.input.shape[1:-1])
    else:
        uses = int(isinstance(layer, keras.layers.EinsumDense))
    return 2 * uses * math.prod(layer.kernel.shape) if uses else 0


@pytest.mark.parametrize("preset", preset_names())
def test_presets(preset):
    check(resolve(preset))


@pytest.mark.parametrize("preset", ["mlp", "dcgan"])
def test_spectral_normalization(preset):
    check(resolve(preset, ["network.discriminator_normalization=spectral"]))


@pytest.mark.parametrize("kind", ["none", "projection"])
def test_residual_networks_of_odd_shapes_with_attention(kind):
    told = {"conditioning": {"kind": kind, "classes": 3}, "image": {"height": 12, "width": 20, "channels": 3}}
    network = {"name": "sngan", "generator_filters": [9, 5, 4], "discriminator_filters": [3, 8, 8, 6]}
    for more in (
        {"attention": 6},
        {"discriminator_normalization": "none", "generator_normalization": "none"},
    ):
        check(validate({"network": network | more, **told}, "test"))
    check(validate({"network": {"name": "r3gan", "widths": [6, 6, 4], "groups": [4, 3, 2]}, **told}, "test"))


widths = st.lists(st.integers(1, 40), min_size=1, max_size=4)
kinds = st.sampled_from(["none", *CONDITIONINGS])


@settings(max_examples=8)
@given(
    st.integers(1, 50), widths, widths, st.integers(4, 20), st.integers(4, 20), st.sampled_from([1, 3]), kinds
)
def test_any_fully_connected_network(latents, generator, discriminator, height, width, channels, kind):
    network = {"latent_size": latents, "generator_units": generator, "discriminator_units": discriminator}
    image = {"height": height, "width": width, "channels": channels}
    told = {"kind": kind, "classes": 3}
    check(validate({"network": {"name": "mlp", **network}, "image": image, "conditioning": told}, "test"))


filters = st.lists(st.integers(1, 12), min_size=1, max_size=3)


@settings(max_examples=8)
@given(
    filters, filters, st.integers(2, 9), st.integers(1, 3), st.integers(1, 3), st.sampled_from([1, 3]), kinds
)
def test_any_convolutional_network(generator, discriminator, kernel, height, width, channels, kind):
    network = {"generator_filters": generator, "discriminator_filters": discriminator, "kernel": kernel}
    image = {"height": 8 * height, "width": 8 * width, "channels": channels}
    told = {"kind": kind, "classes": 3}
    check(validate({"network": {"name": "dcgan", **network}, "image": image, "conditioning": told}, "test"))


@pytest.mark.parametrize(
    ("preset", "sets"),
    [
        *(("demo", ()), ("mlp", ()), ("dcgan", ()), ("sngan", ()), ("r3gan", ())),
        ("dcgan", ("network.discriminator_normalization=spectral",)),
    ],
)
def test_a_real_checkpoint_is_as_large_as_was_said(preset, sets, tmp_path):
    store, config = LocalStore(tmp_path), resolve(preset, sets)
    state = State(config)
    checkpoints.save(store, 1, checkpoints.snapshot(state.variables()))
    written = sum(stat.size for stat in store.list(layout.checkpoint_folder(1)))
    assert written == pytest.approx(sizes(config).checkpoint_bytes, rel=0.01)
    assert sizes(config).trainable == sum(
        math.prod(state.variables()[name].shape)
        for network in state.networks
        for name in trainable_names(network)
    )


def parameters(config):
    """Those that are trained, of generator and discriminator."""
    return [sum(sum(layer.trainable) for layer in network) for network in sizes(config)[:2]]


def test_the_papers_networks_are_as_large_as_theirs():
    """SNGAN's generator at 32x32: by adding up table 3 of Miyato et al. 2018 with batch normalization.

    R3GAN's at 256x256: 23.1 and 23.0 million in table 2 of Huang et al. 2024, of widths 96 to 768.
    """
    assert parameters(resolve("sngan32"))[0] == 4_276_739
    widths = [768, 768, 768, 768, 384, 192, 96]
    network = {"name": "r3gan", "widths": widths, "groups": [width // 8 for width in widths]}
    image = {"height": 256, "width": 256, "channels": 3}
    large = parameters(validate({"network": network, "image": image}, "test"))
    assert large == pytest.approx([23.1e6, 23.0e6], rel=0.01)
    assert large == [23_057_952, 23_009_568]
    assert parameters(resolve("r3gan32")) == [20_732_160, 20_683_776]


def test_a_step_costs_its_repeats_and_its_penalties():
    """Of d the forward pass of the discriminator, of g the generator's, and of their first layers."""
    found = sizes(resolve("mlp"))
    g, d = (sum(layer.flop for layer in layers) for layers in found[:2])
    first_g, first_d = (next(layer.flop for layer in layers if layer.flop) for layers in found[:2])
    judged, drawn = 2 * (3 * d - first_d), 2 * d + 3 * g - first_g
    assert found.flop_per_image == judged + drawn
    # Five critics' batches, four of which have images drawn for them alone, and a penalty of 6 passes.
    critic = resolve("mlp", ["d_repeats=5", "regularizers.gradient_penalty.weight=10"])
    assert sizes(critic).flop_per_image == (5 * (judged + 6 * d) + 4 * g + drawn) // 5
    lazy = resolve("mlp", ["regularizers.r1.weight=1", "regularizers.r1.every=3"])
    assert sizes(lazy).flop_per_image == judged + 2 * d + drawn
    twice = resolve("mlp", ["g_repeats=2"])
    assert sizes(twice).flop_per_image == judged + 2 * drawn
