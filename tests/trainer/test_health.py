"""A game that is over is seen by the lines alone, and one that goes on is left alone."""

import json

import pytest

from tests.support.runs import TINY, run_here
from trainer.training.health import Game

GOES_ON = {"d_loss": 0.35, "g_loss": 1.9, "d_accuracy_real": 0.85, "d_accuracy_fake": 0.87}
WON = {"d_loss": 0.0004, "g_loss": 9.0, "d_accuracy_real": 1.0, "d_accuracy_fake": 0.9995}
EXPLODED = GOES_ON | {"g_loss": 10381076.0}


def told(*spans, every=10):
    """What is said after each span of ``(line, steps)``."""
    game, step, said = Game(0), 0, []
    for line, steps in spans:
        for _ in range(steps // every):
            step += every
            heard = game.add({"step": step, **line})
        said.append(heard)
    return said


def test_a_discriminator_that_is_right_about_everything_for_500_steps_has_won():
    before, won = told((WON, 490), (WON, 10))
    assert before is None and won.startswith("D has won since step 0: its loss is 0.0004 (guessing: 0.693)")
    assert "optimizer.learning_rate" in won and "\n" not in won


def test_losses_beyond_what_a_float_can_tell_have_exploded():
    before, exploded = told((GOES_ON, 40), (EXPLODED, 100))
    assert before is None and "exploded since step 40: D loss 0.35, G loss 1.038e+07" in exploded
    assert told((EXPLODED | {"d_loss": -90.0, "g_loss": 1.0}, 100))[0]  # of whatever sign


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
    assert told((WON | almost, 100_000)) == [None]


def test_it_must_last_and_may_pass():
    assert told((WON, 490), (GOES_ON, 10), (WON, 490)) == [None, None, None]
    first, back, again = told((WON, 500), (GOES_ON, 10), (WON, 500))
    assert first and back is None and "since step 510" in again
    assert told((EXPLODED, 1000), every=1000) == [None]  # one line may be a spike
    assert told((EXPLODED, 2000), every=1000) != [None]


def test_a_process_that_goes_on_hears_the_lines_before_it():
    lines = [{"step": step, **EXPLODED} for step in range(110, 200, 10)]
    assert "since step 110" in Game(200, lines).add({"step": 210, **EXPLODED})


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
    assert run_here(tmp_path, run="well") == 0
    assert json.loads((tmp_path / "e" / "well" / "status.json").read_text())["health"] is None
