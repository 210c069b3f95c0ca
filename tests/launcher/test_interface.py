"""What scripts import from `launcher`, asked about runs that are over; docs/python.md runs one that lives."""

import pytest

from launcher import (
    FieldError,
    NoSuchRun,
    Place,
    RunExists,
    RunPath,
    RunSpec,
    UserError,
    cancel,
    delete,
    download,
    follow,
    list_artifacts,
    list_runs,
    logs,
    metrics,
    resume,
    show,
    status,
    submit,
    wait,
)
from tests.launcher.run_folder import write_run


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "elsewhere/gan/one", logs={"logs/1/worker-0.log": "first\nlast\n"})
    return tmp_path / "elsewhere"


@pytest.fixture
def one(root):
    return RunPath(str(root), "gan", "one")


def test_a_run_is_a_path_an_entry_of_a_list_or_a_name(root, one):
    [listed] = list_runs(root)
    asked = [status(name, place=root) for name in ("one", "gan/one", "latest")]
    asked += [
        status(one),
        status(listed),
        status("one", place=Place(root=str(root))),
        wait(one),
        wait(one, seconds=0.1),
    ]
    assert {(each.run, each.state, each.step) for each in asked} == {("one", "finished", 200)}
    with pytest.raises(NoSuchRun, match="no run 'one'"):
        status("one")  # in the folder runs, where it is not
    with pytest.raises(UserError, match=r"^run is None: expected a name"):
        status(None)
    assert list_runs(root, experiment="other") == []


def test_what_a_run_left_comes_as_data(one, tmp_path):
    curves = metrics(one)
    assert curves.steps[-1] == 200
    assert {len(curves.steps), len(curves.images)} == {len(column) for column in curves.values.values()}
    assert show(one).inventory.samples
    assert [line.text for line in logs(one, tail=1)] == ["last"]
    assert [line.text for update in follow(one) for line in update.lines] == ["first", "last"]
    assert download(one, tmp_path / "out", "run.json").copied == ["run.json"]
    assert [each.name for each in list_artifacts(one, ["run.json"])] == ["run.json"]
    assert cancel(one).state == "finished"
    assert delete(one, artifacts=True).files > 10
    with pytest.raises(NoSuchRun):
        show(one)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "preset"),
        ({"preset": 5}, "preset"),
        ({"preset": "mlp", "worker": 2}, "worker"),
        ({"preset": "mlp", "workers": "two"}, "workers"),
        ({"preset": "mlp", "overrides": "steps=3"}, "overrides"),
        ({"preset": "mlp", "overrides": {"steps": 3}}, "overrides"),
        ({"preset": "mlp", "overrides": [3]}, "overrides"),
        ({"preset": "mlp", "profiles": ["spot"]}, "profiles"),
        ({"preset": "mlp", "image": "r/g:1", "root": "gs://bucket", "profiles": ["x"]}, "profiles"),
        ({"preset": "mlp", "image": "r/g:1", "root": "gs://bucket", "grace_seconds": "2x"}, "grace_seconds"),
    ],
)
def test_a_wrong_value_is_an_error_with_the_fields_name(values, field, capfd):
    with pytest.raises(FieldError) as caught:
        RunSpec(**values)
    assert caught.value.field == field
    assert str(caught.value).startswith(field) or "unknown profile 'x'" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_what_an_attempt_cannot_change_is_refused(one):
    with pytest.raises(FieldError, match=r"^name: expected a field that an attempt may change: workers, "):
        resume(one, name="two")
    with pytest.raises(FieldError, match=r"^worker: expected a field"):
        resume(one, worker=2)
    with pytest.raises(UserError, match="seed"):
        resume(one, "seed=4")


def test_a_name_is_made_and_is_ones_own(root):
    specs = [RunSpec(preset="mlp", overrides=(f"seed={seed}" for seed in (1, 2))) for _ in range(2)]
    assert specs[0].name != specs[1].name
    assert specs[0].overrides == ("seed=1", "seed=2")
    with pytest.raises(RunExists, match="name 'one' is taken"):
        submit(RunSpec(preset="mlp", name="one", root=str(root)))
