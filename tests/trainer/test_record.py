"""run.json: claimed by the launcher, completed by the first chief, extended by a later one."""

import json

import pytest

from trainer import config
from trainer.config import RunConfig
from trainer.errors import ConfigError, PreconditionFailed, UserError
from trainer.run import layout, record
from trainer.storage import LocalStore

MLP = config.resolve("mlp", ())
ABOUT = {"preset": "mlp", "overrides": [], "world_size": 2}

BEGUN = {"schedule": None, "scheduled": None, "warm_start": {"run": "older", "step": 9}, "data": None}


def claim(store, **changes):
    values = {
        "format": 1, "created": "2026-11-01T12:00:00+00:00", **ABOUT, "seed": 0, "image": "registry/gantry:1",
        "git_revision": None, "versions": {"launcher": "0.1.0"}, "config": MLP.model_dump(mode="json"),
        **changes,
    }  # fmt: skip
    store.write("run.json", json.dumps(values).encode(), if_generation=0)
    return values


def read(store):
    return json.loads(store.read("run.json"))


def test_the_first_chief_adds_what_runs_to_a_claimed_run_and_changes_nothing_else(store, monkeypatch):
    monkeypatch.setenv("GANTRY_GIT_REVISION", "abc123")
    claimed = claim(store)
    record.write(store, MLP, record.check(store, MLP, fresh=False), BEGUN, **ABOUT)
    found = read(store)
    assert found["versions"].pop("launcher") == "0.1.0" and "python" in found["versions"]
    assert found == claimed | BEGUN | {"git_revision": "abc123", "versions": found["versions"]}


def test_what_the_launcher_knew_is_kept(store, monkeypatch):
    monkeypatch.setenv("GANTRY_GIT_REVISION", "abc123")
    claim(store, git_revision="def456")
    record.write(store, MLP, record.check(store, MLP, fresh=False), BEGUN, **ABOUT)
    assert read(store)["git_revision"] == "def456"


def test_a_run_that_a_trainer_began_is_not_written_again(store, monkeypatch):
    record.write(store, MLP, None, BEGUN, **ABOUT)
    before = store.stat("run.json")
    monkeypatch.setenv("GANTRY_GIT_REVISION", "of another image")
    record.write(store, MLP, record.check(store, MLP, fresh=False), BEGUN, **ABOUT)
    assert store.stat("run.json") == before


def test_what_the_first_chief_decided_stands(store):
    written = record.write(store, MLP, None, BEGUN, **ABOUT)
    assert written == read(store)
    other = BEGUN | {"warm_start": {"run": "newer", "step": 4}, "schedule": "nightly"}
    record.write(store, MLP, record.check(store, MLP, fresh=False), other, **ABOUT)
    assert read(store) == written | {"schedule": "nightly"}


def test_a_run_of_an_older_trainer_is_completed_once(store):
    claim(store, versions={"python": "3.11.9"})
    record.write(store, MLP, record.check(store, MLP, fresh=False), BEGUN, **ABOUT)
    assert read(store).items() >= BEGUN.items()
    before = store.stat("run.json")
    record.write(store, MLP, record.check(store, MLP, fresh=False), BEGUN, **ABOUT)
    assert store.stat("run.json") == before


def test_a_claimed_run_can_be_completed_and_extended_at_once(store):
    claim(store)
    longer = config.resolve("mlp", [f"steps={MLP.steps + 1}"])
    record.write(store, longer, record.check(store, longer, fresh=False), BEGUN, **ABOUT)
    found = read(store)
    assert found["config"]["steps"] == MLP.steps + 1 and "extended" in found and "python" in found["versions"]


def test_what_changes_no_result_may_change_at_any_time_and_is_recorded(store):
    record.write(store, MLP, None, BEGUN, **ABOUT)
    free = {
        "checkpoints.keep": 7, "checkpoints.keep_every": 500, "metrics.print_every_steps": 10,
        "data.placement": "memory", "data.memory_limit_mb": 9, "recovery.stall_seconds": 60,
    }  # fmt: skip
    for number, (key, value) in enumerate(free.items(), 1):
        known = record.check(store, MLP, fresh=False)
        known = known._replace(config=MLP)
        other = config.resolve("mlp", [f"{key}={value}"])
        record.check(store, other, fresh=False)
        record.write(store, other, known, BEGUN, **ABOUT)
        found = read(store)
        assert [*found["changed"][-1]["values"]] == [key] and len(found["changed"]) == number
        assert found["changed"][-1]["values"][key][1] == value and "extended" not in found
        assert found["config"] == other.model_dump(mode="json")


@pytest.mark.parametrize(
    "override", ["metrics.every_steps=7", "checkpoints.every_steps=7", "xla=off", "seed=3"]
)
def test_what_changes_a_result_may_not(store, override):
    record.write(store, MLP, None, BEGUN, **ABOUT)
    with pytest.raises(ConfigError, match=f"{override.partition('=')[0]} .*only steps may grow"):
        record.check(store, config.resolve("mlp", [override]), fresh=False)


@pytest.mark.parametrize("claimed", [False, True])
def test_two_chiefs_do_not_both_begin_a_run(store, claimed):
    if claimed:
        claim(store)
    known = [record.check(store, MLP, fresh=False) for _ in range(2)]
    record.write(store, MLP, known[0], BEGUN, **ABOUT)
    longer = config.resolve("mlp", [f"steps={MLP.steps + 1}"])  # the same bytes would be taken for our own
    with pytest.raises(PreconditionFailed, match=r"run\.json"):
        record.write(store, longer, known[1], BEGUN, **ABOUT)


def test_a_claimed_run_is_no_fresh_one(store):
    claim(store)
    with pytest.raises(UserError, match="--fresh"):
        record.check(store, MLP, fresh=True)


@pytest.mark.parametrize("stated", ["", "unknown"])
def test_an_image_of_unknown_revision_leaves_the_question_to_git(store, monkeypatch, stated):
    monkeypatch.setenv("GANTRY_GIT_REVISION", stated)
    record.write(store, MLP, None, BEGUN, **ABOUT)
    assert read(store)["git_revision"] not in ("", "unknown")


def test_an_older_record_is_read_with_defaults_for_what_it_did_not_know(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "FORMAT", 2)
    store = LocalStore(tmp_path)
    store.write(layout.RUN, b'{"format": 1, "config": {"network": {"name": "mlp"}, "steps": 7}}')
    found = record.read(store)
    assert (found.config.steps, found.config.recovery) == (7, RunConfig().recovery)
    assert not found.has_begun
    for version in (b"0", b"3", b'"1"', b"null"):
        store.write(layout.RUN, b'{"format": ' + version + b', "config": {}}')
        with pytest.raises(UserError, match="this Gantry reads formats 1 to 2"):
            record.read(store)
