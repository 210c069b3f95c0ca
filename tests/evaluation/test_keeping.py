"""Evaluations that are kept in a run's folder: of one checkpoint, of all, of the best."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tests.support.runs import TINY, run_here  # noqa: E402
from trainer.data import open_source  # noqa: E402
from trainer.errors import AccessError, GantryError, UserError  # noqa: E402
from trainer.evaluation.keeping import Keeping, judge  # noqa: E402
from trainer.evaluation.request import Request  # noqa: E402
from trainer.run import evaluations, index, judged, layout, lease  # noqa: E402
from trainer.storage import open_store  # noqa: E402

ASKED = Request(samples=120, draws=1)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    np.savez(folder / "some.npz", images=open_source("digits", None).read(np.arange(400)))
    return f"data.source=npz:{folder}/some.npz"


@pytest.fixture(scope="module")
def trained(tmp_path_factory, source):
    folder = tmp_path_factory.mktemp("runs")
    assert run_here(folder, source, sets=TINY) == 0
    return folder / "e" / "run"


@pytest.fixture
def folder(tmp_path, trained):
    return shutil.copytree(trained.parent, tmp_path / "e") / "run"


@pytest.fixture
def store(folder):
    return open_store(str(folder))


def all_of(store, *, said=None, **keeping):
    say = (lambda _: None) if said is None else said.append
    return list(judge(store, ASKED, judged.steps(store, judged.ALL), Keeping(**keeping), say))


def command(*words):
    return subprocess.run(
        [sys.executable, "-m", "trainer", *map(str, words)], capture_output=True, text=True, check=False
    )


def test_all_are_judged_oldest_first_and_once(folder, store):
    words = ("evaluate", "--run-dir", folder, "--step", "all", "--samples", 120, "--draws", 1, "-o", "json")
    done = command(*words)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [entry["step"] for entry in found] == [4, 8, 12]
    assert found == list(evaluations.every(store))
    listed = index.read(open_store(str(folder.parent)))["run"].judged
    assert (listed.step, listed.value) == (12, found[-1]["metrics"]["fd"]["value"])
    first = found[0]
    assert first["made"] == "asked" and first["seconds"] > 0 and first["asked"]["samples"] == 120
    again = command(*words)  # nothing is drawn a second time, and the figures are all there
    assert json.loads(again.stdout) == found
    assert again.stderr.count("was judged in this way") == 3 and "drawing" not in again.stderr


def test_again_judges_anew_but_for_what_the_pod_before_had_done(store):
    before = all_of(store)
    known = all_of(store)
    assert [each.found for each in known] == [None] * 3 and known[0].entry == before[0].entry
    anew = all_of(store, again=True, job="one-eval")
    assert all(each.found for each in anew) and anew[0].entry["metrics"] == before[0].entry["metrics"]
    assert judged.made_by(store, "one-eval") == [each.entry for each in anew]
    evaluations.add(store, {**anew[1].entry, "job": "another"})
    successor = all_of(store, again=True, job="one-eval")
    assert [bool(each.found) for each in successor] == [False, True, False]


def test_a_checkpoint_that_goes_meanwhile_and_one_that_is_damaged_are_told_and_left_out(folder, store):
    steps, said = judged.steps(store, judged.ALL), []
    for file in (folder / "checkpoints/4").iterdir():
        file.unlink()
    [data] = (folder / "checkpoints/8").glob("state.data*")
    data.write_bytes(bytes(data.stat().st_size))
    found = list(judge(store, ASKED, steps, Keeping(), said.append))
    assert [each.entry["step"] for each in found] == [12]
    assert [line.partition(":")[0] for line in said if "warning" in line] == ["warning"] * 2
    assert any("step 4 is left out" in line for line in said)
    assert any("step 8 is left out" in line for line in said)
    (folder / "checkpoints/12/manifest.json").unlink()
    evaluations_of_12 = folder / "evaluations/12.json"
    evaluations_of_12.unlink()
    with pytest.raises(GantryError, match="none of 3 checkpoints could be judged"):
        list(judge(store, ASKED, steps, Keeping(), said.append))


def test_print_only_writes_nothing_and_a_refused_write_is_one_line(store, folder, monkeypatch):
    [found] = judge(store, ASKED, [12], Keeping(write=False), lambda _: None)
    assert found.entry["step"] == 12 and not (folder / "evaluations").exists()

    def refuse(*_, **__):
        raise AccessError(f"{store.url}: may not be written to")

    monkeypatch.setattr(store, "write", refuse)
    said = []
    [found] = judge(store, ASKED, [12], Keeping(), said.append)
    [line] = [line for line in said if line.startswith("warning")]
    assert found.found and "evaluations/12.json was not written" in line and "may not be written to" in line


def test_a_run_that_trains_keeps_its_lease(store, folder):
    held = lease.acquire(store, "a pod", "another attempt")
    try:
        token = json.loads(store.read(layout.LEASE))["token"]
        list(judge(store, ASKED, [12], Keeping(), lambda _: None))
        assert not held.is_lost and json.loads(store.read(layout.LEASE))["token"] == token
    finally:
        held.release()
    assert (folder / "evaluations/12.json").exists()


def test_other_figures_of_the_same_are_added_and_asked_for_no_more(store):
    steps, asked = judged.steps(store, judged.ALL), ASKED
    for metrics, anew in (
        (["fd"], True),
        (["recall"], True),
        (["recall", "fd"], False),
        ([], True),
        ([], False),
    ):
        found = list(judge(store, replace(asked, metrics=metrics), steps, Keeping(), lambda _: None))
        assert [bool(each.found) for each in found] == [anew] * 3, metrics
    entries = [each for step in steps for each in evaluations.read(store, step)]
    assert len(entries) == 3 and all({"fd", "recall", "kid"} <= entry["metrics"].keys() for entry in entries)


def test_no_index_is_made_where_there_was_none(store, folder):
    (folder.parent / layout.INDEX).unlink()
    list(judge(store, ASKED, [12], Keeping(), lambda _: None))
    assert (folder / "evaluations/12.json").exists() and not (folder.parent / layout.INDEX).exists()


def test_a_run_that_was_removed_meanwhile_does_not_come_back(store, folder):
    said = []

    def say(line):
        said.append(line)
        (folder / "run.json").unlink(missing_ok=True)

    [found] = judge(store, ASKED, [12], Keeping(), say)
    assert found.found and "the run was removed meanwhile" in said[-1]
    assert not (folder / "evaluations").exists()


def test_two_ways_of_one_step_stand_side_by_side_and_a_file_that_is_damaged_is_replaced(store, folder):
    store.write(layout.evaluation(12), b"no JSON")
    for average in (True, False):
        list(judge(store, replace(ASKED, samples=120 + average), [12], Keeping(), lambda _: None))
    assert [entry["samples"] for entry in evaluations.read(store, 12)] == [121, 120]


def test_the_best_checkpoint_is_judged_and_drawn_from(store, folder, tmp_path):
    with pytest.raises(UserError, match=r"--step best: there is no best\.json in .*--step N"):
        judged.steps(store, judged.BEST)
    refused = command("sample", "--run-dir", folder, "--best", "--out", tmp_path / "a.png")
    [line] = refused.stderr.splitlines()
    assert refused.returncode == 2 and line.startswith("error: --best: there is no best.json in ")
    store.write(layout.BEST, json.dumps({"metric": "fd", "step": 8, "value": 1.5}).encode())
    assert judged.steps(store, judged.BEST) == [8]
    for words, name in ((("--best",), "best.npz"), (("--step", 8), "eight.npz")):
        done = command("sample", "--run-dir", folder, *words, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
    images = [np.load(tmp_path / name)["images"] for name in ("best.npz", "eight.npz")]
    assert np.array_equal(*images)
    both = command("sample", "--run-dir", folder, "--best", "--step", 8, "--out", tmp_path / "b.png")
    assert both.returncode == 2 and both.stderr == "error: --step 8: expected none with --best\n"


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("last", "--step last: expected a checkpoint's step, or newest, all, best"),
        ("-4", "--step -4: expected a checkpoint's step"),
        ("7", "--step 7: there are checkpoints at 4, 8, 12"),
        ("٤", "--step ٤: expected a checkpoint's step"),
    ],
)
def test_what_is_no_step_is_refused(store, step, said):
    with pytest.raises(UserError) as refused:
        judged.steps(store, step)
    assert str(refused.value).startswith(said)
