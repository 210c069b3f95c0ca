"""A run that begins with another's weights: which, decided once, and the bits of one that nobody touched."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tests.support.metrics import read_lines, without_timing
from tests.support.runs import TINY, run_here
from tests.support.steps import fed
from tests.support.teams import SMALL, train
from trainer import config
from trainer.data import open_source
from trainer.errors import ConfigError, UserError
from trainer.run import checkpoints, index, provenance, record
from trainer.run.layout import run_path
from trainer.run.provenance import WarmStart
from trainer.storage import open_store
from trainer.training.chief import Chief
from trainer.training.state import TALLY, State
from trainer.training.step import Stepper

WARM = ("warm_start.run=latest", "warm_start.optimizer=kept")


def end(root, run, when):
    """Say of a finished run that it ended at another time."""
    result = json.loads(store(root, run).read("result.json"))
    store(root, run).write(
        "result.json", json.dumps(result | {"finished": f"{when}-01-01T00:00:00+00:00"}).encode()
    )
    index.rebuild(open_store(str(root / "e")))


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    """A root with finished runs in the experiment ``e``: first; last, which ended later than all others, and
    undisturbed, which began from it and ended before all others."""
    root = tmp_path_factory.mktemp("older")
    assert run_here(root, run="first") == 0
    assert run_here(root, "seed=1", "steps=8", run="last") == 0
    end(root, "last", 2100)
    assert run_here(root, *WARM, run="undisturbed") == 0
    end(root, "undisturbed", 2001)
    return root


@pytest.fixture
def root(older, tmp_path):
    """A copy of `older`, to be written to."""
    shutil.copytree(older, tmp_path / "root")
    return tmp_path / "root"


def store(root, run):
    return open_store(f"{root}/e/{run}")


def values(root, run, step):
    """The variables of a checkpoint, without what its next line of metrics has of its steps."""
    found = checkpoints.read(store(root, run), step).values
    return {name: value for name, value in found.items() if name != TALLY}


def lines(root, run):
    return [without_timing(line) for line in read_lines(store(root, run))]


def same(first, second):
    return first.keys() == second.keys() and all(
        first[name].tobytes() == second[name].tobytes() for name in first
    )


def run_json(root, run):
    return json.loads(store(root, run).read("run.json"))


def test_it_begins_with_the_newest_finished_runs_weights_and_says_so(root, capsys):
    still = ("optimizer.learning_rate=1e-30", "steps=4")  # too little to move a weight
    assert run_here(root, "warm_start.run=latest", *still, run="new") == 0
    assert "warm start from last at step 8, optimizer fresh" in capsys.readouterr().out
    begun, ended = values(root, "last", 8), values(root, "new", 4)
    weights = [name for name in begun if not name.startswith("adam/")]
    assert weights and all(begun[name].tobytes() == ended[name].tobytes() for name in weights)
    said = run_json(root, "new")["warm_start"]
    assert said == {"run": "last", "step": 8, "optimizer": "fresh", "adam_steps": 0}
    assert [line["step"] for line in lines(root, "new")] == [2, 4]
    entry = index.read(open_store(str(root / "e")))["new"]
    assert (entry.warm_start.run, entry.warm_start.step, entry.state, entry.step) == (
        "last",
        8,
        "finished",
        4,
    )


def test_a_run_that_is_not_finished_is_not_the_newest(root):
    shutil.copytree(root / "e" / "first", root / "e" / "stopped")
    (root / "e" / "stopped" / "result.json").unlink()
    shutil.rmtree(root / "e" / "last" / "checkpoints")  # finished, with nothing left to begin from
    index.rebuild(open_store(str(root / "e")))
    assert run_here(root, "warm_start.run=latest", "steps=2", run="new") == 0
    assert run_json(root, "new")["warm_start"]["run"] == "first"


class Killed(Exception):
    """Stands for a SIGKILL: what comes after it in the chief is not done."""


def killed_at(monkeypatch, root, step, *sets, run):
    """Train up to the end of the call that reaches `step`."""
    after_call = Chief.after_call

    def die(self, reached, metrics, judged):
        after_call(self, reached, metrics, judged)
        if reached >= step:
            self._writer.drain()
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Chief, "after_call", die)
        patch.setattr(Chief, "fail", lambda self, error: error)
        with pytest.raises(Killed):
            run_here(root, *sets, run=run)


@pytest.mark.parametrize("step", [1, 8], ids=["before its first checkpoint", "after it"])
def test_a_run_that_is_killed_ends_in_the_bits_of_one_that_was_not(root, monkeypatch, step):
    killed_at(monkeypatch, root, step, *WARM, run="killed")
    shutil.copytree(root / "e" / "first", root / "e" / "newer")  # and now another is the newest
    end(root, "newer", 2200)
    assert run_here(root, *WARM, run="killed") == 0
    assert run_json(root, "killed")["warm_start"] == {
        "run": "last", "step": 8, "optimizer": "kept", "adam_steps": 8,
    }  # fmt: skip
    assert same(values(root, "killed", 12), values(root, "undisturbed", 12))
    assert lines(root, "killed") == lines(root, "undisturbed")


def test_adam_is_kept_with_its_moments_and_its_count_of_steps(root):
    """Two steps from the same state differ by Adam's correction for its count alone."""
    resolved = config.resolve("mlp", TINY)
    path, warm = run_path(str(root), "e", "new"), WarmStart("first", 12, "kept", 12)
    plan, images = tf.distribute.OneDeviceStrategy("/cpu:0"), open_source("digits", (28, 28, 1)).load()
    moved = {}
    for count in (0, 12):
        state = State(resolved)
        shapes = {name: tuple(variable.shape) for name, variable in state.variables().items()}
        begun = provenance.first_values(path, resolved, warm, shapes)
        assert same(begun, values(root, "first", 12))
        state.begin_with(begun)
        fed(Stepper(resolved, plan, state, tf.constant(images), count), resolved, len(images))(0, 1)
        names = [name for name in begun if name.startswith("discriminator/") and name.endswith("kernel")]
        moved[count] = {name: state.variables()[name].numpy() - begun[name] for name in names}
    beta1, beta2 = resolved.optimizer.beta1, resolved.optimizer.beta2
    rate = [np.sqrt(1 - beta2**time) / (1 - beta1**time) for time in (1, 13)]
    for name, first in moved[0].items():
        large = np.abs(first) > np.abs(first).max() / 10  # rounding of the weights hides the others
        np.testing.assert_allclose(moved[12][name][large] / first[large], rate[1] / rate[0], rtol=1e-2)


def test_a_second_warm_start_goes_on_counting(root):
    kept = "warm_start.optimizer=kept"
    assert run_here(root, "warm_start.run=undisturbed", kept, "steps=2", run="second") == 0
    assert run_json(root, "second")["warm_start"]["adam_steps"] == 8 + 12


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["warm_start.run=absent"], ["warm_start.run is 'absent'", "there is no run", "/e/absent"]),
        (["warm_start.run=bare"], ["warm_start.run is 'bare'", "/e/bare has no complete checkpoint"]),
        (["warm_start.run=new"], ["warm_start.run is 'new'", "expected another run"]),
        (
            ["warm_start.run=first", "network.latent_size=64"],
            ["latent_size is 64 in run 'new' and 100 in run 'first'"],
        ),
        (["warm_start.run=latest", "network.generator_units=[8]"], ["generator_units", "'new'", "'last'"]),
    ],
)
def test_what_cannot_be_begun_from_is_refused_in_a_line_and_nothing_is_written(root, overrides, words):
    (root / "e" / "bare").mkdir()
    shutil.copy(root / "e" / "first" / "run.json", root / "e" / "bare" / "run.json")
    with pytest.raises(ConfigError) as refusal:
        run_here(root, *overrides, run="new")
    text = str(refusal.value)
    assert refusal.value.exit_code == 2 and "\n" not in text and all(word in text for word in words)
    assert not (root / "e" / "new").exists()


def test_weights_that_do_not_fit_are_named_by_variable(root):
    """Where the records agree and the files do not, as after somebody copied a checkpoint."""
    shapes = {name: value.shape for name, value in values(root, "first", 12).items()}
    name = "generator/hidden_1/kernel"
    path, resolved = run_path(str(root), "e", "new"), config.resolve("mlp", TINY)
    for wrong in (shapes | {name: (64, 16)}, shapes | {"generator/extra/kernel": (3,)}):
        with pytest.raises(ConfigError, match="run 'new' from run 'first' at step 12: generator/"):
            provenance.first_values(path, resolved, WarmStart("first", 12, "fresh"), wrong)
    with pytest.raises(ConfigError, match=r"checkpoints/4711/: manifest\.json is missing"):
        provenance.first_values(path, resolved, WarmStart("first", 4711, "fresh"), shapes)


def test_a_run_whose_weights_turn_out_not_to_fit_leaves_its_name_to_another(root):
    """Found when the run is written down already, and before its first step."""
    record_of, units = run_json(root, "first"), "network.generator_units=[24]"
    record_of["config"]["network"]["generator_units"] = [24]
    store(root, "first").write("run.json", json.dumps(record_of).encode())
    with pytest.raises(ConfigError, match="run 'new' from run 'first' at step 12: generator/"):
        run_here(root, units, "warm_start.run=first", run="new")
    assert [*store(root, "new").list()] == [] and "new" not in index.read(open_store(str(root / "e")))
    assert run_here(root, units, "seed=5", "steps=2", run="new") == 0


def test_latest_of_nothing_is_refused_or_begins_with_new_weights_and_stays_with_them(older, tmp_path):
    with pytest.raises(ConfigError, match=r"no run in .*/e is finished"):
        run_here(tmp_path, "warm_start.run=latest", run="new")
    assert not any(tmp_path.iterdir())
    sets = ("warm_start.run=latest", "warm_start.required=false")
    assert run_here(tmp_path, *sets, run="new") == 0
    assert run_json(tmp_path, "new")["warm_start"] is None
    assert same(values(tmp_path, "new", 12), values(older, "first", 12))
    shutil.rmtree(tmp_path / "e" / "new" / "checkpoints")  # as if it was killed before its first one
    for name in ("result.json", "status.json"):
        (tmp_path / "e" / "new" / name).unlink()
    shutil.copytree(older / "e" / "last", tmp_path / "e" / "last")
    index.rebuild(open_store(str(tmp_path / "e")))
    assert run_here(tmp_path, *sets, run="new") == 0
    assert same(values(tmp_path, "new", 12), values(older, "first", 12))


def test_a_run_goes_on_with_the_warm_start_that_it_was_begun_with(root):
    assert run_here(root, "warm_start.run=first", "steps=2", run="new") == 0
    for other in ("warm_start.run=latest", "warm_start.optimizer=kept"):
        with pytest.raises(ConfigError, match="only steps may grow"):
            run_here(root, "warm_start.run=first", "steps=2", other, run="new")
    shutil.rmtree(root / "e" / "first")  # it is not needed any more
    assert run_here(root, "warm_start.run=first", "steps=4", run="new") == 0


def test_a_worker_that_does_not_come_to_see_the_decision_is_started_again(tmp_path):
    resolved = config.resolve("mlp", (*TINY, "warm_start.run=latest"))
    mine = open_store(str(tmp_path))
    with pytest.raises(UserError.__mro__[1], match="does not say what the run begins from") as failure:
        provenance.read(mine, resolved, pause=lambda _: None)
    assert failure.value.exit_code == 42
    begun = provenance.Origin(WarmStart("last", 8, "fresh", 0))
    record.write(mine, resolved, None, begun.as_json())
    assert provenance.read(mine, resolved) == begun


def test_all_workers_begin_with_the_same_weights_and_the_same_data(tmp_path, digits_shards, undisturbed):
    """A worker with other weights or images would move the losses by far more than rounding."""
    shutil.copytree(undisturbed(2).url, tmp_path / "e" / "older")
    for day in ("2026-10-31", "2026-11-01"):
        (tmp_path / "data" / day).parent.mkdir(exist_ok=True)
        shutil.copytree(digits_shards, tmp_path / "data" / day)
    sets = (
        *SMALL, "warm_start.run=latest", "warm_start.optimizer=kept", "steps=20",
        f"data.source=tfrecord:{tmp_path}/data/latest/*.tfrecord",
    )  # fmt: skip
    train(str(tmp_path), "two", tmp_path / "logs", workers=2, sets=sets)
    (tmp_path / "e" / "two" / "result.json").unlink()
    index.remove(open_store(str(tmp_path / "e")), "two")
    assert run_here(tmp_path, run="one", sets=sets) == 0
    first, second = lines(tmp_path, "one"), lines(tmp_path, "two")
    assert len(first) == len(second) == 20
    for ours, theirs in zip(first, second, strict=True):
        assert theirs["g_loss"] == pytest.approx(ours["g_loss"], rel=2e-3)
        assert theirs["d_loss"] == pytest.approx(ours["d_loss"], rel=2e-3)
    said = run_json(tmp_path, "two")
    assert said["warm_start"]["run"] == "older" and said["warm_start"]["adam_steps"] == 60
    assert said["data"]["source"] == f"tfrecord:{tmp_path}/data/2026-11-01/*.tfrecord"
    assert said["data"]["files"] == 12 and said["data"]["bytes"] > 0
