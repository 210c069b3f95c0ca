"""What a run is: presets, overrides, bounds, round trips and what is said about mistakes."""

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.config.leaves import LEAVES, NUMERIC, SCHEMA, outside, typed, values
from trainer.config import (
    RunConfig,
    difference,
    flatten,
    preset_about,
    preset_names,
    preset_values,
    resolve,
    to_json,
    to_yaml,
    validate,
)
from trainer.errors import ConfigError
from trainer.networks import Dcgan

fewer = settings(max_examples=40)
COMMON = [leaf for leaf in LEAVES if not leaf.kind]
SMOOTH = "regularizers.label_smoothing.weight=0.1"
PRESET_OF = {"": "mlp", **{name: name for name in ("mlp", "dcgan", "sngan", "r3gan")}}


def refused(call, *words: str) -> str:
    """The text of the `ConfigError` that a call raises: one line that holds all words."""
    with pytest.raises(ConfigError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert str(word) in text
    return text


def default_of(values: dict) -> dict:
    """Defaults of the schema for the kind of network that some values name, dotted."""
    network = {"network": {"name": values.get("network", {}).get("name", "mlp")}}
    image = {"image": {"height": 64, "width": 64}}  # a DCGAN's defaults do not fit the default image
    defaults = flatten(RunConfig.model_validate(network | image).model_dump(mode="json"))
    return defaults | {"image.height": 28, "image.width": 28}


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_resolves_and_describes_itself_in_a_line(name):
    assert isinstance(resolve(name), RunConfig)
    assert 10 < len(preset_about(name).description) < 80
    assert "\n" not in preset_about(name).description


def test_the_presets_are_those_that_are_promised():
    assert {"dcgan", "dcgan64", "demo", "emoji", "mlp", "r3gan", "r3gan32", "sngan", "sngan32"} == set(
        preset_names()
    )


def test_mlp_is_the_plain_gan_of_the_page():
    config = resolve("mlp")
    assert (config.steps, config.batch_size, config.loss, config.seed) == (10000, 64, "bce", 0)
    assert config.image.shape == (28, 28, 1)
    assert (config.optimizer.learning_rate, config.optimizer.beta1) == (2e-4, 0.5)
    assert config.network.latent_size == 100
    assert config.network.generator_units == (128, 256, 512, 1024)
    assert config.network.discriminator_units == (1024, 512, 256)
    assert config.network.leaky_slope == 0.2
    assert config == RunConfig()


def test_dcgan64_is_the_papers():
    config = resolve("dcgan64")
    assert config.network == Dcgan(name="dcgan")
    assert config.network.generator_filters == (1024, 512, 256, 128)
    assert (config.image.shape, config.batch_size) == ((64, 64, 3), 128)


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_holds_only_what_differs_from_the_defaults(name):
    content = preset_values(name)
    defaults = default_of(content)
    same = [
        key for key, value in flatten(content).items() if defaults[key] == value and key != "network.name"
    ]
    assert same == []


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: f"{leaf.key}-{leaf.kind}")
def test_every_field_says_what_it_is(leaf):
    assert len(leaf.schema["description"]) > 10
    assert leaf.schema["description"].endswith((".", ")"))


@pytest.mark.parametrize("name", sorted(SCHEMA["$defs"]))
def test_every_section_says_what_it_is(name):
    assert SCHEMA["$defs"][name]["description"].strip()


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: f"{leaf.key}-{leaf.kind}")
def test_every_field_is_bounded(leaf):
    schema = leaf.numbers
    if "enum" in schema or "const" in schema or schema.get("type") == "boolean":
        return
    if leaf.key in ("warm_start.run", "data.holdout_source", "evaluation.features"):  # by rules of their own
        return
    bounds = {"minimum", "exclusiveMinimum", "minLength"}
    assert bounds & schema.keys()
    if schema["type"] == "number":  # an infinity is no value of anything
        assert {"maximum", "exclusiveMaximum"} & schema.keys()


# Not each value of the one goes with each of the others.
APART = (
    {"loss", "regularizers.label_smoothing.weight"},
    {"batch_size", "microbatch", "packing", "conditioning.kind"},
    {"data.labels", "conditioning.kind"},
    {"warm_start.freeze", "warm_start.run"},
    {
        "metrics.every_steps",
        "evaluation.every_steps",
        "evaluation.stop_when_no_better",
        "evaluation.features",
        "evaluation.metric",
        "image.height",
        "image.width",
        "image.channels",
    },
    {"data.holdout", "data.holdout_source", "data.placement"},
    {"loss", "augmentation.kind", "augmentation.p", "augmentation.target"},
    {"loss", "augmentation.kind", "augmentation.color", "augmentation.translation", "augmentation.cutout"},
    {"augmentation.kind", "augmentation.color", "augmentation.blitting", "augmentation.geometry"},
)


@fewer
@given(data=st.data())
def test_a_configuration_survives_yaml_and_json(data):
    leaves = data.draw(st.lists(st.sampled_from(COMMON), max_size=6, unique_by=lambda leaf: leaf.key))
    for apart in APART:
        first = next((leaf for leaf in leaves if leaf.key in apart), None)
        leaves = [leaf for leaf in leaves if leaf.key not in apart or leaf is first]
    sets = [f"{leaf.key}={typed(leaf, data.draw(values(leaf)))}" for leaf in leaves]
    config = resolve("mlp", [each for leaf in leaves for each in leaf.company] + sets)
    assert validate(yaml.safe_load(to_yaml(config)), "yaml") == config
    assert validate(json.loads(to_json(config)), "json") == config
    assert list(yaml.safe_load(to_yaml(config))) == list(RunConfig.model_fields)


@pytest.mark.parametrize(
    ("preset", "sets", "words"),
    [
        ("mlp", ["loss=wasserstein"], ["loss is wasserstein", "gradient_penalty.weight", "Lipschitz"]),
        (
            "dcgan",
            ["regularizers.r1.weight=1"],
            ["regularizers.r1.weight is 1", "expected 0", "normalization=none"],
        ),
        ("dcgan", ["regularizers.noise_r2.weight=1"], ["regularizers.noise_r2.weight is 1"]),
        ("mlp", [SMOOTH, "loss=hinge"], ["label_smoothing.weight is 0.1", "expected 0 with loss hinge"]),
        ("mlp", [SMOOTH, "loss=rpgan"], ["loss rpgan, which has no labels"]),
        ("mlp", ["optimizer.schedule.kind=linear"], ["decay_to is 0", "decay_from (0)"]),
    ],
)
def test_parts_that_do_not_go_together_are_refused_by_name(preset, sets, words):
    refused(lambda: resolve(preset, sets), *words)


def test_parts_that_go_together_are_taken():
    for sets in (
        ["loss=wasserstein", "regularizers.weight_clipping.limit=0.01"],
        ["network.discriminator_normalization=none", "regularizers.r1.weight=1"],
        ["regularizers.logit_centering.weight=0.01"],
    ):
        resolve("dcgan", sets)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_survives_yaml_and_json(name):
    config = resolve(name)
    assert validate(yaml.safe_load(to_yaml(config)), "yaml") == config
    assert validate(json.loads(to_json(config)), "json") == config


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: f"{leaf.key}-{leaf.kind}")
def test_every_field_takes_every_value_inside_its_bounds(leaf):
    """But for a network's blocks, which must fit the image."""

    @settings(max_examples=8)
    @given(value=values(leaf))
    def law(value):
        if leaf.key.endswith("_filters"):
            value = value[:2]
        config = resolve(PRESET_OF[leaf.kind], [*leaf.company, f"{leaf.key}={typed(leaf, value)}"])
        assert flatten(config.model_dump(mode="json"))[leaf.key] == value

    law()


@pytest.mark.parametrize(
    ("leaf", "value"),
    [
        pytest.param(leaf, value, id=f"{leaf.key}-{leaf.kind}-{value}")
        for leaf in NUMERIC
        for value in outside(leaf)
    ],
)
def test_a_value_out_of_bounds_is_refused_with_field_and_value(leaf, value):
    shown = str(value).strip("[]").removeprefix(".")
    refused(lambda: resolve(PRESET_OF[leaf.kind], [f"{leaf.key}={value}"]), leaf.key, shown)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("image.channels=2", ["image.channels is 2", "expected 1 or 3"]),
        ("loss=hing", ["loss is 'hing'", "'bce'"]),
        ("xla=on", ["xla is 'on'", "'auto' or 'off'"]),
        ("data.placement=disk", ["data.placement is 'disk'", "'memory'"]),
        ("data.source=", ["data.source is ''", "at least 1 character"]),
        (
            "data.source=nonsense",
            ["data.source is 'nonsense'", "expected one of digits, emoji, idx:<folder>"],
        ),
        ("data.source=gs://b/faces/", ["is 'gs://b/faces/'", "did you mean tfrecord:gs://b/faces/?"]),
        ("data.source=tfrecord:s3://b/x", ["tfrecord:s3://b/x", "expected tfrecord:gs://bucket/path"]),
        ("data.source=keras:fashion-mnist", ["did you mean keras:fashion_mnist?"]),
        ("network.name=resnet", ["network", "resnet", "mlp", "dcgan"]),
        ("seed=2026-99-99", ["seed", "2026-99-99"]),
        ("seed=[", ["seed", "'['"]),
        ("warm_start.run=My Run", ["warm_start.run is 'My Run'", "expected latest, or the name of a run"]),
        ("warm_start.optimizer=old", ["warm_start.optimizer is 'old'", "'fresh' or 'kept'"]),
        ("warm_start.required=maybe", ["warm_start.required is 'maybe'", "true or false"]),
        ("seed", ["--set seed", "expected key=value"]),
        ("=3", ["expected key=value"]),
    ],
)
def test_a_wrong_override_is_told_with_field_value_and_what_is_expected(override, words):
    refused(lambda: resolve("mlp", [override]), *words)


@pytest.mark.parametrize("value", ["off", "auto", "'off'", '"off"'])
def test_off_is_a_word_and_no_boolean(value):
    assert resolve("mlp", [f"xla={value}"]).xla == value.strip("'\"")


def test_the_name_of_a_run_may_look_like_a_number_and_may_be_taken_back():
    for name in ("007", "2026", "1e5", "true", "latest"):
        assert resolve("mlp", [f"warm_start.run={name}"]).warm_start.run == name
    assert resolve("mlp", ["warm_start.run=latest", "warm_start.run=null"]).warm_start.run is None
    assert resolve("mlp", ["warm_start.required=false"]).warm_start.required is False


@pytest.mark.parametrize("text", ["1e-4", "0.0001", "1.0e-4", " 1e-4"])
def test_a_small_number_may_be_written_as_people_write_it(text):
    assert resolve("mlp", [f"optimizer.learning_rate={text}"]).optimizer.learning_rate == 1e-4


def test_later_overrides_win_over_earlier_ones_and_over_the_preset():
    assert resolve("demo").steps == 3200
    assert resolve("demo", ["steps=7", "samples.rows=2", "steps=9"]).steps == 9
    assert resolve("demo", ["samples.rows=2"]).samples.every_steps == 400


@pytest.mark.parametrize(("word", "near"), [("mpl", "mlp"), ("dcgan46", "dcgan64"), ("demos", "demo")])
def test_an_unknown_preset_names_the_nearest_and_all(word, near):
    refused(lambda: resolve(word), f"'{word}'", f"did you mean '{near}'?", *preset_names())


def test_an_unknown_preset_that_is_near_none_names_all():
    assert "did you mean" not in refused(lambda: resolve("zzzz"), "'zzzz'", *preset_names())


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("optimizer.learning_rte", "optimizer.learning_rate"),
        ("learning_rate", "optimizer.learning_rate"),
        ("batchsize", "batch_size"),
        ("network.units", "network.generator_units"),
        ("network", "network.name"),
        # What others call it.
        ("optimizer.lr", "optimizer.learning_rate"),
        ("lr", "optimizer.learning_rate"),
        ("learning-rate", "optimizer.learning_rate"),
        ("optimizer.beta_1", "optimizer.beta1"),
        ("bs", "batch_size"),
        ("batch", "batch_size"),
        ("latent_dim", "network.latent_size"),
        ("metrics.every", "metrics.every_steps"),
        ("data.sourse", "data.source"),
    ],
)
def test_an_unknown_key_names_the_nearest(key, near):
    refused(lambda: resolve("mlp", [f"{key}=1"]), key, f"did you mean '{near}'?")


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"stepps": 1}, ["stepps: there is no such key (did you mean 'steps'?)"]),
        ({"optimizer": {"beta3": 0.5}}, ["optimizer.beta3", "did you mean 'optimizer.beta"]),
        (
            {"network": {"name": "mlp", "latent": 5}},
            ["network.latent", "did you mean 'network.latent_size'?"],
        ),
        ({"network": {"latent_size": 5}}, ["network", "name"]),
        ({"workers": 2}, ["workers: there is no such key"]),
        ({"image": 3}, ["image is 3"]),
        ([], ["the configuration is []"]),
    ],
)
def test_a_key_that_is_none_is_refused_with_its_origin(extra, words):
    refused(lambda: validate(extra, "run.json"), "run.json: ", *words)


def test_a_key_of_another_kind_of_network_is_told_apart_from_a_misspelt_one():
    text = refused(lambda: resolve("dcgan", ["network.name=mlp"]), "network.generator_filters", "'mlp'")
    assert "did you mean" not in text
    refused(lambda: resolve("mlp", ["network.kernel=3"]), "network.kernel", "'mlp'")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("image.height=30", ["image.height is 30", "multiple of 4", "network.generator_filters has 2"]),
        ("image.width=29", ["image.width is 29", "multiple of 4"]),
        ("network.discriminator_filters=[8,8,8]", ["image.height is 28", "multiple of 8", "discriminator"]),
    ],
)
def test_a_dcgan_wants_an_image_that_it_can_halve(override, words):
    refused(lambda: resolve("dcgan", [override]), *words)


def test_the_difference_of_a_configuration_to_itself_is_nothing():
    assert difference(resolve("dcgan"), resolve("dcgan")) == {}


@fewer
@given(data=st.data())
def test_the_difference_is_what_was_overridden(data):
    leaf = data.draw(st.sampled_from(COMMON))
    value = data.draw(values(leaf))
    old = resolve("mlp", leaf.company)
    new = resolve("mlp", [*leaf.company, f"{leaf.key}={typed(leaf, value)}"])
    default = flatten(old.model_dump(mode="json"))[leaf.key]
    assert difference(old, new) == ({} if value == default else {leaf.key: (default, value)})


def test_the_difference_of_two_networks_shows_what_only_one_has_as_none():
    found = difference(resolve("mlp"), resolve("dcgan"))
    assert found["network.name"] == ("mlp", "dcgan")
    assert found["network.generator_units"] == ([128, 256, 512, 1024], None)
    assert found["network.kernel"] == (None, 5)
    assert "network.latent_size" not in found


def test_a_configuration_cannot_change_after_it_was_checked():
    config = resolve("mlp")
    with pytest.raises(ValidationError):
        config.steps = 5
    with pytest.raises(ValidationError):
        config.optimizer.beta1 = 5


def test_a_batch_is_divided_evenly_or_refused():
    config = resolve("mlp")
    assert [config.per_replica_batch(n) for n in (1, 2, 4)] == [64, 32, 16]
    with pytest.raises(ValueError, match="batch_size 64 is not divisible by 3"):
        config.per_replica_batch(3)


@pytest.mark.parametrize(
    ("override", "value"),
    [("steps=1e4", 10_000), ("steps=1.5E+3", 1_500), ("batch_size=64.0", 64), ("seed=+1e3", 1_000)],
)
def test_whole_numbers_may_be_written_as_science_does(override, value):
    assert getattr(resolve("mlp", [override]), override.partition("=")[0]) == value


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("network.generator_units=5", "network.generator_units is 5: expected a list such as [256, 128]"),
        ("network.generator_units=[a]", "network.generator_units.0 is 'a': expected a whole number"),
        ("steps=1.5", "steps is 1.5: expected a whole number"),
        ("steps=1e-2", "steps is '1e-2': expected a whole number"),
        ("steps=many", "steps is 'many': expected a whole number"),
        ("optimizer.learning_rate=fast", "optimizer.learning_rate is 'fast': expected a number"),
        ("data.skip_damaged=maybe", "data.skip_damaged is 'maybe': expected true or false"),
    ],
)
def test_what_is_expected_is_said_without_pythons_words(override, told):
    refused(lambda: resolve("mlp", [override]), f"preset mlp: {told}")
