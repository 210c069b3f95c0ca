"""A run that begins with some of another's weights, and one that leaves some of them as they are."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.support.runs import TINY, run_here
from tests.trainer.test_warm_start import run_json, same, store, values
from trainer import config
from trainer.config import freezing
from trainer.config.optimizer import Optimizer
from trainer.errors import ConfigError
from trainer.optimizers.adam import Adam
from trainer.run import provenance
from trainer.run.layout import run_path
from trainer.run.provenance import WarmStart
from trainer.training.state import State

FROM = "warm_start.run=first"
SOME = (FROM, "warm_start.fit=some", "steps=2")
FROZEN = (
    FROM, "warm_start.fit=some", "network.latent_size=7", "steps=8",
    "warm_start.freeze=[discriminator/hidden_1, generator/*/bias]",
)  # fmt: skip
NEW = "generator/hidden_1/kernel"
NAMES = ["generator/hidden_1/bias", "generator/pixels/bias"]
NAMES += ["discriminator/hidden_1/kernel", "discriminator/hidden_1/bias"]


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    root = tmp_path_factory.mktemp("older")
    assert run_here(root, "steps=4", run="first") == 0
    return root


@pytest.fixture
def root(older, tmp_path):
    shutil.copytree(older, tmp_path / "root")
    return tmp_path / "root"


def test_frozen_weights_of_another_size_keep_their_bits_and_all_others_move(root, capsys):
    assert run_here(root, *FROZEN, run="whole") == 0
    said = f"optimizer fresh; 7 of 8 variables from there, 1 new: {NEW}; 4 weights frozen: {', '.join(NAMES)}"
    assert f"warm start from first at step 4, {said}\n" in capsys.readouterr().out
    warm = run_json(root, "whole")["warm_start"]
    assert (warm["new"], warm["frozen"]) == ([NEW], NAMES)
    begun, ended = values(root, "first", 4), values(root, "whole", 8)
    own = {name for name in ended if not name.startswith("adam/")}
    moved = {name for name in own if begun[name].tobytes() != ended[name].tobytes()}
    weights = {name for name in ended if name.startswith(("generator/", "discriminator/"))}
    assert len(weights) == 8 and moved == weights - set(NAMES)
    moments = {name: np.abs(value).max() for name, value in ended.items() if name.startswith("adam/")}
    of_frozen = {name for name, largest in moments.items() if largest == 0}
    assert of_frozen == {f"adam/{name}/{which}_moment" for name in NAMES for which in ("first", "second")}
    assert run_here(root, *FROZEN, "steps=4", run="cut") == 0
    shutil.rmtree(root / "e" / "first")  # not needed any more: what is frozen is the configuration's
    assert run_here(root, *FROZEN, run="cut") == 0
    assert same(values(root, "cut", 8), ended)
    with pytest.raises(ConfigError, match=r"warm_start\.freeze .*only steps may grow"):
        run_here(root, *FROZEN[:1], "steps=8", run="cut")


def test_labels_come_to_a_run_that_had_none(older):
    sets = (*TINY, *SOME, "conditioning.kind=projection", "averaging.half_life_images=99")
    labelled = config.resolve("mlp", sets)
    shapes = {name: tuple(each.shape) for name, each in State(labelled).variables().items()}
    path, warm = run_path(str(older), "e", "new"), WarmStart("first", 4, "fresh")
    found = provenance.first_values(path, labelled, warm, shapes)
    taken = provenance.taken(path, warm, shapes, found, [])
    assert taken.new == ["discriminator/embedding/kernel", "generator/hidden_1/kernel"]
    assert taken.from_there == 7 and "ema/generator/pixels/kernel" in found
    assert "ema/generator/hidden_1/kernel" not in found  # begins as the new weight
    theirs = values(older, "first", 4)
    assert all(found[name].tobytes() == theirs[name.removeprefix("ema/")].tobytes() for name in found)


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (
            ("network.generator_units=[8]", "network.discriminator_units=[8]", "network.latent_size=3"),
            "from run 'first' at step 4: no kernel there has the name and shape of one here",
        ),
        (
            ("network.latent_size=7", "warm_start.freeze=generator/hidden_1"),
            "warm_start.freeze names generator/hidden_1/kernel, which that run does not have in this shape",
        ),
        (
            ("network.latent_size=7", "warm_start.optimizer=kept"),
            "warm_start.optimizer is kept, expected fresh where weights are new: generator/hidden_1/kernel",
        ),
        (("warm_start.freeze=generator",), "freeze is generator: nothing of the generator is left to train"),
        (("warm_start.freeze=logit/gamma",), "no layer is called so"),
        (('warm_start.freeze=["*/gamma"]',), r"freeze is '\*/gamma': no weight is called so"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_leaves_its_name_to_another(root, sets, said):
    with pytest.raises(ConfigError, match=said) as refusal:
        run_here(root, *SOME, *sets, run="new")
    assert "\n" not in str(refusal.value) and [*store(root, "new").list()] == []


@pytest.mark.parametrize(
    ("pattern", "near"),
    [
        ("generator/dense_1", "generator/hidden_1"),
        ("discriminator/logits", "discriminator/logit"),
        ("discriminator/hiden_1/kernel", "discriminator/hidden_1"),
    ],
)
def test_a_layer_that_is_not_there_is_refused_before_tensorflow_by_the_nearest_that_is(pattern, near):
    said = rf"freeze is '{pattern}': no layer is called so \(did you mean '{near}'\?\)$"
    with pytest.raises(ConfigError, match=said):
        config.resolve("mlp", [FROM, f"warm_start.freeze={pattern}"])
    with pytest.raises(ConfigError, match=r"expected warm_start\.run with it"):
        config.resolve("mlp", ["warm_start.freeze=generator/hidden_1"])


def test_names_are_a_networks_a_layers_a_variables_or_a_glob():
    names = ["generator/up_1/kernel", "generator/up_2/kernel", "generator/up_2/bias"]
    names.append("discriminator/up_1/kernel")
    for pattern, found in (
        ("generator", names[:3]),
        ("generator/up_2", names[1:3]),
        ("generator/up", []),
        ("*/up_1", [names[0], names[3]]),
        ("generator/up_[12]", names[:3]),
        ("generator/up_2/bias", names[2:3]),
        ("*/kernel", [*names[:2], names[3]]),
    ):
        assert freezing.named([pattern], names) == found, pattern


def test_a_gradients_norm_is_that_of_the_weights_that_move():
    gradients = [tf.constant([3.0, 4.0]), tf.constant([1000.0])]
    rates, moved = Optimizer().of("generator")._replace(clip_norm=5.0), {}
    for frozen in ((), (1,)):
        weights = [tf.Variable([1.0, 1.0]), tf.Variable([5.0])]
        adam = Adam(rates, weights, frozen)
        adam.apply(gradients, tf.constant(1.0), tf.constant(0.0))
        moved[frozen] = [weight.numpy() for weight in weights], adam.first[0].numpy()
    assert moved[(1,)][0][1].tolist() == [5.0] and moved[()][0][1] != 5.0
    beta1 = rates.beta1
    np.testing.assert_allclose(moved[(1,)][1], (1 - beta1) * np.array([3.0, 4.0]), rtol=1e-6)
    assert np.abs(moved[()][1]).max() < 0.1 * np.abs(moved[(1,)][1]).max()


def test_a_clipped_critic_is_not_clipped_where_it_is_frozen():
    clipped = ("loss=wasserstein", "regularizers.weight_clipping.limit=0.01")
    small = ("network.generator_units=[4]", "network.discriminator_units=[4]")
    sets = (*clipped, *small, FROM, "warm_start.freeze=discriminator/hidden_1")
    state = State(config.resolve("mlp", sets), begun_warm=True)
    [clip] = state.hooks
    clip()
    largest = {name: np.abs(value.numpy()).max() for name, value in state.variables().items()}
    assert largest["discriminator/hidden_1/kernel"] > 0.02 >= 2 * largest["discriminator/logit/kernel"]
