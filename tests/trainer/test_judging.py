"""A run judged while it trains: the same bits whatever happens to it, the best kept, an end without one."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.metrics import read_lines
from tests.support.teams import SMALL, Team, outcome, train
from tests.trainer.pods import Pods
from trainer import config
from trainer.config.evaluation import Evaluation
from trainer.data import dataset
from trainer.data.dataset import Accept
from trainer.environment.tf_config import Cluster
from trainer.errors import EXIT_DONE, EXIT_RESTART, EXIT_USER, ConfigError, UserError
from trainer.evaluation import comparison, features, reference
from trainer.evaluation.features import Seen
from trainer.run import best, checkpoints, evaluations
from trainer.run.best import Choice
from trainer.run.metrics_log import MetricsLog
from trainer.run.status import finished_steps
from trainer.storage import open_store
from trainer.training.distribution import connect
from trainer.training.judging import Judge
from trainer.training.state import State

AT_50, RGB = ("evaluation.every_steps=50",), ("image.height=32", "image.width=32", "image.channels=3")
JUDGED = (*SMALL, "data.holdout=0.1", "evaluation.every_steps=20", "evaluation.samples=600")


def entries(store):
    """Every evaluation without what depends on the hour, the place and the machine."""
    own = ("created", "seconds", "run")
    return [
        {key: value for key, value in each.items() if key not in own} for each in evaluations.every(store)
    ]


def verdict(store):
    """All that figures say of a run."""
    found = dict(best.read(store))
    del found["entry"]
    return entries(store), found, store.read("export/best/samples.png")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A run that nobody disturbed."""
    root = tmp_path_factory.mktemp("alone")
    team = train(str(root), "run", root / "logs", sets=JUDGED)
    return open_store(str(root / "e" / "run")), team.log()


def test_figures_are_in_lines_files_and_the_result(alone):
    store, log = alone
    lines = list(read_lines(store))
    assert [line["step"] for line in lines if "fd" in line] == [20, 40, 60]
    found = best.read(store)
    by_step = {line["step"]: line for line in lines}
    values = {step: by_step[step]["chosen_by"] for step in (20, 40, 60)}
    assert found["step"] == min(values, key=values.get) and found["value"] == min(values.values())
    assert found["reported"] == by_step[found["step"]]["reported"]
    assert found["entry"]["metrics"]["fd"]["value"] == by_step[found["step"]]["fd"]
    assert found["name"] == "FD[digits@1b34, N=600]" and found["name"] in log
    result = json.loads(store.read("result.json"))
    assert result["best"]["step"] == found["step"] and result["evaluation_seconds"] > 0
    assert "early" not in result
    for each in entries(store):
        fd = each["metrics"]["fd"]
        assert 0 < fd["floor"] < fd["value"] and 0 < fd["held_out"] < fd["value"]
        assert fd["at_floor"] == fd["value"] and fd["held_out_samples"] > 400  # 600 of 4,500 have their floor


def test_stopped_in_an_evaluation_and_killed_after_one_it_has_the_same_figures(alone, tmp_path):
    store = open_store(str(tmp_path / "e" / "run"))
    often = (*JUDGED, "metrics.print_every_steps=1")
    with Team(str(tmp_path), "run", tmp_path / "logs", sets=often) as team:
        team.until(lambda: "19/60 [D loss" in team.log())
        team.ask_to_stop()
        assert team.wait() == [EXIT_RESTART], team.log()
    assert "fd" not in list(read_lines(store))[-1] and checkpoints.complete_steps(store) == [20]
    with Team(str(tmp_path), "run", tmp_path / "logs", sets=often) as team:
        team.until(lambda: "step 40: FD" in team.log())
        team.kill()
        assert team.log().index("step 20: FD") < team.log().index("21/60")
    train(str(tmp_path), "run", tmp_path / "logs", sets=often)
    assert outcome(store, 60) == outcome(alone[0], 60)
    assert verdict(store) == verdict(alone[0])


def test_two_workers_one_of_them_asked_to_stop_see_what_one_sees(alone, tmp_path):
    """But for rounding, in which their steps differ too."""
    often = (*JUDGED, "metrics.print_every_steps=1")
    with Team(str(tmp_path), "run", tmp_path / "logs", workers=2, sets=often) as team:
        team.until(lambda: "19/60 [D loss" in team.log(0))
        team.ask_to_stop(1)
        assert team.wait() == [EXIT_RESTART] * 2, team.log()
    train(str(tmp_path), "run", tmp_path / "logs", workers=2, sets=often)
    store = open_store(str(tmp_path / "e" / "run"))
    for mine, others in zip(entries(store), entries(alone[0]), strict=True):
        for name, figure in others["metrics"].items():
            found = mine["metrics"][name]
            assert found["floor"] == pytest.approx(figure["floor"], rel=1e-6)
            assert found["value"] == pytest.approx(figure["value"], rel=1e-2, abs=1e-2)
            assert found["at_floor"] in (None, found["value"])
            rounded = dict.fromkeys(("value", "floor", "held_out", "at_floor"), 0)
            assert found | rounded == figure | rounded


def test_a_run_ends_when_nothing_better_comes_and_its_best_checkpoint_is_kept(tmp_path):
    """A generator that hardly learns: its first figures are its best, by chance, or soon are."""
    sets = (*JUDGED, "steps=2000", "checkpoints.keep=1", "evaluation.stop_when_no_better=2")
    still = (*sets, "optimizer.generator.learning_rate=1e-12", "network.discriminator_units=[8]")
    with Pods(str(tmp_path), "run", tmp_path, sets=still) as pods:
        assert pods.wait() == [EXIT_DONE], pods.log()
    store = open_store(str(tmp_path / "e" / "run"))
    result, found = json.loads(store.read("result.json")), best.read(store)
    assert result["steps"] == found["step"] + 40 < 2000 and result["early"]["steps"] == 2000
    assert checkpoints.complete_steps(store) == [result["steps"], found["step"]]
    assert store.stat("export/best/generator.keras") and store.stat(f"samples/{result['steps']}.png")
    assert (
        f"it ends before step 2000, as 2 evaluations in a row were no better than step {found['step']}"
        in (pods.log())
    )
    assert finished_steps(store) == 2000  # for whoever would start it again
    more = (*still, "steps=2100", "evaluation.stop_when_no_better=3")
    with Pods(str(tmp_path), "run", tmp_path / "more", sets=more) as pods:
        assert pods.wait() == [EXIT_DONE]
    assert json.loads(store.read("result.json"))["steps"] > result["steps"]


def test_what_real_images_look_like_is_looked_up_and_a_damaged_copy_is_made_anew(alone, tmp_path):
    store = open_store(str(tmp_path))
    seen = Seen(np.arange(12, dtype=np.float32).reshape(4, 3), np.ones((4, 2), np.float32))
    where = reference.name({"files": "a", "count": 4})
    assert where != reference.name({"files": "b", "count": 4})
    assert reference.load(store, where) is None
    reference.keep(store, where, seen)
    found = reference.load(store, where)
    assert all(np.array_equal(one, other) for one, other in zip(found, seen, strict=True))
    for content in (b"", b"PK\x03\x04", store.read(where)[:-20]):
        store.write(where, content)
        assert reference.load(store, where) is None


@given(st.integers(1, 3000), st.integers(1, 3000), st.booleans())
def test_as_many_images_are_looked_at_as_are_wanted_and_there(count, most, in_memory):
    ids = reference.chosen(count, most, in_memory)
    assert len({*ids.tolist()}) == len(ids) == min(count, most)
    assert ids.min() >= 0 and ids.max() < count


LINES = st.lists(st.none() | st.floats(0, 10), max_size=30)


@given(LINES, st.integers(0, 30), st.integers(0, 3), st.booleans())
def test_the_choice_is_a_function_of_the_lines_wherever_a_run_was_cut(figures, cut, patience, held_out):
    lines = [{"step": step, "images": step} for step in range(len(figures))]
    for line, figure in zip(lines, figures, strict=True):
        if figure is not None:
            line |= {"fd": -figure, "chosen_by": figure, "reported": 1.0} if held_out else {"fd": figure}
    about = Evaluation(every_steps=1, stop_when_no_better=patience)
    whole, resumed = Choice(about, lines), Choice(about, lines[:cut])
    for line in lines[cut:]:
        resumed.hear(line)
    assert (whole.best, whole.since, whole.over) == (resumed.best, resumed.since, resumed.over)
    judged = [(figure, step) for step, figure in enumerate(figures) if figure is not None]
    assert (whole.best and (whole.best.value, whole.best.step)) == (min(judged) if judged else None)
    assert whole.over == bool(patience and whole.since >= patience)


def test_of_recall_the_highest_is_the_best():
    lines = [{"step": step, "images": 0, "recall": value} for step, value in enumerate((0.1, 0.4, 0.3))]
    assert Choice(Evaluation(every_steps=1, metric="recall"), lines).best.step == 1


def test_a_line_of_a_closed_segment_is_completed(store):
    log = MetricsLog(10, [])
    for step in range(1, 13):
        log.append({"step": step, "d_loss": 0.5, "images_per_second": 3.0})
        store.write(*log.current_segment())
    resumed = MetricsLog.resume(store, 10, 12)
    for step in (10, 12):
        assert list(resumed.complete(store, step, {"fd": 2.0})) == [
            "step",
            "d_loss",
            "fd",
            "images_per_second",
        ]
    assert [line["step"] for line in read_lines(store) if "fd" in line] == [10, 12]
    assert [line["step"] for line in read_lines(store)] == list(range(1, 13))


def test_an_evaluation_stands_beside_those_of_another_provenance(store):
    one = {"step": 5, "average": True, "samples": 10, "features": "digits@1b34", "metrics": {}}
    for entry in (one, one | {"samples": 20}, one | {"metrics": {"fd": {"value": 1.0}}}):
        evaluations.add(store, entry)
    found = evaluations.read(store, 5)
    assert [(each["samples"], bool(each["metrics"])) for each in found] == [(20, False), (10, True)]
    store.write("evaluations/7.json", b"[broken")
    assert [each["step"] for each in evaluations.every(store)] == [5, 5]


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["evaluation.every_steps=70"], "evaluation.every_steps is 70, expected a multiple of"),
        (["evaluation.stop_when_no_better=2"], "evaluation.stop_when_no_better is 2, expected 0 without"),
        (["evaluation.every_steps=50", "evaluation.metric=loss"], "evaluation.metric is 'loss'"),
        (["evaluation.features=inception"], "evaluation.features is .inception.: expected auto, digits"),
        (["evaluation.features=lite0@513"], "evaluation.features is .lite0@513.: .* pixels from 32 to 512"),
        ([*AT_50, *RGB], r"evaluation.features is auto and images are 32x32x3, expected lite0 \(pip"),
        ([*AT_50, *RGB, "evaluation.features=digits"], "evaluation.features is digits and images are 32x"),
        ([*AT_50, "evaluation.features=none"], "evaluation.metric is fd, expected sw with .*features none"),
        ([*AT_50, "evaluation.metric=sw"], "evaluation.metric is sw, expected fd, .*with .*features digits"),
        ([*AT_50, "evaluation.metric=modes"], "evaluation.metric is modes, which is of stacked digits"),
    ],
)
def test_an_evaluation_that_cannot_be_is_refused(sets, said):
    with pytest.raises(ConfigError, match=said):
        config.resolve("mlp", sets)


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (["evaluation.samples=96"], "evaluation.samples is 96, expected more than the 96 features"),
        (["data.holdout=0.02"], "the first half of the held-out images: .*evaluation.metric=kid takes fewer"),
    ],
)
def test_fewer_images_than_features_are_refused(sets, said):
    known = config.resolve("mlp", ["evaluation.every_steps=50", *sets])
    data = dataset.look(known, None, Accept(), lambda _: None)
    sources = comparison.Sources(data.source, True, data.held_out, "", None)
    with pytest.raises(UserError, match=said) as failure:
        comparison.check(known, features.NETWORKS["digits"], sources)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    ("features", "metric", "shape", "label", "also"),
    [
        ("none", "sw", (8, 12, 3), "laplacian 8", {"sw"}),
        ("digits", "kl", (28, 28, 3), "digits@1b34 of each channel", {"kl", "modes", "precision", "recall"}),
        ("lite0@32", "kid", (9, 9, 1), "lite0@32,sha256:5793", {"kid", "precision", "recall"}),
    ],
)
def test_images_of_any_shape_are_judged_in_the_features_that_are_named(
    tmp_path, features, metric, shape, label, also
):
    images = np.random.default_rng(0).integers(0, 256, (80, *shape), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", images=images)
    about = (f"evaluation.features={features}", f"evaluation.metric={metric}", "evaluation.samples=30")
    sides = [
        f"image.{side}={size}" for side, size in zip(("height", "width", "channels"), shape, strict=True)
    ]
    net = ("network.generator_units=[8]", "network.discriminator_units=[8]", "data.holdout=0.2")
    data = f"data.source=npz:{tmp_path / 'set.npz'}"
    known = config.resolve("mlp", [*AT_50, *about, *sides, *net, data])
    found = dataset.look(known, None, Accept(), lambda _: None)
    sources = comparison.Sources(found.source, True, found.held_out, "f", open_store(str(tmp_path / "e")))
    strategy = connect(Cluster(), 10)
    with strategy.scope():
        state = State(known)
    for _ in range(2):  # looked at, and from what was kept of it
        judge = Judge(known, strategy, Cluster(), state, sources)
        judge.prepare(lambda: None)
        judged = judge.judge(0, lambda: False, lambda: None)
        assert judged.entry["features"].startswith(label)
        assert also | {"chosen_by", "reported", "copies", "d_overfit"} == set(judged.values)
        assert judged.entry["metrics"][metric]["floor"] is not None
    assert len(list((tmp_path / "e" / "references").iterdir())) == 3  # of the set, and of two halves held out


def test_a_run_that_cannot_be_judged_leaves_nothing(tmp_path):
    sets = (*JUDGED, "evaluation.samples=50")
    with Team(str(tmp_path), "run", tmp_path / "logs", sets=sets) as team:
        assert team.wait() == [EXIT_USER], team.log()
    assert "Traceback" not in team.log() and not (tmp_path / "e" / "run" / "run.json").exists()
