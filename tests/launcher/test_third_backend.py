"""A third backend is one folder: with it on the path of `launcher.backends` every verb takes its runs."""

import json
import sys
from pathlib import Path

import pytest

import launcher.backends
from launcher.cli import main
from launcher.errors import RunAlive, RunExists, SpecError
from launcher.runs import rerunning, verbs
from launcher.spec import kinds
from launcher.spec.runspec import make_spec
from trainer.errors import EXIT_RESTART

FOLDER = Path(__file__).with_name("third_backend")


@pytest.fixture
def paper(monkeypatch, desk, tmp_path):
    """The root of a clerk's runs."""
    monkeypatch.setattr(launcher.backends, "__path__", [*launcher.backends.__path__, str(FOLDER)])
    yield str(tmp_path / "runs")
    for name in [name for name in sys.modules if name.startswith("launcher.backends.paper")]:
        del sys.modules[name]


def spec(root, name="one", **more):
    return make_spec("mlp", ("steps=20",), name, root=root, backend="paper", **more)


def call(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main([*arguments, "-o", "json"])
    out, err = capsys.readouterr()
    assert end.value.code == 0, err
    return json.loads(out)


def test_without_the_folder_there_are_two(desk, root):
    assert kinds.names() == ["kubernetes", "local"]
    with pytest.raises(SpecError, match="backend is 'paper': expected 'local' or 'kubernetes'"):
        spec(root)


def test_a_run_is_submitted_listed_cancelled_resumed_and_removed(paper):
    assert kinds.names() == ["kubernetes", "paper", "local"]
    started = verbs.submit(spec(paper, workers=2, memory="1Gi"))
    assert started.path.name == "one"
    with pytest.raises(RunExists, match="on a sheet"):
        verbs.submit(spec(paper))
    now = verbs.status(paper, "one")
    assert (now.state, now.backend, now.attempt, len(now.workers)) == ("running", "paper", 1, 2)
    assert [(run.run, run.state, run.backend) for run in verbs.list_runs(paper)] == [
        ("one", "running", "paper")
    ]
    assert [line.text for line in verbs.logs(paper, "one")] == ["attempt 1"]
    with pytest.raises(RunAlive, match="is being written"):
        verbs.resume(paper, "one")
    assert verbs.cancel(paper, "one").state == "stopped"
    outcome = verbs.finish(started)
    assert (outcome.exit_code, "launcher resume" in outcome.text) == (EXIT_RESTART, True)
    verbs.resume(paper, "one", ("steps=40",), grace_seconds=5)
    asked = verbs.locate(paper, "one").backend.asked(verbs.locate(paper, "one").found)
    assert (asked["grace_seconds"], asked["memory"], asked["workers"]) == (5, "1Gi", 2)
    assert [(run.attempt, run.steps) for run in verbs.list_runs(paper)] == [(2, 40)]
    gone = verbs.delete(paper, "one", artifacts=True, force=True)
    assert (gone.objects, gone.where) == (["Sheet/one"], "the clerk's desk")
    assert verbs.list_runs(paper) == []


def test_it_is_trained_again_there(paper):
    verbs.submit(spec(paper, workers=2))
    planned = rerunning.plan(paper, "one")
    assert (planned.spec.backend, planned.spec.workers, planned.spec.overrides) == ("paper", 2, ("steps=20",))
    started = rerunning.begin(planned, replace=True)
    states = {run.run: run.state for run in verbs.list_runs(paper)}
    assert states == {"one": "stopped", started.path.name: "running"}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"workers": 3}, "workers is '3': expected at most 2, a hand each"),
        ({"gpus": 1, "workers": 1}, "gpus is '1': expected none, as backend is paper; hands have none"),
        ({"context": "kind"}, "context is 'kind': expected none, as backend is paper"),
    ],
)
def test_it_refuses_what_it_cannot_have(paper, values, told):
    with pytest.raises(SpecError, match=told):
        spec(paper, **values)


def test_the_commands_take_it_too(paper, capsys):
    where = ["--root", paper]
    words = ["--backend", "paper", "--preset", "mlp", "--name", "one", "--set", "steps=20"]
    with pytest.raises(SystemExit) as end:
        main(["submit", *words, *where, "-q"])
    assert (end.value.code, capsys.readouterr().out) == (0, "one\n")
    assert [run["backend"] for run in call(capsys, "list", *where)] == ["paper"]
    assert call(capsys, "status", "one", *where)["state"] == "running"
    shown = call(capsys, "show", "one", *where)
    assert shown["submitted"] == {
        "attempt": 1,
        "where": "a sheet of paper",
        "submitted": "2026-11-30T12:00:00+00:00",
        "ended": None,
        "exit_code": None,
        "hands": 1,
    }
    assert shown["started"] is None
    with pytest.raises(SystemExit):
        main(["show", "one", *where])
    assert "submitted  a sheet of paper, 2026-11-30 12:00:00Z" in capsys.readouterr().out
    call(capsys, "explain", "one", *where)
    assert call(capsys, "cancel", "one", *where)["state"] == "stopped"
    with pytest.raises(SystemExit) as end:
        main(["submit", *words, *where, "--dry-run", "server"])
    assert end.value.code == 2
    assert "expected client, as backend is paper and sends no manifests" in capsys.readouterr().err
