"""What evaluations and best.json say of runs: in lists, status, show, the live page, compare, TensorBoard."""

import json

import pytest

from launcher.cli import main
from launcher.looking.compare.judged import rank
from launcher.looking.evaluated import by_step, lines
from trainer.run import best, evaluations, index, layout
from trainer.storage import open_store

NAME, OTHER = "FD[digits@1b34, N=2000]", "FD[digits@1b34, N=10000]"
DIGITS = "digits, 5000 images, crc32c t5UVAA=="


def entry(step, value, *, name=NAME, reference=DIGITS, samples=2000, interval=None, **more):
    """As `python -m trainer evaluate` writes it."""
    figure = {"name": name, "value": value, "interval": interval, "samples": samples, "floor": 0.8}
    figure |= {"floor_samples": 2500, "features": "digits@1b34", "reference": reference}
    recall = {"name": f"recall[digits@1b34, k=3, N={samples}]", "value": 0.25, "samples": samples}
    return {
        "run": "runs/gan/one",
        "step": step,
        "average": True,
        "samples": samples,
        "features": "digits@1b34",
        "reference": reference,
        "held_out": None,
        "metrics": {"fd": figure, "recall": recall},
        "copies": {"median": 9.5, "held_out_median": None, "ratio": None, "samples": 2000},
        "made": "asked",
        "created": f"2026-11-30T12:{step % 60:02d}:00+00:00",
        "seconds": 3.25,
        **more,
    }


@pytest.fixture
def judge(root, past_run, desk):
    """Write a run and what was found of it."""

    def write(name, *entries, chosen=None, indexed=True):
        folder = past_run(name)
        store = open_store(str(folder))
        lines_ = [{"step": step, "images": 32 * step, "d_loss": 0.5, "g_loss": 1.0} for step in (1, 20)]
        store.write(layout.metrics_segment(1), "".join(json.dumps(line) + "\n" for line in lines_).encode())
        for each in entries:
            evaluations.add(store, each)
        if chosen is not None:
            figure = {"metric": "fd", "name": chosen["metrics"]["fd"]["name"], "entry": chosen}
            best.write(store, {**figure, "step": chosen["step"], "value": 1.25, "reported": 1.5, "images": 9})
        if indexed:
            index.rebuild(open_store(f"{root}/gan"))
        return store

    return write


@pytest.fixture
def call(root, capsys):
    def words(*given):
        with pytest.raises(SystemExit) as ended:
            main([*map(str, given), "--root", root])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return ended.value.code, said.out, said.err

    return words


def test_a_list_has_the_best_and_the_newest_figure_of_each_from_the_index(judge, call, root):
    judge("first", entry(10, 30.0), entry(20, 12.5), chosen=entry(10, 30.0))
    judge("second", entry(20, 9.0))
    judge("third")
    code, out, _ = call("list")
    assert code == 0
    head, *rows = out.splitlines()
    assert f"best {NAME}" in head and f"judged {NAME}" in head
    cells = {row.split()[1]: row for row in rows}
    assert "1.25 at 10" in cells["first"] and "12.5 at 20" in cells["first"] and "9 at 20" in cells["second"]
    assert cells["third"].split()[-1] == "-"
    known = index.read(open_store(f"{root}/gan"))  # of which runs that have ended are told without a look
    assert (known["first"].best.value, known["second"].judged.value, known["third"].judged) == (
        1.25,
        9.0,
        None,
    )
    code, out, _ = call("list", "--sort", "judged", "-o", "json")
    assert [run["run"] for run in json.loads(out)] == ["second", "first", "third"]


def test_what_was_measured_otherwise_is_not_sorted_and_bears_its_name(judge, call):
    judge("first", entry(20, 12.5))
    judge("second", entry(20, 9.0, name=OTHER, samples=10000))
    code, out, err = call("list", "--sort", "judged")
    assert (code, out) == (2, "")
    assert f"gan/first has {NAME} against {DIGITS} and gan/second has {OTHER} against {DIGITS}" in err
    out = call("list")[1]
    assert f"{NAME} 12.5 at 20" in out and f"{OTHER} 9 at 20" in out
    judge("third", entry(20, 9.0, reference="other images"))
    assert call("list", "--sort", "-judged")[0] == 2


def test_status_and_show_tell_figures_with_their_names(judge, call):
    judge("first", entry(10, 30.0), entry(20, 12.5, interval=[12.0, 13.0]), chosen=entry(10, 30.0))
    out = call("status", "first")[1]
    assert f"  best {NAME} 1.25 at step 10\n  judged {NAME} 12.5 at step 20\n" in out
    now = json.loads(call("status", "first", "-o", "json")[1])
    told = {"metric": "fd", "name": NAME, "step": 20, "value": 12.5, "reference": DIGITS}
    assert now["judged"] == told and now["best"] == {**told, "step": 10, "value": 1.25}
    out = call("show", "first")[1]
    assert f"{NAME} 1.25 at step 10, 1.5 on images that had no part in the choice" in out
    assert "12 to 13" in out and "recall[digits@1b34, k=3, N=2000]" in out
    shown = json.loads(call("show", "first", "-o", "json")[1])
    assert [each["step"] for each in shown["evaluations"]] == [10, 20] and shown["best"]["reported"] == 1.5


def test_damaged_figures_hide_nothing_else(judge, call):
    store = judge("first", entry(10, 30.0))
    store.write("evaluations/20.json", b'{"evaluations": [{"metrics": {"fd": 3}}, 7]}')
    store.write(layout.BEST, b"[]")
    assert f"judged {NAME} 30 at step 10" in call("status", "first")[1]
    assert call("show", "first")[0] == 0


def test_compare_puts_runs_in_order_where_they_were_judged_alike_and_else_says_why(judge, call):
    judge("first", entry(10, 1.0), entry(20, 12.5, interval=[11.0, 13.0]))
    judge("second", entry(20, 9.0, interval=[8.0, 11.5]), entry(20, 3.0, name=OTHER, samples=10000))
    judge("third", entry(20, 3.0, name=OTHER, samples=10000))
    judge("fourth")
    out = call("compare", "first", "second")[1]
    assert f"by {NAME} against {DIGITS}, of the newest checkpoint judged so:" in out
    assert "1. second  9, 8 to 11.5  at step 20" in out and "2. first  12.5" in out
    assert "the intervals of second and first overlap" in out
    out = " ".join(call("compare", "first", "third")[1].split())
    assert "first and third: not comparable, they differ in samples: 2000 and 10000" in out
    assert "1. first" not in out
    assert "fourth was not judged" in call("compare", "first", "fourth")[1]
    plain = json.loads(call("compare", "second", "third", "-o", "json")[1])
    assert [each["label"] for each in plain["ranking"]["order"]] == ["second", "third"]


def test_figures_in_lines_are_compared_and_sorted_only_where_training_measured_them_alike(judge, call):
    for name, each in (("first", entry(20, 12.5)), ("second", entry(20, 9.0, name=OTHER, samples=10000))):
        store = judge(name, {**each, "made": "training"})
        line = {"step": 20, "images": 640, "d_loss": 0.5, "fd": each["metrics"]["fd"]["value"]}
        store.write(layout.metrics_segment(1), json.dumps(line).encode() + b"\n")
        status = json.loads(store.read(layout.STATUS))
        store.write(layout.STATUS, json.dumps({**status, "metrics": line}).encode())
    code, out, err = call("compare", "first", "second", "--metric", "fd")
    assert (code, out) == (2, "")
    assert f"--metric fd: figures that were measured otherwise are not compared: gan/first has {NAME}" in err
    assert call("compare", "first", "second", "--metric", "d_loss")[0] == 0
    code, out, err = call("list", "--sort", "fd")
    assert (code, out) == (2, "") and "--sort fd: figures that were measured otherwise" in err
    assert " fd 12.5" not in call("status", "first")[1]  # its name stands below


def test_a_ranking_is_by_what_is_better():
    recall = {"one": [entry(20, 1.0)], "two": [entry(20, 2.0)]}
    for value, (label, [each]) in zip((0.2, 0.9), recall.items(), strict=True):
        recall[label] = [{**each, "metrics": {"recall": {**each["metrics"]["recall"], "value": value}}}]
    found = rank(recall)
    assert [each.label for each in found.order] == ["two", "one"] and found.metric == "recall"
    assert rank({"one": [], "two": []}) is None


def test_a_report_and_tensorboard_have_every_figure_by_its_name(judge, call, tmp_path):
    pytest.importorskip("tensorboard")
    judge("first", entry(10, 30.0), entry(20, 12.5), chosen=entry(10, 30.0))
    page = tmp_path / "first.html"
    assert call("report", "first", "--out", page)[0] == 0
    text = page.read_text()
    assert f"Best by the figures of training: {NAME} 1.25 at step 10" in text and f"<th>{NAME}</th>" in text
    assert call("tensorboard", "first", "--export", tmp_path / "events")[0] == 0
    [file] = (tmp_path / "events").glob("gan/first/events*")
    content = file.read_bytes()
    assert content.count(f"judged/{NAME}".encode()) == 2


def test_a_download_of_the_latest_brings_them(judge, call, tmp_path):
    store = judge("first", entry(20, 12.5), chosen=entry(20, 12.5))
    store.write(layout.BEST_GRID, b"\x89PNG")
    assert call("artifacts", "download", "first", "--to", tmp_path / "out", "--latest")[0] == 0
    for name in ("evaluations/20.json", layout.BEST, layout.BEST_GRID):
        assert (tmp_path / "out" / name).exists(), name


def test_the_best_grid_is_shown_and_copied(judge, call, tmp_path):
    store = judge("first")
    code, out, err = call("samples", "first", "--best")
    assert (code, out) == (2, "") and "--best: run 'first' has no best.json" in err
    judge_best = entry(20, 12.5)
    best.write(store, {"metric": "fd", "name": NAME, "step": 20, "value": 1.0, "entry": judge_best})
    store.write(layout.BEST_GRID, b"\x89PNG best")
    assert "export/best/samples.png: step 20" in call("samples", "first", "--best")[1]
    assert call("samples", "first", "--best", "--out", tmp_path)[0] == 0
    assert (tmp_path / "first-best.png").read_bytes() == b"\x89PNG best"
    assert call("samples", "first", "--best", "--step", 20)[0] == 2


def test_an_evaluation_as_text_has_names_counts_and_floors():
    text = "\n".join(lines(entry(20, 12.5, interval=[12.0, 13.25])))
    assert NAME in text and "12 to 13.25" in text and "0.8 (N=2500)" in text
    assert "copying cannot be told" in text and "held out" not in text.splitlines()[0]
    assert by_step([entry(10, 30.0), entry(20, 12.5)]) == [
        "step    fd  recall",
        "10      30    0.25",
        "20    12.5    0.25",
    ]
