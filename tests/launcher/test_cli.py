"""The command line: its help, its output and its one-line errors."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from launcher.cli import app, main
from launcher.commands.common import size
from launcher.commands.display import BarDisplay, PlainDisplay, make_display
from launcher.records.follow import LogLine
from launcher.runs.verbs import Update, list_runs
from launcher.spec.next_commands import command_line
from trainer.run.layout import RunPath

HEAVY = (
    "tensorflow",
    "kubernetes",
    "numpy",
    "matplotlib",
    "psutil",
    "rich",
    "google",
    "yaml",
    "trainer.config",
)


def all_commands():
    """Every command with the words that call it."""

    def visit(command, words):
        yield words, command
        for name, child in sorted(getattr(command, "commands", {}).items()):
            yield from visit(child, [*words, name])

    return list(visit(typer.main.get_command(app), ["launcher"]))


@pytest.mark.parametrize(
    ("words", "command"), all_commands(), ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_every_command_and_option_has_help_and_an_example(words, command):
    assert command.help
    assert f"Example: {' '.join(words[:2])}" in command.help
    for parameter in command.params:
        if parameter.name not in ("install_completion", "show_completion"):
            assert parameter.help, f"{' '.join(words)} {parameter.name}"


def test_the_commands_are_those_of_the_library():
    names = {" ".join(words[1:]) for words, _ in all_commands()}
    assert names >= {
        "submit",
        "status",
        "logs",
        "list",
        "cancel",
        "resume",
        "artifacts list",
        "artifacts download",
    }


@pytest.mark.parametrize("arguments", [["--help"], ["submit", "--help"], [], ["--version"]])
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys\nfrom launcher.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        f"finally:\n    print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stderr == "[]\n"
    assert done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("submit", 2, "--preset"),
        ("submit --preset nope", 2, "unknown preset 'nope'"),
        ("submit --preset mlp --workers 0", 2, "workers is 0: expected"),
        ("submit --preset mlp --workers x", 2, "--workers"),
        ("submit --preset mlp --workers 3", 2, "batch_size is 64: expected"),
        ("submit --preset mlp --set stps=3", 2, "did you mean 'steps'"),
        ("submit --preset mlp --name A_b", 2, "run 'A_b': expected"),
        ("submit --preset mlp --experiment A_b", 2, "experiment 'A_b': expected"),
        ("submit --preset mlp --threads 0", 2, "threads is 0: expected"),
        ("submit --preset mlp --root gs://b/p", 2, "image is not given: expected NAME:TAG"),
        ("submit --preset mlp --backend moon", 2, "backend is 'moon': expected 'local' or 'kubernetes'"),
        ("submit --preset mlp -o xml", 2, "'xml'"),
        ("status one", 3, "no run 'one' in root runs, which holds no runs"),
        ("logs one", 3, "no run 'one'"),
        ("logs one --follow", 3, "no run 'one'"),
        ("logs one --follow -o json", 2, "--output json: expected text"),
        ("logs one --tail -1", 2, "--tail"),
        ("cancel one", 3, "no run 'one'"),
        ("resume one", 3, "no run 'one'"),
        ("artifacts list one", 3, "no run 'one'"),
        ("artifacts download one", 2, "--to"),
        ("artifacts download one --to out", 3, "no run 'one'"),
        ("artifacts", 2, "command"),
        ("frob", 2, "frob"),
        ("list --frob", 2, "--frob"),
        ("list --root s3://b", 2, "root s3://b: expected"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(tmp_path, monkeypatch, capsys, arguments, code, words):
    from launcher.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GANTRY_ROOT", raising=False)
    with pytest.raises(SystemExit) as left:
        main(arguments.split())
    out, err = capsys.readouterr()
    assert (left.value.code, out) == (code, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err
    assert list(tmp_path.iterdir()) == []


def test_reports_of_a_past_run(launcher, past_run, root, tmp_path):
    past_run(files=("samples/20.png", "logs/1/worker-0.log"))
    listed = launcher("list", "--root", root).stdout.splitlines()
    assert listed[0].split() == ["experiment", "run", "state", "where", "step", "images/s", "updated"]
    assert listed[1].split()[:6] == ["gan", "past", "finished", "files", "20/10000", "123"]
    assert json.loads(launcher("list", "--root", root, "-o", "json").stdout)[0]["run"] == "past"
    told = launcher("status", "past", "--root", root).stdout
    assert told.startswith("gan/past: finished\n  step 20 of 10000, 123 images/s")
    assert json.loads(launcher("status", "past", "--root", root, "-o", "json").stdout)["state"] == "finished"
    assert launcher("logs", "past", "--root", root).stdout.startswith("worker-0 | logs/1/")
    assert json.loads(launcher("logs", "past", "--root", root, "-o", "json").stdout)[0]["worker"] == 0
    assert launcher("logs", "past", "--root", root, "--follow", "--tail", 1).stdout.count("\n") == 1
    files = json.loads(
        launcher("artifacts", "list", "past", "--root", root, "--only", "samples/", "-o", "json").stdout
    )
    assert [file["name"] for file in files] == ["samples/20.png"]
    assert "samples/20.png" in launcher("artifacts", "list", "past", "--root", root).stdout
    copy = launcher(
        "artifacts", "download", "past", "--root", root, "--to", tmp_path / "out", "--only", "samples"
    )
    assert "1 file copied" in copy.stdout
    assert (tmp_path / "out/samples/20.png").exists()
    ended = launcher("cancel", "past", "--root", root)
    assert (ended.returncode, ended.stdout) == (0, "run 'past' is finished at step 20\n")


def test_the_root_comes_from_the_environment(past_run, root, monkeypatch, capsys):
    from launcher.cli import main

    past_run()
    monkeypatch.setenv("GANTRY_ROOT", root)
    with pytest.raises(SystemExit) as left:
        main(["list"])
    assert left.value.code == 0
    assert "past" in capsys.readouterr().out


def test_a_reader_that_leaves_early_is_no_error(past_run, root):
    past = past_run(files=("logs/1/worker-0.log",))
    (past / "logs/1/worker-0.log").write_text("line\n" * 100_000)
    command = f"{sys.executable} -m launcher logs past --root {root} | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("worker-0 | line\n", "")


@pytest.mark.parametrize(
    ("where", "code", "said"),
    [
        (">&-", 0, ""),
        ("2>&- >&- <&-", 0, ""),
        (">/dev/full", 1, "error: standard output cannot be written to: No space left on device\n"),
    ],
)
def test_where_nothing_can_be_printed_there_is_no_traceback(past_run, root, where, code, said):
    past_run()
    command = f"{sys.executable} -m launcher list --root {root} {where}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.parametrize("how", ["flag", "environment", "file"])
def test_a_root_may_begin_with_a_home_folder(launcher, past_run, root, desk, how):
    past_run()
    env = {**os.environ, "HOME": str(Path(root).parent)}
    if how == "file":
        (desk / "gantry.yaml").write_text("root: ~/runs\n")
    if how == "environment":
        env["GANTRY_ROOT"] = "~/runs"
    done = launcher("list", *(["--root=~/runs"] if how == "flag" else []), env=env)
    assert "past" in done.stdout, done
    assert not (desk / "~").exists()


def test_without_a_home_folder_there_is_one_sentence_where_one_is_named(launcher, past_run, root, desk):
    past_run()
    env = {name: value for name, value in os.environ.items() if name != "XDG_CONFIG_HOME"} | {"HOME": ""}
    assert "past" in launcher("list", "--root", root, env=env).stdout
    done = launcher("list", "--root=~/runs", env=env)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --root ~/runs: ~ is a home folder, and this user has none")
    assert done.stderr.count("\n") == 1


def test_modules_of_the_working_folder_are_not_ours(launcher, past_run, root, desk):
    for name in ("queue", "typing", "trainer", "yaml"):
        (desk / f"{name}.py").write_text("raise SystemExit('wrong')\n")
    past_run()
    assert "past" in launcher("list", "--root", root).stdout
    found = json.loads(launcher("doctor", "-o", "json").stdout)["checks"][0]
    assert (found["check"], found["level"], found["fix"]) == ("python", "warn", "python -P -m trainer")


def update(root, past_run):
    past_run("past", state="running")
    return Update([LogLine(0, "5/9 [D loss: 0.5] [/bold]")], list_runs(root)[0])


def test_the_plain_display_prefixes_lines(past_run, root):
    stream = io.StringIO()
    with make_display(stream, "past") as display:
        assert isinstance(display, PlainDisplay)
        display.show(update(root, past_run))
    assert stream.getvalue() == "worker-0 | 5/9 [D loss: 0.5] [/bold]\n"


def test_the_bar_shows_the_step_and_leaves_brackets_alone(past_run, root, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    stream.isatty = lambda: True
    with make_display(stream, "past") as display:
        assert isinstance(display, BarDisplay)
        display.show(update(root, past_run))
    shown = stream.getvalue()
    assert "worker-0 | 5/9 [D loss: 0.5] [/bold]" in shown
    assert "20/10000" in shown
    assert "123 images/s  ETA 9 s" in shown


def test_a_missing_psutil_is_named(launcher, past_run, root, tmp_path):
    past_run()
    (tmp_path / "psutil.py").write_text("raise ModuleNotFoundError('gone', name='psutil')")
    environment = {"PYTHONPATH": f"{tmp_path}:{Path.cwd()}"}
    done = launcher("list", "--root", root, env=environment)
    assert (done.returncode, done.stderr) == (
        2,
        "error: psutil is not installed: pip install 'gantry[launcher]'\n",
    )


@pytest.mark.parametrize(
    ("count", "text"), [(5, "5 B"), (1500, "1.5 kB"), (12_300_000, "12.3 MB"), (5e9, "5.0 GB")]
)
def test_sizes(count, text):
    assert size(count) == text


def test_to_follow_a_run_and_to_leave_it_alone_are_not_asked_for_together(launcher, root):
    done = launcher("submit", "--preset", "demo", "--root", root, "--watch", "--detach")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --watch: expected no --detach beside it, which leaves the run to itself\n"
    assert not Path(root).exists()


def test_what_was_typed_for_one_command_is_not_said_by_the_next_of_a_process(desk, capsys):
    with pytest.raises(SystemExit):
        main(["status", "one", "--root", "runs", "--namespace", "n"])
    assert command_line("logs", RunPath("/data", "gan", "one")) == "launcher logs gan/one --root /data"
