"""What is made of a run to look at lies beside it, and is not taken for the run's."""

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

from launcher.cli import main
from launcher.local_file import write_file
from launcher.looking.views import beside, write_view
from tests.launcher.run_folder import write_run
from trainer.errors import AccessError
from trainer.run.layout import RunPath
from trainer.storage import LocalStore, open_store
from trainer.storage.whole_file import whole_file


@pytest.fixture
def ask(desk, tmp_path, capsys):
    """`launcher … --root` of two runs, in an empty working folder; what it answers in JSON."""
    for name in ("one", "two"):
        write_run(tmp_path / "runs/gan" / name, now=True)

    def run(*words, text=False):
        with pytest.raises(SystemExit) as left:
            main([*words, "--root", str(tmp_path / "runs"), *([] if text else ["-o", "json"])])
        out, error = capsys.readouterr()
        assert (left.value.code, error) == (0, "")
        return out if text else json.loads(out)

    return run


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


def test_nothing_takes_a_view_for_the_run_and_deleting_the_run_takes_it_along(ask, desk, tmp_path):
    folder = tmp_path / "runs/gan/one"
    own = names(folder)

    def told():
        runs = [(each["run"], each["state"], each["step"]) for each in ask("list")]
        return runs, ask("artifacts", "list", "one")

    before = told()

    ask("report", "one", text=True)
    ask("compare", "one", "two", text=True)
    ask("samples", "one", text=True)

    views = ["views/compare-one-two.png", "views/report.html"]
    assert names(folder) == sorted(own + views)
    assert names(desk) == []
    assert told() == before
    assert ask("artifacts", "download", "one", "--to", "copy")["copied"]
    assert names(desk / "copy") == own
    shutil.rmtree(desk / "copy")
    # Its size is what the folder takes, all of it.
    stock = ask("show", "one")["inventory"]
    assert stock["by_kind"]["views"] == sum((folder / name).stat().st_size for name in views)
    assert (stock["samples"]["count"], stock["samples"]["first_step"]) == (9, 0)
    assert [each["runs"] for each in ask("reindex")] == [2]

    ask("delete", "one", "--artifacts", "--yes", text=True)
    assert not folder.exists() or names(folder) == []
    assert [each["run"] for each in ask("list")] == ["two"]


@pytest.fixture
def bucket(desk, gcs_root, tmp_path):
    """A run in a bucket."""
    store = open_store(f"{gcs_root}/gan/one")
    write_run(tmp_path / "made", now=True)
    for name in ("run.json", "samples/0.png", "samples/200.png", "samples/real.png"):
        store.upload(name, tmp_path / "made" / name)
    return store


def call(capsys, *words):
    """A command in this process: its exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as left:
        main(list(words))
    return left.value.code, *capsys.readouterr()


@pytest.mark.parametrize(("words", "name"), [([], "200"), (["--step", "0"], "0"), (["--real"], "real")])
def test_of_a_grid_in_a_bucket_the_command_is_told_that_brings_it(
    bucket, gcs_root, desk, capsys, words, name
):
    code, out, error = call(capsys, "samples", "one", "--root", gcs_root, *words)
    assert code == 0
    assert out.startswith(f"{gcs_root}/gan/one/samples/{name}.png: ")
    assert names(desk) == []
    line = re.fullmatch(r"`(launcher .*)` brings it here\n", error)[1]
    assert call(capsys, *shlex.split(line)[1:])[0] == 0
    assert names(desk) == [f"one/one-{name}.png"]
    assert (desk / f"one/one-{name}.png").read_bytes() == bucket.read(f"samples/{name}.png")


def test_a_grid_in_a_bucket_is_opened_where_a_copy_is_named(bucket, gcs_root, desk, capsys, monkeypatch):
    viewer = desk.parent / "xdg-open"
    viewer.write_text(f'#!/bin/sh\ncp "$1" {desk.parent}/opened\n')
    viewer.chmod(0o755)
    monkeypatch.setenv("DISPLAY", ":9")
    monkeypatch.setenv("PATH", f"{desk.parent}:{os.environ['PATH']}")
    words = ("samples", "one", "--root", gcs_root, "--open")
    code, _, error = call(capsys, *words)
    assert (code, error.count("\n")) == (2, 1)
    assert "--open: expected --out too" in error
    assert names(desk) == []
    assert call(capsys, *words, "--out", "a.png")[0] == 0
    assert (desk.parent / "opened").read_bytes() == bucket.read("samples/200.png")


def test_what_is_told_to_type_next_of_a_run_in_a_bucket_can_be_typed(bucket, gcs_root, desk, capsys):
    for name in ("status.json", "metrics/1.jsonl"):
        bucket.upload(name, desk.parent / "made" / name)
    found = json.loads(call(capsys, "show", "one", "--root", gcs_root, "-o", "json")[1])
    lines = [shlex.split(step["command"]) for step in found["next"]]
    looks = {words[1]: [word for word in words[1:] if word != "--open"] for words in lines}  # no display here
    for verb, made in (("samples", "one/one-200.png"), ("report", "one.html")):
        assert call(capsys, *looks[verb])[0] == 0
        assert made in names(desk)


def test_a_view_has_a_place_on_a_disk_alone(tmp_path):
    assert beside(RunPath("gs://bucket/gan", "gan", "one"), "a.html") is None
    assert beside(RunPath("runs/", "gan", "one"), "a.html") == Path("runs/gan/one/views/a.html")


def test_a_folder_that_takes_no_view_is_left_as_it_was(tmp_path):
    path = beside(RunPath(str(tmp_path), "gan", "one"), "a.html")
    with pytest.raises(AccessError, match=r"views: cannot be made a folder .*; --out names another place"):
        write_view(path, b"x")  # the run is gone
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "gan/one/views/a.html").mkdir(parents=True)
    with pytest.raises(AccessError, match=r"a\.html: cannot be written .*; --out names another place"):
        write_view(path, b"x")
    assert names(tmp_path) == []


def test_a_file_is_for_whom_the_umask_says(tmp_path):
    before = os.umask(0o077)
    try:
        write_file("--out", tmp_path / "a", b"x")
        LocalStore(tmp_path).write("b/c", b"x")
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "b/c")] == [0o600, 0o600]


def test_what_fails_half_way_leaves_what_was_there(tmp_path):
    write_file("--out", tmp_path / "a", b"before")
    with pytest.raises(ZeroDivisionError), whole_file(tmp_path / "a") as file:
        file.write(b"half")
        raise ZeroDivisionError
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "gone/a"):
        pass
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"before"
