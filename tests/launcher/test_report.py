"""The report of a run: whole, bounded, and with nothing in it that a run's files could make act."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.cli import main
from launcher.looking import report
from launcher.looking.curves import Curves, Points, running_means
from launcher.looking.report.grids import evenly, read_grids
from launcher.looking.report.panels import draw
from launcher.looking.report.timeline import Event, parse, read_timeline, restart_steps
from tests.launcher.run_folder import CREATED, picture, put, write_run
from trainer.storage import LocalStore, open_store

SVG = "{http://www.w3.org/2000/svg}"
EVIL = '<script>document.title="pwned"</script><img src=x onerror=alert(1)>"\' onload=alert(2)'


class Page(HTMLParser):
    """What a browser would make of a page: elements with attributes, and the text outside of scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self._raw = [], "", False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self._raw = tag in ("script", "style")
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        self._raw = False

    def handle_data(self, data):
        self.text += "" if self._raw else data


def page_of(root, run="one"):
    return Page(report.render(report.gather(str(root), run)))


@pytest.fixture
def evil(tmp_path):
    """A run in which every text that a page could show is hostile."""
    folder = write_run(
        tmp_path / "gan/one",
        state="failed",
        message=EVIL,
        preset=EVIL,
        overrides=[f"data.source={EVIL}"],
        git_revision=EVIL,
        versions={EVIL: EVIL},
        schedule=EVIL,
        logs={"logs/1/worker-0.log": f"warning: {EVIL}\nerror: {EVIL}\n"},
    )
    run = json.loads((folder / "run.json").read_text())
    run["config"]["data"]["source"] = EVIL
    put(folder, "run.json", run)
    put(folder, "metrics/101.jsonl", json.dumps({"step": 201, "images": 9, EVIL: 1.0}) + "\nnot json\n")
    (folder / "samples/7.png").write_text(EVIL)
    return tmp_path


def test_nothing_in_a_run_can_act(evil):
    page = page_of(evil)
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    policy = next(a["content"] for tag, a in page.elements if a.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy
    # Preset, source and override, revision, version, schedule, two lines of the log, and a metric's name.
    assert page.text.count(EVIL) >= 8


def test_nothing_points_outside(evil):
    text = report.render(report.gather(str(evil), "one"))
    places = [a[name] for _, a in Page(text).elements for name in ("src", "href", "action") if name in a]
    assert len(places) > 8
    assert all(place.startswith("data:") for place in places)
    assert all(place.startswith("#") for place in re.findall(r"url\((.*?)\)", text))
    assert all(a["xlink:href"].startswith("#") for _, a in Page(text).elements if "xlink:href" in a)
    assert "@import" not in text


def test_a_report_tells_what_the_run_left(tmp_path):
    write_run(tmp_path / "gan/one")
    page = page_of(tmp_path)
    for words in (
        "finished",
        "Losses",
        "Discriminator's accuracy",
        "went on from 2 steps",
        "worker 1 was lost; all workers go on from step 120 (restart 1)",
        "begun 2026-01-02 03:04:05 UTC",
        "metrics.every_steps",
        "0123456789abcdef",
        "launcher submit --preset mlp --set steps=200 --set metrics.every_steps=5",
    ):
        assert words in page.text
    images = [a for tag, a in page.elements if tag == "img"]
    assert [a["alt"].rpartition(" ")[2] for a in images] == ["200", *map(str, range(25, 201, 25))]
    ids = [a["id"].partition("-") for _, a in page.elements if a.get("id", "").startswith("panel")]
    names = [name for _, _, name in ids]
    assert names.count("mark60") == names.count("mark120") == 4  # two restarts in each of four pictures
    assert [panel for panel, _, name in ids if name == "guess"] == ["panel0", "panel1"]  # ln 2, one half
    assert "went on from step 120" in page.text


def test_real_images_stand_beside_the_newest_grid(tmp_path):
    folder = write_run(tmp_path / "gan/one", now=True)
    images = [a["alt"] for tag, a in page_of(tmp_path).elements if tag == "img"]
    steps = [f"grid of samples at step {step}" for step in range(0, 201, 25)]
    assert images == [steps[-1], "grid of real images", *steps]

    (folder / "samples/real.png").write_text("no picture")
    page = page_of(tmp_path)
    assert "samples/real.png is no picture and is left out" in page.text
    assert len([tag for tag, _ in page.elements if tag == "img"]) == 10


@pytest.mark.parametrize("state", ["finished", "running"])
def test_a_run_without_metrics_or_samples_says_so(tmp_path, state):
    folder = write_run(tmp_path / "gan/one", state=state, grids=0)
    shutil.rmtree(folder / "metrics")
    page = page_of(tmp_path)
    assert "The run has written no metrics." in page.text
    assert "The run has drawn no samples." in page.text
    assert not [tag for tag, _ in page.elements if tag in ("svg", "img")]


def test_a_run_that_no_trainer_has_begun(tmp_path):
    put(tmp_path / "gan/one", "status.json", {"state": "starting"})
    assert "No trainer has begun yet." in page_of(tmp_path).text


def test_what_is_damaged_is_named_and_left_out(evil):
    page = page_of(evil)
    assert "samples/7.png is no picture and is left out" in page.text
    assert "metrics/101.jsonl line 2 cannot be read and is left out" in page.text


def test_a_report_stays_small(tmp_path):
    folder = write_run(tmp_path / "gan/one", grids=40)
    (folder / "samples/200.png").write_bytes(picture(50, 900, "RGB"))
    material = report.gather(str(tmp_path), "one")
    assert (len(material.grids.shown), material.grids.in_run) == (24, 40)
    assert [grid.step for grid in material.grids.shown if grid.reduced] == [200]
    last = material.grids.shown[-1]
    assert max(last.width, last.height) <= 800
    assert len(last.uri) * 25 < 4_100_000  # all of them, and the newest twice
    assert "made smaller for this page" in report.render(material)


@given(st.lists(st.integers(0, 10**9), unique=True).map(sorted), st.integers(2, 30))
def test_grids_are_chosen_evenly(steps, most):
    chosen = evenly(steps, most)
    assert len(chosen) == min(most, len(steps))
    assert sorted(set(chosen)) == chosen
    assert set(chosen) <= set(steps)
    if steps:
        assert (chosen[0], chosen[-1]) == (steps[0], steps[-1])


values = st.floats(-1e30, 1e30) | st.none()


@given(st.lists(st.tuples(st.integers(1, 50), values, values), min_size=1, max_size=12))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_curves_stay_in_their_box(rows):
    """And whatever the values are, a picture has ticks, and the same text each time."""
    steps, total = [], 0
    for gap, _, _ in rows:
        total += gap
        steps.append(total)
    columns = {"d_loss": [row[1] for row in rows], "fid": [row[2] for row in rows]}
    curves, restarts = Curves(steps, steps, columns), [steps[0], steps[-1] + 2]
    pictures = draw(curves, restarts)
    assert pictures == draw(curves, restarts)
    for each in pictures:
        svg = ElementTree.fromstring(each.svg)
        _, _, width, height = map(float, svg.attrib["viewBox"].split())
        named = {part.get("id", "").partition("-")[2]: part for part in svg.iter()}
        assert [name for name in named if name.startswith("mark")] == [f"mark{steps[0]}"]
        assert len([name for name in named if name.startswith("ytick_")]) >= 2
        [mean] = [part for name, part in named.items() if name.startswith("mean")]
        drawn = " ".join(part.get("d", "") for part in mean.iter(f"{SVG}path") if "clip-path" in part.attrib)
        places = [float(number) for number in re.findall(r"-?[\d.]+", drawn)]
        assert all(0 <= x <= width for x in places[::2])
        assert all(0 <= y <= height for y in places[1::2])


def test_the_page_has_each_id_once(tmp_path):
    write_run(tmp_path / "gan/one")
    page = page_of(tmp_path)
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids)) > 100
    meant = [a["xlink:href"] for _, a in page.elements if "xlink:href" in a]
    assert meant and {each.removeprefix("#") for each in meant} <= set(ids)


def test_a_running_mean_is_over_a_fortieth():
    curves = Curves(list(range(80)), list(range(80)), {"d_loss": [float(x) for x in range(80)]})
    means = Points(curves.points("d_loss").x, running_means(curves.points("d_loss").y))
    assert means.y[:3] == [0.0, 0.5, 1.5]


def test_what_the_log_tells():
    events, reached = parse(
        [
            "pod a-0-x: worker 0 of 4, attempt 1",
            "some library says something",
            "500/900 [D loss: 0.1 | D accuracy: 1%/2%] [G loss: 3]",
            "starting again: worker 3 was lost; all workers go on from the beginning (restart 1)",
            "resuming /runs/gan/one after step 400",
            "error: d_loss became nan in step 612",
        ]
    )
    assert reached == 500
    assert events == [
        Event("pod", "pod a-0-x: worker 0 of 4"),
        Event("restart", "worker 3 was lost; all workers go on from the beginning (restart 1)"),
        Event("resumed", "went on after step 400", 400),
        Event("error", "d_loss became nan in step 612"),
    ]


def test_a_log_of_many_restarts_is_cut_in_the_middle():
    events, _ = parse(f"resuming x after step {step}" for step in range(1000))
    assert len(events) == 61
    assert events[30] == Event("cut", "940 more lines of the log")
    assert (events[0].step, events[-1].step) == (0, 999)


def test_the_times_of_a_copied_folder_are_not_believed(tmp_path):
    store = LocalStore(write_run(tmp_path / "gan/one"))
    run, said = (json.loads(store.read(name)) for name in ("run.json", "status.json"))
    for days, known in ((30, False), (0, True)):
        time = (CREATED + timedelta(minutes=2, days=days)).timestamp()
        for log in (tmp_path / "gan/one/logs").glob("*/*"):
            os.utime(log, (time, time))
        attempts = read_timeline(store, run, said)
        assert [bool(attempt.ended) for attempt in attempts] == [known, known]
    assert [attempt.how for attempt in attempts] == ["stopped", "finished"]
    assert restart_steps(attempts) == [60, 120]


@pytest.fixture
def launch(capsys):
    """Run the command line here: its exit code, stdout and stderr."""

    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            main([*map(str, arguments)])
        return left.value.code, *capsys.readouterr()

    return call


def test_a_report_from_a_bucket(gcs_root, tmp_path, launch):
    folder, store = write_run(tmp_path / "gan/one"), open_store(f"{gcs_root}/gan/one")
    for path in folder.rglob("*.*"):
        store.upload(str(path.relative_to(folder)), path)
    code, told, error = launch("report", "one", "--root", gcs_root)
    assert (code, told) == (2, "")
    assert error == f"error: --out: expected a file for the report, as run 'one' is in {gcs_root}/gan/one\n"
    out = tmp_path / "one.html"
    code, told, _ = launch("report", "one", "--root", gcs_root, "--out", out, "-o", "json")
    assert (code, json.loads(told)["grids"]) == (0, 8)
    assert out.stat().st_size == json.loads(told)["bytes"]
    assert f"from {gcs_root}" in out.read_text()


def test_where_a_report_is_written(desk, launch, past_run, root):
    path = past_run() / "views/report.html"
    for _ in range(2):  # an older report is replaced
        code, told, _ = launch("report", "past", "--root", root)
        assert code == 0
        assert told.startswith(f"{path} (")
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]
    path.write_text("mine")
    code, told, error = launch("report", "past", "--root", root)
    assert (code, told, error.count("\n")) == (2, "", 1)
    assert f"error: {path}: expected no such file or an older report" in error
    assert path.read_text() == "mine"
    assert list(desk.iterdir()) == []


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("notes.txt", "expected no such file or an older report, it is something else"),
        ("", "expected the name of a file, it is a folder"),
        ("no/one.html", "expected a file in a folder that exists"),
    ],
)
def test_what_is_no_report_is_not_replaced(desk, launch, past_run, root, out, words):
    past_run()
    (desk / "notes.txt").write_text("mine")
    code, told, error = launch("report", "past", "--root", root, "--out", desk / out)
    assert (code, told, error.count("\n")) == (2, "", 1)
    assert words in error
    assert [path.read_text() for path in desk.iterdir()] == ["mine"]


def test_a_missing_run_is_3(desk, launch):
    assert launch("report", "one", "--root", desk, "--out", desk / "one.html")[0] == 3
    assert not list(desk.iterdir())


def test_a_bomb_is_no_picture(tmp_path):
    store = LocalStore(tmp_path)
    store.write("samples/5.png", picture(1, 16).replace((16).to_bytes(4, "big"), (60_000).to_bytes(4, "big")))
    assert read_grids(store).damaged == ["samples/5.png"]


def test_the_wheel_carries_the_page(tmp_path):
    source = tmp_path / "source"
    for name in ("trainer", "launcher", "k8s", "pyproject.toml", "README.md"):
        there = Path.cwd() / name
        copy = shutil.copytree if there.is_dir() else shutil.copy
        source.mkdir(exist_ok=True)
        copy(there, source / name)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist"],
        cwd=source,
        capture_output=True,
        check=True,
    )
    [wheel] = (tmp_path / "dist").iterdir()
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"launcher/looking/report/{name}" for name in ("page.html.j2", "page.css", "page.js")} <= set(
        names
    )
