"""The average of the generator's weights: what grids, `sample` and the export of a run show."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from tests.support.runs import drawn, run_here  # noqa: E402
from trainer import config  # noqa: E402
from trainer.errors import ConfigError  # noqa: E402
from trainer.run import checkpoints, layout  # noqa: E402
from trainer.sampling.drawing import Request  # noqa: E402
from trainer.sampling.sampler import to_bytes  # noqa: E402
from trainer.storage import open_store  # noqa: E402

SMALL = (
    "network.generator_filters=[8,4]",
    "network.discriminator_filters=[4,8]",
    "averaging.half_life_images=40",
    "optimizer.learning_rate=0.01",
    "batch_size=8",
    "steps=12",
    "checkpoints.every_steps=6",
    "samples.every_steps=6",
    "metrics.every_steps=3",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    assert run_here(folder, preset="dcgan", sets=SMALL) == 0
    assert run_here(folder, "averaging.half_life_images=0", preset="dcgan", sets=SMALL, run="plain") == 0
    return folder


@pytest.fixture(scope="module")
def store(root):
    return open_store(str(root / "e" / "run"))


def test_the_export_has_the_averages_weights_with_statistics_of_their_own(store, tmp_path):
    store.download(layout.GENERATOR, tmp_path / "generator.keras")
    exported = keras.models.load_model(tmp_path / "generator.keras")
    values = checkpoints.read(store, 12).values
    kernel = exported.get_layer("up_1").get_weights()[0]
    assert (kernel == values["ema/generator/up_1/kernel"]).all()
    assert (kernel != values["generator/up_1/kernel"]).any()
    *_, mean, variance = exported.get_layer("normalize_project").get_weights()
    trained = values["generator/normalize_project/moving_mean"]
    assert np.abs(mean - trained).max() > 1e-3  # those of training are still of the first steps
    latents = np.random.default_rng(0).standard_normal((2000, 100)).astype(np.float32)
    projected = latents @ exported.get_layer("project").get_weights()[0]
    projected = projected.reshape(2000, -1, len(mean))
    np.testing.assert_allclose(mean, projected.mean((0, 1)), atol=0.03)
    np.testing.assert_allclose(variance, projected.var((0, 1)), rtol=0.1)


def test_sample_draws_from_the_average_and_if_asked_from_the_last_weights(store, tmp_path):
    store.download(layout.GENERATOR, tmp_path / "generator.keras")
    exported = keras.models.load_model(tmp_path / "generator.keras")
    from trainer import randomness

    images = drawn(store, Request(count=9))
    expected = to_bytes(exported(randomness.sample_latents(0, 9, 100), training=False)).numpy()
    assert np.abs(images.astype(int) - expected).max() <= 1  # in other batches, so by rounding
    last = drawn(store, Request(count=9, average=False))
    assert np.abs(images.astype(int) - last).mean() > 0.5


def test_a_grid_is_the_averages_and_a_resumed_one_has_its_bits(root, store):
    assert run_here(root, "steps=6", preset="dcgan", sets=SMALL, run="cut") == 0
    assert run_here(root, preset="dcgan", sets=SMALL, run="cut") == 0
    cut = open_store(str(root / "e" / "cut"))
    for name in ("samples/6.png", "samples/12.png"):
        assert cut.read(name) == store.read(name)
    one, other = (checkpoints.read(each, 12).values for each in (store, cut))
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)
    plain = open_store(str(root / "e" / "plain"))
    assert plain.read("samples/12.png") != store.read("samples/12.png")
    trained = checkpoints.read(plain, 12).values  # which an average does not change
    assert all(trained[name].tobytes() == one[name].tobytes() for name in trained)


def test_a_run_that_begins_from_one_without_an_average_begins_it_with_the_weights(root):
    warm = ("warm_start.run=plain", "steps=6")
    assert run_here(root, *warm, preset="dcgan", sets=SMALL, run="warm") == 0
    assert any(
        name.startswith("ema/") for name in checkpoints.read(open_store(str(root / "e" / "warm")), 6).values
    )


def test_a_resume_does_not_begin_to_average(root):
    with pytest.raises(ConfigError, match=r"averaging.half_life_images \(was 0, now 40\)"):
        run_here(root, preset="dcgan", sets=SMALL, run="plain")


def test_a_resolved_average_is_off_unless_it_is_asked_for():
    assert config.resolve("mlp").averaging.half_life_images == 0
