"""The page of a run that is watched: its parts, where it fits, what it costs, and the terminal it is on."""

import io
import json
import re
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import launcher
from launcher.looking.curves import Curves
from launcher.looking.tui import Feed, GridView, Page, Tail, draw
from launcher.looking.tui.chart import Chart, means
from launcher.records.run_folder import Found, find_run
from launcher.records.status import RunStatus, WorkerStatus
from launcher.runs import verbs
from launcher.runs.find import Located, locate
from tests.launcher.terminal import Terminal
from trainer.pictures.grid import encode_png, tile
from trainer.run.metrics_log import MetricsLog
from trainer.storage import LocalStore

SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"
ENTER_SCREEN, LEAVE_SCREEN = "\x1b[?1049h", "\x1b[?1049l"


def grid(seed=0):
    random = np.random.default_rng(seed)
    return encode_png(tile(random.integers(0, 256, (25, 28, 28, 1), np.uint8), 5, 5))


def lines(count):
    return [
        {"step": step, "images": step, "d_loss": 1 / step, "g_loss": step / 7, "d_accuracy_real": 0.75}
        for step in range(1, count + 1)
    ]


def curves(count=60):
    found = lines(count)
    values = {key: [line[key] for line in found] for key in ("d_loss", "g_loss", "d_accuracy_real")}
    return Curves([line["step"] for line in found], [line["images"] for line in found], values)


STATUS = RunStatus(
    experiment="gan",
    run="one",
    root="runs",
    state="running",
    explanation="",
    step=1200,
    steps=2000,
    images_per_second=1418.2,
    eta_seconds=61.4,
    updated=None,
    age_seconds=1.0,
    checkpoint_step=1000,
    checkpoint_age_seconds=75.0,
    checkpoint_seconds=0.3,
    metrics={},
    attempt=2,
    workers=[WorkerStatus(0, True, pid=11), WorkerStatus(1, True, pid=12)],
    world_size=2,
    preset="demo",
    backend="local",
)
PAGE = Page(STATUS, curves(), Tail(0, ("first line", "[bold]last line[/bold]")), GridView(1000, 1, grid()))


def rendered(page=PAGE, width=120, height=40, encoding="utf-8", **options):
    """The page as a console writes it, without a terminal's control sequences unless asked for."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=stream, width=width, height=height, highlight=False, **options)
    console.print(draw(page, width, height))
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


def plain(text):
    """The same without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_a_page_tells_where_the_run_stands():
    text = rendered()
    assert "gan/one  running" in text
    assert "demo, 2 workers, local, attempt 2, saved at step 1,000 1:15 ago" in text
    assert "1,200/2,000 60%  1,418 images/s  ETA 1:01" in text
    assert "━━━" in text
    assert re.search(r"D loss 0\.01667 +█", text)
    assert re.search(r"D right on real   75% ▆+", text)
    assert "workers alive: 2 of 2" in text
    assert re.search(r"worker 1 +alive +process 12", text)
    assert "log of worker-0" in text
    assert "[bold]last line[/bold]" in text  # text, and not rich's markup
    assert "samples of step 1,000" in text
    assert text.rstrip().endswith("q leaves, the run goes on")


def test_the_grid_is_drawn_in_colours_beside_or_below():
    wide = rendered(force_terminal=True, color_system="truecolor")
    narrow = rendered(width=70, height=60, force_terminal=True, color_system="truecolor")
    for text in (wide, narrow):
        assert re.search(r"38;2;\d+;\d+;\d+;48;2;\d+;\d+;\d+m▀", text)
    assert any("D loss" in line and "▀" in line for line in plain(wide).splitlines())
    assert not any("D loss" in line and "▀" in line for line in plain(narrow).splitlines())


@settings(max_examples=25)
@given(
    width=st.integers(20, 200),
    height=st.integers(20, 80),
    workers=st.integers(0, 30),
    log=st.integers(0, 60),
    why=st.sampled_from(["", "no node", "a sentence of some length, " * 9]),
)
def test_a_page_fits_its_terminal(width, height, workers, log, why):
    status = replace(
        STATUS,
        explanation=why,
        workers=[WorkerStatus(n, n % 2 == 0, pod=f"one-{n}-x2k") for n in range(workers)],
    )
    page = replace(PAGE, status=status, tail=Tail(0, tuple(f"line {n} " + "x" * 300 for n in range(log))))

    shown = rendered(page, width, height).splitlines()

    assert len(shown) <= height
    assert max(map(len, shown)) <= width


def test_a_page_is_ascii_where_the_encoding_is():
    text = rendered(encoding="ascii", force_terminal=True, color_system="truecolor")
    assert text.isascii()
    assert "D loss" in text
    assert re.search(r"D right on real   75% [|:]+", plain(text))


def test_a_run_that_has_not_begun_says_so():
    status = replace(STATUS, state="pending", step=None, steps=None, workers=[], explanation="no node: cpu")
    text = rendered(Page(status))
    assert "pending  no node: cpu" in text
    assert "no step yet" in text
    assert "no metrics yet" in text


def test_a_long_explanation_has_lines_of_its_own():
    why = "worker 3 was killed for want of memory: " + "it asked for more than its limit of 2Gi " * 5
    text = rendered(replace(PAGE, status=replace(STATUS, state="failed", explanation=why)), width=80)
    assert "limit of 2Gi it asked" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


def test_workers_in_trouble_come_first_and_the_rest_is_counted():
    well = [WorkerStatus(n, True, pod=f"one-{n}") for n in range(100)]
    well[41] = WorkerStatus(41, False, reason="ImagePullBackOff", node="node-7")
    well[73] = WorkerStatus(73, False, exit_code=137, pod="one-73", restarts=2)
    text = rendered(replace(PAGE, status=replace(STATUS, workers=well, world_size=100)), width=160, height=60)

    rows = [line for line in text.splitlines() if re.match(r"worker \d", line)]
    assert re.match(r"worker 73 +exit code 137 +one-73 +replaced 2 times", rows[0])
    assert re.match(r"worker 41 +not ready +ImagePullBackOff, on node-7", rows[1])
    assert len(rows) == 7
    assert "and 93 more" in text


def test_a_damaged_grid_and_a_bucket_that_is_away_are_told_and_all_else_is_shown():
    page = replace(PAGE, grid=GridView(10, 1, b"none"), problem="gs://b: no answer")
    text = rendered(page)
    assert "samples/10.png: damaged" in text
    assert "gs://b: no answer" in text
    assert "D loss" in text


numbers = st.floats(-1e6, 1e6)


@given(st.lists(numbers, max_size=200), st.integers(1, 80), st.integers(1, 4), st.booleans())
def test_a_chart_has_its_size_and_reaches_from_bottom_to_top(values, width, height, ascii_only):
    drawn = Chart(values, height).lines(width, ascii_only=ascii_only)

    assert len(drawn) == height
    assert {len(line) for line in drawn} == {min(width, len(values))}
    if ascii_only:
        assert all(line.isascii() for line in drawn)
    columns = means(values, width)
    if columns and max(columns) - min(columns) > 1:
        full = "|" if ascii_only else "█"
        assert drawn[0][columns.index(max(columns))] == full
        assert drawn[-1][columns.index(min(columns))] == ("." if ascii_only else "▁")


@given(st.lists(numbers, min_size=1, max_size=200), st.integers(1, 80))
def test_means_keep_the_mean_and_stay_between_the_extremes(values, count):
    found = means(values, count)
    assert len(found) == min(count, len(values))
    assert min(values) - 1e-6 <= min(found) <= max(found) <= max(values) + 1e-6
    if len(values) % len(found) == 0:
        assert np.mean(found) == pytest.approx(np.mean(values), abs=1e-3)


class CountingStore(LocalStore):
    """A folder that notes what is asked of it."""

    asked: list[str]

    def read(self, name, start=0, length=None):
        self.asked.append(f"read {name}")
        return super().read(name, start, length)

    def list(self, prefix=""):
        self.asked.append(f"list {prefix}")
        return super().list(prefix)


@pytest.fixture
def watched(past_run, root):
    """A run with metrics, a grid and a log, whose store notes what is asked, and its feed."""
    folder = past_run("one", state="running")
    log = MetricsLog(50, lines(120))
    LocalStore(folder).write(*log.current_segment())
    LocalStore(folder).write("samples/100.png", grid())
    LocalStore(folder).write("logs/1/worker-0.log", b"one\ntwo\n" * 10_000 + b"250/2000\r500/2000")
    store = CountingStore(folder)
    store.asked = []
    return store, Feed(Located(Found(find_run(root, "one").path, store), locate(root, "one").backend))


def test_a_look_reads_only_what_has_changed(watched):
    store, feed = watched
    first = feed.look()
    assert first.curves.steps[-1] == 120
    assert (first.grid.step, first.grid.content) == (100, grid())
    assert first.tail.worker == 0
    assert first.tail.lines[-2:] == ("two", "500/2000")

    store.asked = []
    second = feed.look()
    assert (second.curves, second.grid, second.tail) == (first.curves, first.grid, first.tail)
    always = {"read local.json", "read run.json", "read status.json", "read lease.json", "read best.json"}
    assert set(store.asked) - always == {"list metrics/", "list logs/1/worker-0.", "list evaluations/"}

    status = json.loads(store.read("status.json"))
    store.write("status.json", json.dumps({**status, "step": 130}).encode())
    store.write("metrics/101.jsonl", b"".join(json.dumps(line).encode() + b"\n" for line in lines(130)[100:]))
    store.write("samples/130.png", grid(1))
    store.asked = []
    third = feed.look()
    assert third.curves.steps[-1] == 130
    assert third.grid.step == 130
    assert {"read metrics/101.jsonl", "read samples/130.png", "list samples/"} <= set(store.asked)
    assert "read samples/100.png" not in store.asked
    assert "read logs/1/worker-0.log" not in store.asked


def test_of_a_long_log_the_end_alone_is_read(watched):
    _, feed = watched
    tail = feed.look().tail.lines
    assert len(tail) == 60
    assert set(tail) == {"one", "two", "500/2000"}  # no line that was cut off at its beginning


def test_the_log_of_the_worker_in_trouble_is_shown(past_run, root):
    folder = past_run("one")
    LocalStore(folder).write("logs/1/worker-0.00000.log", b"all is well\n")
    LocalStore(folder).write("logs/1/worker-3.00000.log", b"a\n")
    LocalStore(folder).write("logs/1/worker-3.00001.log", b"error: out of memory\n")
    located = locate(root, "one")

    class Pods:
        def status(self, found):
            workers = [WorkerStatus(0, True), WorkerStatus(3, False, exit_code=137)]
            return replace(located.backend.status(found), workers=workers, attempt=1)

    assert Feed(Located(located.found, Pods())).look().tail == Tail(3, ("a", "error: out of memory"))


@pytest.fixture
def watch(root, desk):
    """Start `launcher watch gan/one` in a terminal of its own."""
    opened = []

    source = str(Path(launcher.__file__).parent.parent)  # as the working folder is another one

    def start(*argv, **options):
        argv = argv or ("-m", "launcher", "watch", "one", "--root", root)
        opened.append(Terminal(*argv, cwd=desk, env={"PYTHONPATH": source}, **options))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


def assert_restored(terminal):
    text = terminal.text
    assert text.rindex(LEAVE_SCREEN) > text.rindex(ENTER_SCREEN)
    assert text.rindex(SHOW_CURSOR) > text.rindex(HIDE_CURSOR)
    assert terminal.settings == terminal.settings_before


def test_a_live_run_is_drawn_and_every_way_out_gives_the_terminal_back(submit, watch, root):
    started = submit("train", "train")
    folder = Path(started.path.url)
    LocalStore(folder).write("metrics/1.jsonl", MetricsLog(250, lines(120)).current_segment()[1])
    LocalStore(folder).write("samples/100.png", grid())
    by_q, by_ctrl_c, by_signal, to_the_end = watched = [watch() for _ in range(4)]
    for terminal in watched:
        terminal.wait_for(
            ENTER_SCREEN, HIDE_CURSOR, "gan/one", "/1,000", "D loss", "█", "38;2;", "▀", "alive"
        )
        assert LEAVE_SCREEN not in terminal.text
        assert terminal.settings != terminal.settings_before  # keys come at once and unseen

    by_q.press(b"xq")
    by_ctrl_c.press(b"\x03")
    by_signal.process.send_signal(signal.SIGTERM)
    assert [terminal.leave() for terminal in watched[:3]] == [0, 130, 143]
    for terminal in (by_q, by_ctrl_c):
        assert "the run goes on; watch it again with `launcher watch gan/one" in terminal.text
    assert verbs.status(root, "one").state == "running"

    (folder / "go").touch()
    assert to_the_end.leave() == 0
    after = to_the_end.text.rpartition(LEAVE_SCREEN)[2]
    assert "finished" in after  # the last page stays on the screen
    assert "samples of step 100" in after
    for terminal in watched:
        assert_restored(terminal)


def test_a_run_that_is_over_is_drawn_once_with_the_exit_code_of_wait(past_run, watch):
    past_run("one", state="failed")
    terminal = watch(columns=80, lines=24)
    assert terminal.leave() == 1
    assert "go on with `launcher resume gan/one" in terminal.text
    assert "gan/one" in terminal.text
    assert "failed" in terminal.text
    assert ENTER_SCREEN not in terminal.text


BROKEN = """
import sys
from rich.console import Console
from launcher.looking.tui import Feed, show
from launcher.looking.tui import screen
from launcher.runs.find import locate

screen.LOOK_SECONDS = 0.05
feed = Feed(locate(sys.argv[1], "one"))
first = feed.look()

def look():
    raise RuntimeError("the look broke")

show(look, first, Console())
"""


def test_an_error_that_nobody_expected_gives_the_terminal_back_and_is_told(past_run, watch, root, tmp_path):
    past_run("one", state="running")
    (tmp_path / "broken.py").write_text(BROKEN)
    terminal = watch(str(tmp_path / "broken.py"), root)
    assert terminal.leave() == 1
    assert_restored(terminal)
    assert "RuntimeError: the look broke" in terminal.text.rpartition(LEAVE_SCREEN)[2]


@pytest.mark.parametrize("arguments", [["one"], ["none"]])
def test_without_a_terminal_one_line_names_the_command_that_writes_lines(past_run, launcher, root, arguments):
    past_run("one")
    done = launcher("watch", *arguments, "--root", root)
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"`launcher status {arguments[0]} --watch --root {root}` writes lines" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_terminal_that_cannot_move_its_cursor_is_none(past_run, watch):
    past_run("one")
    terminal = watch(
        "-c", "import os; os.environ['TERM'] = 'dumb'; from launcher.cli import main; main(['watch', 'one'])"
    )
    assert terminal.leave() == 2
    assert "writes lines" in terminal.text
