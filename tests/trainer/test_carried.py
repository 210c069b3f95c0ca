"""The configuration that a launcher sends along, read by a trainer of another revision."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.teams import SMALL
from tests.trainer.pods import Pods
from trainer import __version__
from trainer.config import RunConfig, carry, receive, resolve
from trainer.config.carried import VARIABLE
from trainer.errors import EXIT_DONE, EXIT_USER, ConfigError
from trainer.storage import open_store

SETS = ("steps=300", "optimizer.beta1=0.25")


def sent(preset="mlp", overrides=SETS, config=None, **changes):
    """The environment of a trainer whose launcher has resolved a run; `changes` are to what it sent."""
    text = carry(config or resolve(preset, overrides), preset, overrides)
    return {VARIABLE: json.dumps(json.loads(text) | changes)}


def with_key(environ, place, key, value, chosen=False):
    """The same of a launcher whose schema has a key more."""
    values = json.loads(environ[VARIABLE])
    (values["config"][place] if place else values["config"])[key] = value
    if chosen:
        values["chosen"].append(f"{place}.{key}" if place else key)
    return {VARIABLE: json.dumps(values)}


@given(
    preset=st.sampled_from(["mlp", "dcgan", "dcgan64", "demo"]),
    steps=st.integers(1, 10**6),
    rate=st.floats(1e-6, 1.0),
    source=st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1).map(
        "images:{}".format
    ),
)
def test_what_is_sent_is_what_arrives(preset, steps, rate, source):
    overrides = (f"steps={steps}", f"optimizer.learning_rate={rate!r}", f"data.source={source}")
    config = resolve(preset, overrides)
    assert receive(preset, overrides, sent(preset, overrides)) == (config, ())


def test_a_preset_that_means_something_else_here_means_what_was_sent():
    other = resolve(
        "mlp", (*SETS, "batch_size=32", "network.leaky_slope=0.5", "seed=7", "loss=bce", "xla=off")
    )
    config, notes = receive("mlp", SETS, sent(config=other, version="9.9.9"))
    assert config == other
    assert notes == (
        f"note: launcher 9.9.9 and trainer {__version__}: preset mlp means what the launcher sent: "
        "batch_size=32 (here 64), network.leaky_slope=0.5 (here 0.2), seed=7 (here 0) and 1 more",
    )


@pytest.mark.parametrize(("place", "key"), [("", "ema"), ("network", "spectral"), ("optimizer", "kind")])
def test_a_key_that_the_trainer_lacks(place, key):
    name = f"{place}.{key}" if place else key
    config, notes = receive("mlp", SETS, with_key(sent(version="9.9.9"), place, key, 1))
    assert config == resolve("mlp", SETS)
    assert notes == (
        f"note: launcher 9.9.9 and trainer {__version__}: left out what the trainer lacks, at its default: "
        f"{name}",
    )
    with pytest.raises(ConfigError) as failure:
        receive("mlp", SETS, with_key(sent(version="9.9.9"), place, key, 1, chosen=True))
    assert str(failure.value) == (
        f"{VARIABLE}: launcher 9.9.9 asks for {name}=1, which trainer {__version__} does not know: "
        "expected an image of 9.9.9"
    )


def test_a_section_that_the_trainer_lacks():
    more = {"rate": 0.5, "kind": "lecam"}
    assert receive("mlp", SETS, with_key(sent(), "", "penalty", more)).config == resolve("mlp", SETS)
    asked = with_key(sent(), "", "penalty", more)
    values = json.loads(asked[VARIABLE])
    values["chosen"].append("penalty.rate")
    with pytest.raises(ConfigError, match=r"asks for penalty\.rate=0\.5"):
        receive("mlp", SETS, {VARIABLE: json.dumps(values)})


def test_a_preset_that_the_trainer_lacks():
    values = json.loads(sent()[VARIABLE]) | {"preset": "stylegan"}
    config, notes = receive("stylegan", SETS, {VARIABLE: json.dumps(values)})
    assert config == resolve("mlp", SETS)
    assert "what the launcher sent counts" in notes[0] and "unknown preset 'stylegan'" in notes[0]


def test_arguments_that_somebody_has_edited_since_count():
    config, notes = receive("mlp", (*SETS, "seed=5"), sent())
    assert config == resolve("mlp", (*SETS, "seed=5"))
    assert notes[0].startswith("warning: --preset and --set are not those that GANTRY_CONFIG was made of")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"version": 1}', '{"config": {}}'])
def test_what_is_no_configuration(text):
    with pytest.raises(ConfigError, match=r"^GANTRY_CONFIG is .*: expected a configuration"):
        receive("mlp", SETS, {VARIABLE: text})


def test_a_value_that_the_trainer_does_not_take():
    values = json.loads(sent()[VARIABLE])
    values["config"]["loss"] = "relativistic"
    with pytest.raises(ConfigError, match=r"^GANTRY_CONFIG: loss is 'relativistic': expected"):
        receive("mlp", SETS, {VARIABLE: json.dumps(values)})


def test_without_it_the_presets_here_count():
    assert receive("mlp", SETS, {}) == (resolve("mlp", SETS), ())
    assert isinstance(receive("mlp", (), {VARIABLE: ""}).config, RunConfig)


def test_a_pod_trains_what_was_sent_and_says_where_that_differs(tmp_path):
    root = str(tmp_path / "runs")
    other = resolve("mlp", (*SMALL, "network.leaky_slope=0.5"))
    with Pods(root, "job", tmp_path, **sent("mlp", SMALL, other)) as pods:
        assert pods.wait() == [EXIT_DONE], pods.log()
        assert "preset mlp means what the launcher sent: network.leaky_slope=0.5 (here 0.2)" in pods.log()
    record = json.loads(open_store(f"{root}/e/job").read("run.json"))
    assert RunConfig.model_validate(record["config"]) == other


def test_a_pod_that_is_asked_for_what_it_does_not_know_writes_nothing(tmp_path):
    asked = with_key(sent("mlp", SMALL, version="9.9.9"), "", "ema", 1, chosen=True)
    with Pods(str(tmp_path / "runs"), "job", tmp_path, **asked) as pods:
        assert pods.wait() == [EXIT_USER], pods.log()
        assert "expected an image of 9.9.9" in pods.messages[0].read_text()
    assert not (tmp_path / "runs").exists()
