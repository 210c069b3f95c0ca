from datetime import date

import pytest

from launcher.hints import command_line
from launcher.resuming import merge
from launcher.spec import default_name, make_spec
from trainer.errors import UserError
from trainer.layout import RunPath, run_path


def test_a_spec_resolves_its_configuration():
    spec = make_spec("mlp", ["steps=7", "batch_size=16"], "one", workers=2)
    assert (spec.config().steps, spec.config().batch_size) == (7, 16)
    assert spec.path == RunPath("runs", "gan", "one")


@pytest.mark.parametrize("preset", ["mlp", "Odd_preset.1", "x" * 80])
def test_default_names_are_labels_with_preset_and_day(preset):
    names = {default_name(preset, date(2026, 1, 2)) for _ in range(20)}
    assert len(names) > 1
    for name in names:
        run_path("runs", "gan", name)
        assert "-20260102-" in name
        assert name[:3].lower() == preset[:3].lower()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"preset": "nope"}, ["preset 'nope'", "presets are"]),
        ({"overrides": ["stps=3"]}, ["stps", "did you mean 'steps'"]),
        ({"overrides": ["steps=0"]}, ["steps is 0", "greater than or equal to 1"]),
        ({"workers": 0}, ["workers is 0", "expected", "1"]),
        ({"workers": 3}, ["batch_size is 64", "3 workers", "63 or 66"]),
        ({"workers": 100}, ["batch_size is 64", "such as 100"]),
        ({"threads": 0}, ["threads is 0", "expected"]),
        ({"name": "Not_a_label"}, ["run 'Not_a_label'", "expected lower case"]),
        ({"experiment": "a/b"}, ["experiment 'a/b'", "expected lower case"]),
        ({"root": ""}, ["root is ''", "at least 1 character"]),
        ({"backend": "moon"}, ["backend is 'moon'", "'local'"]),
        ({"colour": 1}, ["colour is 1"]),
    ],
)
def test_a_wrong_value_is_named_in_one_line(values, words):
    with pytest.raises(UserError) as caught:
        make_spec(**{"preset": "mlp", "name": "one", **values})
    text = str(caught.value)
    assert "\n" not in text
    assert all(word in text for word in words), text


def test_merged_overrides_hold_each_key_once():
    assert merge(("steps=1", "seed=2"), ("steps=3",)) == ("steps=3", "seed=2")


def test_a_hint_can_be_pasted(monkeypatch):
    monkeypatch.setenv("GANTRY_ROOT", "/data/")
    assert command_line("resume", RunPath("/data", "gan", "one")) == "launcher resume one"
    assert (
        command_line("logs", RunPath("my runs", "dc", "one"), "-f")
        == "launcher logs dc/one -f --root 'my runs'"
    )
