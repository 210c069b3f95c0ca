"""The zoo: its rows, real runs of the smallest, what is played again, and the page."""

import pytest

from bench.zoo import record, table
from bench.zoo.rows import IMAGES, ROWS, Row
from tests.support.teams import WILD
from trainer.config import resolve

TINY = ("network.generator_units=[16]", "network.discriminator_units=[16]", "xla=off", "batch_size=64")


@pytest.fixture(scope="module")
def finished():
    play = pytest.importorskip("bench.zoo.play")
    return play.play(Row("small", "mlp", TINY, images=640), 3, "digits", samples=120)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_is_a_configuration_of_as_many_images_as_it_says(row):
    config = row.config(row.seeds[-1])
    assert config.seed == row.seeds[-1]
    assert config.steps * config.batch_size * config.g_repeats == row.images
    assert row.images in (IMAGES, resolve(row.preset).steps * config.batch_size)  # or a preset's own length
    assert config.checkpoints.every_steps == config.steps  # else saving is part of the speed
    if config.optimizer.schedule.kind != "constant":
        schedule = config.optimizer.schedule
        assert (schedule.decay_from, schedule.decay_to) == (config.steps // 2, config.steps)


def test_names_are_those_of_files_and_six_rows_have_three_seeds():
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert sum(len(row.seeds) == 3 for row in ROWS) == 6


def test_a_row_is_trained_and_judged_by_the_trainers_own_commands(finished):
    assert finished["outcome"] == "finished", finished
    assert (finished["images"], finished["discriminator_images"], finished["seed"]) == (640, 640, 3)
    assert finished["configuration"] == record.hash_of(Row("small", "mlp", TINY, images=640).config(3))
    assert finished["fd"] > finished["floor"]["fd"] > 0 and finished["names"]["fd"].startswith("FD[digits@")
    assert finished["collapsed"] is True  # ten steps of a toy
    assert finished["copies"] is None  # its "held-out" images are those that it trains on
    assert finished["images_per_second"] > 0 and finished["peak_memory_mib"] > 100
    assert finished["parameters"]["generator"] > 10_000


def test_a_run_that_diverges_is_a_row_that_says_so(finished):
    from bench.zoo.play import play

    wild = (*TINY, *(word for word in WILD if not word.startswith("steps")))
    said = play(Row("wild", "mlp", wild, images=64 * 60), 0, None)
    assert (said["outcome"], said["collapsed"]) == ("diverged", True), said
    assert "NaN or Inf" in said["why"] and "fd" not in said


def test_what_is_there_stays_until_its_configuration_or_the_features_change(finished, tmp_path):
    row = Row("small", "mlp", TINY, images=640)
    record.write(finished, tmp_path)
    there = record.read("small", 3, tmp_path)
    assert there == finished and record.read("small", 4, tmp_path) is None
    assert record.is_current(there, row.config(3), there["features"])
    assert not record.is_current(
        there, row._replace(overrides=(*TINY, "loss=hinge")).config(3), there["features"]
    )
    assert not record.is_current(there, row.config(3), "digits@0000")
    before = {key: value for key, value in there["resolved"].items() if key != "averaging"}
    assert record.is_current({**there, "resolved": before}, row.config(3), there["features"])  # a new section
    assert not record.is_current({**there, "resolved": {"gone": 1}}, row.config(3), there["features"])
    assert not record.is_current({**there, "outcome": "not judged"}, row.config(3), there["features"])
    assert not record.is_current(None, row.config(3), there["features"])


def test_the_page_is_what_the_files_say():
    text = table.PAGE.read_text(encoding="utf-8")
    assert table.with_table(text, table.rendered()) == text, "run: python -m bench.zoo.table"


def test_a_table_of_three_seeds_one_of_which_diverged(finished, tmp_path):
    row = Row("small", "mlp", TINY, (3, 4, 5), images=640)
    ended = {"outcome": "diverged", "why": "error: step 7: d_loss is NaN or Inf", "collapsed": True}
    for seed, more in ((3, {"fd": 10.0}), (4, {"fd": 20.0}), (5, ended)):
        resolved = {**finished["resolved"], "seed": seed}
        said = {**finished, "collapsed": False, **more, "seed": seed, "resolved": resolved}
        record.write(said, tmp_path)
    text = table.rendered(tmp_path, [row, Row("other", "mlp", ("loss=hinge",))])
    assert (
        "| small | preset `mlp`, 4 values of its own, 640 images | 3 of 3 | 15.00 (10.00 to 20.00) |" in text
    )
    assert "| other | `loss=hinge` | 0 of 1 | not run |" in text
    assert "- small, seed 5: diverged: error: step 7: d_loss is NaN or Inf" in text
    record.write({**finished, "features": "digits@0000"}, tmp_path)
    assert "judged by digits@0000" in table.rendered(tmp_path, [row])
    record.write(finished, tmp_path)
    changed = row._replace(overrides=(*TINY, "loss=hinge"))
    assert "of another configuration" in table.rendered(tmp_path, [changed])
