"""Conditions are seen by the lines alone; a game that goes on is left alone."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.runs import TINY, run_here
from trainer import metrics
from trainer.health import BY_NAME, CONDITIONS, Health, Monitor, in_words
from trainer.pictures.variety import deviation, variety

ROOT = Path(__file__).parents[2]
GOES_ON = {"d_loss": 0.35, "g_loss": 1.9, "d_accuracy_real": 0.85, "d_accuracy_fake": 0.87}
WON = {"d_loss": 0.0004, "g_loss": 9.0, "d_accuracy_real": 1.0, "d_accuracy_fake": 0.9995}
EXPLODED = GOES_ON | {"g_loss": 10381076.0}
GRID = {"spread": 0.9, "repeats": 0.08, "g_norm": 50.0, "d_norm": 30.0}


def told(*spans, every=10, logistic=True):
    """What is said after each span of ``(line, steps)``."""
    monitor, step, said = Monitor(Health(), logistic), 0, []
    for line, steps in spans:
        for _ in range(steps // every):
            step += every
            monitor.add({"step": step, **line})
        said.append(in_words(monitor.found))
    return said


def heard(*lines, **settings):
    """Names of the conditions after some lines, one every 500 steps."""
    numbered = [{"step": 500 * number, **line} for number, line in enumerate(lines, 1)]
    return [each.name for each in Monitor(Health(**settings), lines=numbered).found]


def test_a_discriminator_that_is_right_about_everything_for_500_steps_has_won():
    before, won = told((WON, 490), (WON, 10))
    assert not before
    assert won.startswith("D has won since step 0: its loss is 0.0004 (guessing: 0.693)")
    assert "optimizer.learning_rate" in won and "\n" not in won


def test_losses_beyond_what_a_float_can_tell_have_exploded():
    before, exploded = told((GOES_ON, 40), (EXPLODED, 100))
    assert not before and "exploded since step 40: D loss 0.35, G loss 1.038e+07" in exploded
    assert told((EXPLODED | {"d_loss": -90.0, "g_loss": 1.0}, 100))[0]  # of whatever sign
    assert told((EXPLODED, 1000), logistic=False) == [""]  # a critic's may be of any size


@pytest.mark.parametrize(
    "almost",
    [
        {"d_loss": 0.0101},
        {"d_accuracy_real": 0.998},
        {"d_accuracy_fake": 0.998},
        {"g_loss": 87.0, "d_loss": 0.1},
    ],
)
def test_what_is_almost_so_is_left_alone_for_ever(almost):
    assert told((WON | almost, 100_000)) == [""]


def test_it_must_last_and_may_pass():
    assert told((WON, 490), (GOES_ON, 10), (WON, 490)) == ["", "", ""]
    first, back, again = told((WON, 500), (GOES_ON, 10), (WON, 500))
    assert first and not back and "since step 510" in again
    assert told((EXPLODED, 1000), every=1000) == [""]  # one line may be a spike
    assert told((EXPLODED, 2000), every=1000) != [""]


@pytest.mark.parametrize(
    ("name", "ill", "phrase"),
    [
        ("collapse", GRID | {"spread": 0.199}, "the spread of its grid's pixels is 0.199 of real images'"),
        ("collapse", GRID | {"repeats": 0.52}, "52 % of its grid's images have a twin in it"),
        ("norms", GRID | {"g_norm": 501.0}, "the weights of G diverge since step 500: their norm is 501"),
        ("norms", GRID | {"d_norm": 301.0}, "the weights of D diverge"),
        (
            "classes_missing",
            {"classes": 3.0, "balance": 0.3},
            "3 are seen, and their balance is 0.30, and was 0.80",
        ),
        ("overfitting", {"d_overfit": 0.81}, "held-out images score 0.81 of the way"),
        ("memorisation", {"copies": 0.49}, "0.49 times as far from the nearest as held-out images"),
    ],
)
def test_a_condition_holds_when_two_grids_say_so(name, ill, phrase):
    others = {"classes": 9.0, "balance": 0.8, "d_overfit": 0.2, "copies": 0.9}
    well = GRID | others
    ill = well | {"g_norm": 51.0} | {key: value for key, value in ill.items() if well[key] != value}
    assert heard(well) == heard(well, ill) == []
    again = ill | {"g_norm": 1.1 * ill["g_norm"]}
    assert heard(well, ill, GOES_ON, again) == [name]  # a line without a grid says nothing of it
    assert heard(well, ill, well | {"g_norm": 52.0}, again) == []
    assert heard(well, ill, again, grids=3) == []
    lines = [{"step": 500 * at, **line} for at, line in enumerate((well, ill, again), 1)]
    assert phrase in Monitor(Health(grids=1, window_steps=250), lines=lines[:2]).found[0].evidence
    assert BY_NAME[name].option in Monitor(Health(), lines=lines).found[0].sentence


def test_a_generator_whose_weights_stay_stands_still():
    moved = [GRID | {"g_norm": 50.0 + 1e-4 * turn} for turn in range(3)]
    assert heard(*moved) == [] and heard(moved[0], moved[0], moved[0]) == ["generator_still"]


def test_what_is_heard_is_a_function_of_the_lines():
    """So a process that goes on decides what the one before it would have."""
    draw = np.random.default_rng(5)
    kinds = [GOES_ON, WON, EXPLODED, WON | GRID, GRID | {"spread": 0.1} | GOES_ON]
    lines = [{"step": 50 * at, **kinds[draw.integers(5)]} for at in range(1, 40)]
    health, one = Health(window_steps=100, grids=1), Monitor(Health(window_steps=100, grids=1))
    seen = set()
    for at, line in enumerate(lines, 1):
        one.add(line)
        other = Monitor(health, lines=lines[:at])
        assert (one.found, one.healthy_until(line["step"])) == (
            other.found,
            other.healthy_until(line["step"]),
        )
        assert all(one.healthy_until(line["step"]) <= each.since for each in one.found if each.condition.ends)
        seen |= {each.name for each in one.found}
    assert {"losses_exploded", "collapse"} <= seen


def test_every_condition_names_an_option_that_there_is_and_metrics_of_the_table():
    from trainer.config.mistakes import known_keys

    for condition in CONDITIONS:
        assert condition.option in known_keys() and condition.option in condition.advice
        later = {"classes", "balance", "d_overfit", "copies"}  # of an evaluated step
        assert set(condition.reads) <= metrics.BY_NAME.keys() | later
        assert condition.source and condition.threshold and condition.title
    assert len(BY_NAME) == len(CONDITIONS)


def test_spread_and_twins_are_those_of_the_images():
    draw = np.random.default_rng(3)
    real = draw.integers(0, 256, (25, 6, 5, 1), np.uint8)
    as_numpy_has_it = np.sqrt(real.reshape(25, -1).astype(float).var(axis=0).mean())
    assert deviation(real) == pytest.approx(as_numpy_has_it, rel=1e-12)
    wanted = deviation(real)
    assert variety(real, wanted) == (1.0, 0.0)
    one_mode = np.repeat(real[:1], 25, axis=0)
    assert variety(one_mode, wanted) == (0.0, 1.0)
    assert variety(np.concatenate([real[:20], real[:5]]), wanted).repeats == 0.4
    assert variety((real // 2).astype(np.uint8), wanted).spread == pytest.approx(0.5, abs=0.01)
    assert variety(real, deviation(one_mode)) == (1.0, 0.0)  # of which nothing can be told
    assert variety(real[:1], wanted) == (0.0, 0.0)
    near = real.astype(int) + draw.integers(-15, 16, real.shape)  # 8.9 of 105 grey levels: twins
    both = np.concatenate([real, near.clip(0, 255).astype(np.uint8)])
    assert variety(both, wanted).repeats == 1.0


def test_many_large_images_are_looked_at_in_parts():
    draw = np.random.default_rng(4)
    large = draw.integers(0, 256, (70, 160, 150, 3), np.uint8)  # 72,000 pixels each
    found = variety(large, deviation(large))
    assert found == (1.0, 0.0)
    some = large[np.unique(np.linspace(0, 69, 64).round().astype(int))].reshape(64, -1).astype(float)
    assert deviation(large) == pytest.approx(np.sqrt(some.var(axis=0).mean()), rel=1e-12)


def test_a_run_that_explodes_says_so_in_its_log_its_status_and_its_result(tmp_path, capsys):
    wild = (
        "optimizer.learning_rate=0.5",
        "steps=150",
        "metrics.every_steps=10",
        "checkpoints.every_steps=50",
    )
    assert run_here(tmp_path, *wild, sets=TINY) == 0
    said = capsys.readouterr().out
    assert said.count("warning: step 100: the losses have exploded since step 0: ") == 1
    for name in ("status.json", "result.json"):
        found = json.loads((tmp_path / "e" / "run" / name).read_text())
        assert found["state"] == "finished" and "exploded" in found["health"]
        assert "losses_exploded" in [each["name"] for each in found["conditions"]]
    assert run_here(tmp_path, run="well") == 0
    assert json.loads((tmp_path / "e" / "well" / "status.json").read_text())["health"] is None


def test_the_page_has_every_condition_its_threshold_and_its_option():
    page = (ROOT / "docs" / "health.md").read_text()
    for condition in CONDITIONS:
        (row,) = (line for line in page.splitlines() if line.startswith(f"| `{condition.name}` |"))
        assert row.endswith(f"| `{condition.option}` |")
    for name, field in Health.model_fields.items():
        assert f"health.{name}" in page, field
