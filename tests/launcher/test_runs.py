"""What the verbs say of runs that lie in a folder, with no process behind them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from launcher.errors import NoSuchRun, SpecError
from launcher.records.follow import LogLine, LogReader
from launcher.runs import verbs
from trainer.errors import AccessError, UserError
from trainer.storage import LocalStore

FILES = ("samples/10.png", "samples/20.png", "export/loss.png", "result.json", "checkpoints/20/manifest.json")


def test_status_of_a_past_run(past_run, root):
    past_run(files=("checkpoints/10/manifest.json", "checkpoints/20/data", "checkpoints/9/manifest.json"))
    found = verbs.status(root, "past")
    assert (found.state, found.step, found.steps, found.preset) == ("finished", 20, 10000, "mlp")
    assert found.checkpoint_step == 10  # the one at 20 has no manifest and so does not exist
    assert found.eta_seconds is None
    assert 0 <= found.age_seconds < 3600


def test_a_silent_run_is_interrupted(past_run, root):
    past_run(state="running", updated=(datetime.now(UTC) - timedelta(hours=1)).isoformat())
    found = verbs.status(root, "past")
    assert found.state == "interrupted"
    assert verbs.way_on(found).startswith("nothing is saved; go on with `launcher resume gan/past --root ")


def test_list_is_ordered_by_the_last_word_and_spans_experiments(past_run, root):
    past_run("b", updated="2026-01-01T00:00:00+00:00")
    past_run("a", "other", updated="2026-01-02T00:00:00+00:00")
    past_run("c", updated="2025-01-01T00:00:00+00:00")
    (Path(root) / "gan" / "no-run").mkdir()
    assert [(run.experiment, run.run) for run in verbs.list_runs(root)] == [
        ("gan", "c"),
        ("gan", "b"),
        ("other", "a"),
    ]


def test_list_of_an_absent_root_is_empty(root):
    assert verbs.list_runs(root) == []


def test_a_damaged_run_does_not_hide_the_others(past_run, root):
    past_run("good")
    (past_run("bad") / "status.json").write_text("{")
    found = {run.run: run for run in verbs.list_runs(root)}
    assert found["good"].state == "finished"
    assert found["bad"].state == "unknown"
    assert "status.json: damaged" in found["bad"].explanation


def test_runs_are_found_by_name_and_by_experiment(past_run, root):
    past_run("one", "a")
    past_run("one", "b")
    past_run("two", "b")
    assert verbs.status(root, "two").experiment == "b"
    assert verbs.status(root, "a/one").experiment == "a"
    with pytest.raises(SpecError, match=r"expected experiment/name.*a/one, b/one"):
        verbs.status(root, "one")
    with pytest.raises(NoSuchRun, match=r"nearest are.*b/two"):
        verbs.status(root, "a/two")
    with pytest.raises(UserError, match=r"experiment '\.\.'"):
        verbs.status(root, "../two")


def write_log(folder, worker, text, attempt=1):
    path = folder / f"logs/{attempt}/worker-{worker}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(text)


def test_logs_of_chosen_workers_and_lines(past_run, root):
    past = past_run()
    write_log(past, 0, b"old\n")
    write_log(past, 0, b"a\nb\nc", attempt=2)
    write_log(past, 10, b"d\ne\n", attempt=2)
    assert verbs.logs(root, "past", tail=1) == [LogLine(0, "c"), LogLine(10, "e")]
    assert verbs.logs(root, "past", worker=10) == [LogLine(10, "d"), LogLine(10, "e")]
    assert verbs.logs(root, "past", attempt=1) == [LogLine(0, "old")]
    assert verbs.logs(root, "past", tail=0) == []
    with pytest.raises(SpecError, match="--worker 1: expected one of 0, 10"):
        verbs.logs(root, "past", worker=1)


def test_a_run_without_logs(past_run, root):
    past_run()
    assert verbs.logs(root, "past") == []
    with pytest.raises(SpecError, match="nothing is logged yet"):
        verbs.logs(root, "past", attempt=1)


def test_a_growing_log_gives_each_line_once(past_run):
    past = past_run()
    reader = LogReader(LocalStore(past), 1)
    assert reader.read() == []
    write_log(past, 0, b"one\ntw")
    assert reader.read() == [LogLine(0, "one")]
    write_log(past, 0, b"o\n 10%\r100%\nr\xc3\xa9sum")
    assert reader.read() == [LogLine(0, "two"), LogLine(0, "100%")]
    write_log(past, 0, b"\xc3\xa9 \xff")
    assert reader.read() == []
    assert reader.read(last=True) == [LogLine(0, "résumé \ufffd")]
    assert reader.read(last=True) == []


def test_a_past_run_is_followed_to_its_end_at_once(past_run, root):
    past = past_run()
    write_log(past, 0, b"a\nb")
    (update,) = verbs.follow(root, "past")
    assert [line.text for line in update.lines] == ["a", "b"]


def test_artifacts_are_listed_by_kind(past_run, root):
    past_run(files=FILES)
    names = [file.name for file in verbs.list_artifacts(root, "past", ["samples", "result.json"])]
    assert names == ["result.json", "samples/10.png", "samples/20.png"]
    assert {*FILES, "run.json", "status.json"} == {file.name for file in verbs.list_artifacts(root, "past")}
    with pytest.raises(SpecError, match=r"--only sample: the run has none; it has .*samples"):
        verbs.list_artifacts(root, "past", ["sample"])


def test_a_download_copies_what_differs(past_run, root, tmp_path):
    past = past_run(files=FILES)
    to = tmp_path / "out"
    counted = []
    first = verbs.download_artifacts(
        root, "past", to, ["samples", "export"], advance=lambda *each: counted.append(each)
    )
    assert sorted(first.copied) == ["export/loss.png", "samples/10.png", "samples/20.png"]
    assert first.bytes == sum((past / name).stat().st_size for name in first.copied)
    assert sum(count for count, _ in counted) == counted[0][1] == first.bytes
    assert (to / "samples/10.png").read_bytes() == (past / "samples/10.png").read_bytes()
    again = verbs.download_artifacts(root, "past", to, ["samples"])
    assert (again.copied, again.bytes, len(again.unchanged)) == ([], 0, 2)
    size = (to / "samples/10.png").stat().st_size
    (to / "samples/10.png").write_bytes(b"x" * size)  # the size tells nothing, the checksum does
    (to / "samples/20.png").write_bytes(b"half")
    assert sorted(verbs.download_artifacts(root, "past", to, ["samples"]).copied) == [
        "samples/10.png",
        "samples/20.png",
    ]
    assert not [path for path in to.rglob("*") if path.name.startswith(".")]


def test_files_that_vanish_meanwhile_are_told(past_run, root, tmp_path):
    past = past_run(files=FILES)

    def vanish(count, total):
        (past / "samples/20.png").unlink(missing_ok=True)

    done = verbs.download_artifacts(root, "past", tmp_path / "out", ["samples"], advance=vanish)
    assert (done.copied, done.gone) == (["samples/10.png"], ["samples/20.png"])
    assert not (tmp_path / "out/samples/20.png").exists()


def test_a_name_that_would_leave_the_folder_is_refused(past_run, root, tmp_path, monkeypatch):
    past_run(files=FILES)
    honest = LocalStore.list

    def forged(self, prefix=""):
        for found in honest(self, prefix):
            yield found._replace(name="samples/../../evil") if "20.png" in found.name else found

    monkeypatch.setattr(LocalStore, "list", forged)
    with pytest.raises(AccessError, match="evil"):
        verbs.download_artifacts(root, "past", tmp_path / "deep/out")
    assert not (tmp_path / "deep").exists()


def test_a_download_onto_a_file_is_refused(past_run, root, tmp_path):
    past_run(files=FILES)
    (tmp_path / "out").touch()
    with pytest.raises(AccessError, match=r"--to .*out: is a file"):
        verbs.download_artifacts(root, "past", tmp_path / "out")
    (tmp_path / "dir/samples").mkdir(parents=True)
    (tmp_path / "dir/export").touch()
    with pytest.raises(AccessError, match=r"--to .*export"):
        verbs.download_artifacts(root, "past", tmp_path / "dir", ["export"])


def test_status_is_json(past_run, root):
    past_run()
    from launcher.commands.common import _plain

    assert json.loads(json.dumps(verbs.status(root, "past"), default=_plain))["metrics"] == {"d_loss": 0.5}
