"""Sweeps: what a file says, how many runs go on at once, and that a second call does what is left."""

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher import sweeps
from launcher.errors import SpecError
from launcher.records.status import RunStatus
from launcher.runs import verbs
from launcher.sweeps.file import read_sweep
from launcher.sweeps.planning import Member
from launcher.sweeps.schedule import play
from tests.launcher.waiting import wait_until
from trainer.errors import UserError
from trainer.run import layout

GRID = """\
name: lr
base:
  preset: mlp
  set: {steps: 20, seed: 7}
grid:
  optimizer.learning_rate: [1e-4, 2e-4]
  data: {shuffle_window: [256, 512]}
max_parallel: 2
"""


@pytest.fixture
def plan(desk, root):
    """From the text of a file and flags to the plan of its sweep."""

    def make(text=GRID, max_parallel=None, **flags):
        path = Path("sweep.yaml")
        path.write_text(text)
        return sweeps.plan(read_sweep(path), {"root": root, **flags}, max_parallel)

    return make


def test_a_grid_is_every_combination(plan):
    made = plan(overrides=["steps=30"])
    assert [(member.name, *member.values.values()) for member in made.members] == [
        ("lr-1", "1e-4", "256"),
        ("lr-2", "1e-4", "512"),
        ("lr-3", "2e-4", "256"),
        ("lr-4", "2e-4", "512"),
    ]
    config = made.members[2].spec.config()
    assert (config.optimizer.learning_rate, config.data.shuffle_window, config.steps, config.seed) == (
        2e-4,
        256,
        30,
        7,
    )
    assert made.max_parallel == 2
    assert plan(max_parallel=3).max_parallel == 3


def test_a_list_is_run_by_run_and_wins_over_the_base(plan):
    made = plan(
        "name: s\nbase: {preset: mlp, set: {seed: 1}}\nlist:\n- seed: 2\n- {optimizer: {beta1: 0.4}}\n"
    )
    assert [member.values for member in made.members] == [{"seed": "2"}, {"optimizer.beta1": "0.4"}]
    assert [member.spec.config().seed for member in made.members] == [2, 1]
    assert made.members[0].spec.overrides == ("seed=2",)
    assert made.max_parallel == 1


def test_runs_that_share_the_machine_share_its_cores(plan, monkeypatch):
    monkeypatch.setattr("launcher.backends.local.provider.available_cores", lambda: 8)
    assert {member.spec.threads for member in plan(workers=2).members} == {2}
    assert {member.spec.threads for member in plan(max_parallel=1).members} == {None}
    assert {member.spec.threads for member in plan(threads=3).members} == {3}


def test_a_queue_takes_all_runs_at_once(plan):
    text = GRID.replace("max_parallel: 2\n", "")
    where = {"image": "reg/gantry:1", "root": "gs://bucket/gan"}
    assert plan(text, **where).max_parallel == 1
    assert plan(text, queue="team", **where).max_parallel == 4
    assert plan(text, queue="team", max_parallel=2, **where).max_parallel == 2


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("name: lr", "nam: lr"), ":1:1: nam: there is no such key (did you mean 'name'?)"),
        (("name: lr\n", ""), ": name is not given: expected one in the file, or --name"),
        (("name: lr", "name: LR"), ":1:7: name is 'LR': expected lower case letters"),
        (("name: lr", "name: 5"), ":1:7: name is '5': expected a text"),
        (("preset: mlp", "prest: mlp"), ":3:3: prest: there is no such key (did you mean 'preset'?)"),
        (("preset: mlp", "name: x"), ":3:9: base.name: expected none"),
        (("grid:", "gird:"), ":5:1: gird: there is no such key (did you mean 'grid'?)"),
        (("grid:", "list:"), ":6:3: list is a mapping: expected a mapping of values for each run"),
        (("[1e-4, 2e-4]", "5"), ":6:28: grid.optimizer.learning_rate is '5': expected a list of values"),
        (("[1e-4, 2e-4]", "[]"), ":6:28: grid.optimizer.learning_rate is an empty list"),
        (("2e-4", "-1"), ":6:35: preset mlp: optimizer.learning_rate is -1: expected greater than 0"),
        (("2e-4", "~"), ":6:35: grid.optimizer.learning_rate is '~': expected a value"),
        (("2e-4", "0.0001"), ":7:27: run lr-3 would be the same as lr-1"),
        (("shuffle_window", "shufle_window"), ":7:26: set.data.shufle_window: there is no such key"),
        (("parallel: 2", "parallel: 0"), ":8:15: max_parallel is '0': expected a whole number from 1"),
        (("max_parallel: 2", "list: [{seed: 1}]"), ":1:1: a sweep has grid and list: expected"),
        (("[256, 512]", str(list(range(501)))), "the sweep has 1,002 runs: expected at most 1,000"),
        (("[1e-4", "[{a: 1}"), ":6:29: grid.optimizer.learning_rate is a mapping: expected a value"),
        (("steps: 20", "steps: x"), ":4:16: preset mlp: steps is 'x'"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file_is_named_by_its_place(plan, change, text):
    with pytest.raises(UserError) as refused:
        plan(GRID.replace(*change))
    assert text in str(refused.value) and str(refused.value).startswith("sweep.yaml:")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (
            {"overrides": ["optimizer.learning_rate=1"]},
            r"--set optimizer.learning_rate=1: .* \(sweep.yaml:6:29\)",
        ),
        ({"max_parallel": 0}, "--max-parallel 0: expected at least 1"),
        ({"name": "Bad"}, "--name: name is 'Bad'"),
        ({"workers": 3}, "batch_size is 64: expected a multiple of the 3 workers"),
    ],
)
def test_a_flag_that_cannot_be(plan, flags, text):
    with pytest.raises(UserError, match=text):
        plan(**flags)


def test_an_empty_file_and_none(plan, desk):
    with pytest.raises(SpecError, match=r": is empty: expected a sweep with name, base, grid"):
        plan("# nothing\n")
    with pytest.raises(SpecError, match=r"absent.yaml: cannot be read"):
        read_sweep(Path("absent.yaml"))


def status(member, state):
    values = dict.fromkeys(RunStatus.__dataclass_fields__)
    return RunStatus(**{**values, "run": member.name, "state": state, "metrics": {}, "workers": []})


class Script:
    """A world in which every run takes so many looks and then ends as it is told."""

    def __init__(self, looks, endings):
        self.looks, self.endings = dict(looks), endings
        self.started, self.most = [], 0

    def start(self, member):
        assert member.name not in self.started
        self.started.append(member.name)

    def look(self, members):
        self.most = max(self.most, len(members))
        for member in members:
            self.looks[member.name] -= 1
        return [
            status(member, "running" if self.looks[member.name] > 0 else self.endings[member.name])
            for member in members
        ]

    def refusal(self, member, now):
        return (
            "no such data" if now.state == "failed" and self.endings.get("refuses") == member.name else None
        )

    def pause(self):
        pass


runs_of_a_sweep = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from(["finished", "failed", "stopped"]), st.sampled_from("nle")),
    min_size=1,
    max_size=8,
)


@given(sweep=runs_of_a_sweep, most=st.integers(1, 4), stop=st.none() | st.integers(0, 6))
def test_never_more_than_allowed_and_each_one_once(sweep, most, stop):
    """`n` is a run that is not there yet, `l` one that lives, `e` one that has ended before."""
    members = [Member(f"s-{place}", {}, None) for place in range(len(sweep))]
    names = [member.name for member in members]
    world = Script(
        {name: each[0] for name, each in zip(names, sweep, strict=True)},
        {name: each[1] for name, each in zip(names, sweep, strict=True)},
    )
    there = {"l": "running", "e": "finished"}
    known = {
        member.name: status(member, there[each[2]])
        for member, each in zip(members, sweep, strict=True)
        if each[2] != "n"
    }
    living = sum(now.live for now in known.values())
    events = []
    stopped = lambda: stop is not None and len(events) >= stop  # noqa: E731
    now, refusal = play(members, known, most, world, events.append, stopped)
    new = [name for name in names if name not in known]
    assert world.started == new[: len(world.started)] and not refusal
    assert world.most <= max(most, living)
    assert all(event.running <= max(most, living) for event in events)
    assert set(now) == set(known) | set(world.started)
    if stop is None:
        assert world.started == new and not [each for each in now.values() if each.live]


def test_when_one_is_refused_no_more_are_started():
    members = [Member(f"s-{place}", {}, None) for place in range(5)]
    world = Script({member.name: 1 for member in members}, {member.name: "failed" for member in members})
    world.endings["refuses"] = "s-1"
    now, refusal = play(members, {}, 1, world, lambda event: None, lambda: False)
    assert (list(now), refusal) == (["s-0", "s-1"], "s-1: no such data")


@pytest.fixture
def start(fake, monkeypatch):
    """Start runs with workers that stand in for the trainer, which end when their folder has a ``go``."""
    command, lock = fake("train"), threading.Lock()

    def submit(spec):
        with lock:
            monkeypatch.setenv("FAKE_CONFIG", json.dumps(spec.config().model_dump(mode="json")))
            return verbs.submit(spec, command=command)

    return submit


def test_a_sweep_of_processes_goes_on_where_it_was_left(plan, root, start):
    made, told = plan(), []
    folders = {member.name: Path(member.spec.path.url) for member in made.members}
    # Ctrl-C when two run: those go on by themselves.
    left = sweeps.go(made, told.append, lambda: len(told) == 2, start)
    assert [event.member.name for event in told] == ["lr-1", "lr-2"]
    assert left.live == ["lr-1", "lr-2"] and left.exit_code == 42
    assert [row.state for row in left.rows][2:] == ["waiting", "waiting"]
    wait_until(lambda: (folders["lr-1"] / layout.RUN).exists(), "the first run's record")
    (folders["lr-1"] / "go").touch()

    def release(event):
        """One more ends whenever one has been started."""
        told.append(event)
        if event.status is None:
            (folders[event.member.name] / "go").touch()
            (folders["lr-2"] / "go").touch()

    told.clear()
    ended = sweeps.go(made, release, submit=start)
    assert [event.member.name for event in told if event.status is None] == ["lr-3", "lr-4"]
    assert {row.state for row in ended.rows} == {"finished"} and ended.exit_code == 0
    assert max(event.running for event in told) <= 2
    told.clear()
    assert sweeps.go(made, told.append, submit=start).exit_code == 0
    assert told == []


def test_a_run_of_the_name_with_other_values_is_not_taken_for_ours(plan, past_run, start):
    folder = past_run("lr-1")
    with pytest.raises(
        SpecError, match=r"run 'lr-1' is there with optimizer.learning_rate=0.0002, .* says .*=1e-4"
    ):
        sweeps.go(plan(), submit=start)
    begun = json.loads((folder / "run.json").read_text())
    begun["config"]["optimizer"]["learning_rate"] = 1e-4
    begun["config"]["data"]["shuffle_window"] = 256
    (folder / "run.json").write_text(json.dumps(begun))
    result = sweeps.go(plan(), stopped=lambda: True, submit=start)
    assert [row.state for row in result.rows] == ["finished", "waiting", "waiting", "waiting"]
    assert result.rows[0].metrics == {"d_loss": 0.5}


def test_a_failed_run_does_not_end_a_sweep_and_a_refused_one_does(plan, fake):
    crashing, refused = fake("exit:1"), fake("exit:2")
    result = sweeps.go(plan(max_parallel=4), submit=lambda spec: verbs.submit(spec, command=crashing))
    assert {row.state for row in result.rows} == {"failed"} and result.exit_code == 1
    assert result.refusal == ""
    other = plan(name="other", max_parallel=1)
    result = sweeps.go(other, submit=lambda spec: verbs.submit(spec, command=refused))
    assert [row.state for row in result.rows] == ["failed", "waiting", "waiting", "waiting"]
    assert result.refusal.startswith("other-1: ") and "data.source nowhere" in result.refusal


def test_two_calls_at_once_start_each_run_once(plan, start):
    made, started = plan(max_parallel=1), []

    def noted(spec):
        attempt = start(spec)
        started.append(spec.name)
        (Path(spec.path.url) / "go").touch()
        return attempt

    results = []
    both = [threading.Thread(target=lambda: results.append(sweeps.go(made, submit=noted))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(60)
    assert [result.exit_code for result in results] == [0, 0]
    assert sorted(started) == ["lr-1", "lr-2", "lr-3", "lr-4"]


def test_a_real_sweep(launcher, root, desk):
    """Two runs of the trainer, a dry run before and a look at what is there after."""
    Path("sweep.yaml").write_text(
        "name: real\nbase: {preset: mlp, set: {steps: 2, batch_size: 8, xla: off}}\ngrid: {seed: [1, 2]}\n"
    )
    dry = launcher("sweep", "-f", "sweep.yaml", "--root", root, "--dry-run")
    assert dry.stdout.splitlines() == ["run     seed", "real-1  1", "real-2  2"]
    assert not Path(root).exists()
    done = launcher(
        "sweep", "-f", "sweep.yaml", "--root", root, "--max-parallel", "2", "--sort", "-d_loss", "-o", "json"
    )
    rows = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert [row["state"] for row in rows] == ["finished", "finished"]
    losses = [row["metrics"]["d_loss"] for row in rows]
    assert losses == sorted(losses, reverse=True) and losses[0] != losses[1]
    again = launcher("sweep", "-f", "sweep.yaml", "--root", root)
    heading, *lines = again.stdout.splitlines()
    assert again.returncode == 0 and "started" not in again.stderr
    assert heading.split()[:4] == ["run", "seed", "state", "step"] and len(lines) == 2
    listed = launcher("list", "--root", root, "--sort", "d_loss").stdout.splitlines()
    assert listed[0].split()[-1] == "d_loss"
    assert [line.split()[1] for line in listed[1:]] == [row["run"] for row in reversed(rows)]
