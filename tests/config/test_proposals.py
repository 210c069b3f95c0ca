"""What a rule proposes for what is off, and how long what is asked for takes."""

import pytest

from trainer.config import preset_names, price, proposals, resolve, same_work
from trainer.losses import LOSSES
from trainer.networks.duration import seconds_per_1000_images
from trainer.presets import cost


def proposed(preset, *overrides):
    return {each.part: each for each in proposals(resolve(preset, overrides))}


def test_both_are_those_of_the_rule():
    # train.py of stylegan2-ada-pytorch at 256x256 and batch 32: gamma 0.4096, ema_kimg 10; rpgan is no mean.
    size = ("network.generator_filters=[8]", "network.discriminator_filters=[8]", "batch_size=32")
    found = proposed("dcgan64", "image.height=256", "image.width=256", "loss=rpgan", *size)
    assert found["r1"].values["regularizers.r1.weight"] == "0.41"
    assert found["r1"].values["regularizers.r1.every"] == "16"
    assert found["ema"].values == {"averaging.half_life_images": "10000"}


@pytest.mark.parametrize("preset", preset_names())
@pytest.mark.parametrize("loss", [name for name, about in LOSSES.items() if about.logistic])
def test_what_is_proposed_can_be_pasted(preset, loss):
    found = proposed(preset, f"loss={loss}")
    pasted = [word for each in found.values() for word in each.options.split() if word != "--set"]
    assert proposed(preset, f"loss={loss}", *pasted) == {}


def test_what_is_there_is_left_alone_and_other_games_too():
    rest = {"ema", "evaluation"}
    judged = "evaluation.every_steps=500"
    assert proposed("mlp", "regularizers.r1.weight=10", "averaging.half_life_images=1", judged) == {}
    assert set(proposed("mlp", "regularizers.noise_r1.weight=1")) == rest
    assert set(proposed("mlp", "loss=hinge")) == rest
    assert set(proposed("mlp", "loss=wasserstein", "regularizers.weight_clipping.limit=0.01")) == rest


@pytest.mark.parametrize(("samples", "seconds"), [(1000, 0.30), (2000, 0.69), (5000, 2.37)])
def test_an_evaluation_costs_about_what_was_measured(samples, seconds):
    """On one thread, of `mlp`: the last of some evaluations, as its line says."""
    config = resolve("mlp", [f"evaluation.samples={samples}"])
    assert price(config, cores=1).seconds == pytest.approx(seconds, rel=0.15)


def test_evaluations_are_as_often_as_takes_a_twentieth():
    off = price(resolve("mlp"))
    assert (off.share, off.evaluations) == (0, 0) and off.every_steps % 50 == 0
    on = price(resolve("mlp", [f"evaluation.every_steps={off.every_steps}"]))
    assert on.share == pytest.approx(0.05, rel=0.1) and on.evaluations == -(-10_000 // off.every_steps)
    assert price(resolve("dcgan64")).features == "lite0"
    [found] = [each for each in proposals(resolve("emoji")) if each.part == "evaluation"]
    assert found.values["evaluation.features"] == "lite0" and "gantry[features]" in found.why
    assert price(resolve("mlp", ["steps=10"])).every_steps == 50  # the last step of a short run


@pytest.mark.parametrize(
    ("preset", "batch", "milliseconds"),
    [("mlp", 16, 7.4), ("mlp", 64, 15.1), ("mlp", 512, 89.3), ("mlp", 1024, 159.3), ("dcgan64", 64, 2125.2)],
)
def test_an_estimate_is_near_what_was_measured(preset, batch, milliseconds):
    """The figures of docs/benchmarks.md: a step on two cores."""
    estimated = seconds_per_1000_images(resolve(preset, [f"batch_size={batch}"]), cores=2) * batch
    assert estimated == pytest.approx(milliseconds, rel=0.15)


def test_two_workers_share_a_batch_and_send_gradients():
    # 32 images of `dcgan64` for each of two workers of one core took 2,718 ms a step.
    estimated = seconds_per_1000_images(resolve("dcgan64", ["batch_size=64"]), cores=1, workers=2) * 64
    assert estimated == pytest.approx(2717.9, rel=0.15)


def test_a_measured_cost_is_of_the_same_work_alone():
    demo, twice = resolve("demo"), resolve("demo", ["steps=6400", "seed=7", "optimizer.beta1=0"])
    assert same_work(demo, twice)
    assert cost("demo", twice)._asdict() == {"images": 409_600, "minutes": 2.8, "measured": True, "cores": 2}
    for other in ("batch_size=128", "regularizers.r1.every=1", "conditioning.kind=acgan", "d_repeats=2"):
        changed = resolve("demo", [other])
        assert not same_work(demo, changed) and not cost("demo", changed).measured, other
