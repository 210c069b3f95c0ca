"""Grids of a run: found, copied, filmed with one palette, drawn as characters, opened."""

import io
import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from launcher.cli import main
from launcher.errors import NotInstalled, SpecError, Unsupported
from launcher.looking.samples import choose, fetch, list_grids, make_film
from launcher.looking.samples.blocks import blocks, from_picture
from launcher.looking.samples.film import encode
from launcher.looking.samples.pictures import Damaged
from launcher.looking.samples.viewer import viewer
from launcher.records.run_folder import find_run
from trainer.errors import AccessError, GantryError
from trainer.pictures.grid import encode_png, tile


def grid(step, channels=1):
    """A grid of four images as a trainer draws it, another one for each step."""
    random = np.random.default_rng(step)
    return encode_png(tile(random.integers(0, 256, (4, 8, 8, channels), np.uint8), 2, 2))


@pytest.fixture
def run(past_run, root):
    """A run with grids of three steps, whose names sort otherwise than their numbers."""

    def make(steps=(1000, 200, 30), channels=1):
        folder = past_run("one")
        (folder / "samples").mkdir()
        for step in steps:
            (folder / f"samples/{step}.png").write_bytes(grid(step, channels))
        return find_run(root, "one")

    return make


def test_grids_are_in_order_of_steps_and_the_newest_is_fetched(run, tmp_path):
    found = run()
    grids = list_grids(found.store)

    fetched = fetch(found, choose(found, grids), tmp_path / "deep/er")

    assert [each.step for each in grids] == [30, 200, 1000]
    assert fetched.path == str(tmp_path / "deep/er/one-1000.png")
    assert Path(fetched.path).read_bytes() == grid(1000)


def test_a_step_is_found_or_the_nearest_ones_are_named(run):
    found = run(range(10, 130, 10))
    grids = list_grids(found.store)

    assert choose(found, grids, 70).step == 70
    with pytest.raises(SpecError, match=r"--step 64: .*it has 40, 50, 60, 70, 80 \(the nearest of 12\)"):
        choose(found, grids, 64)


def test_a_run_without_samples_says_when_there_will_be_one(run):
    found = run(())
    with pytest.raises(
        SpecError, match="run 'one' has no samples yet: a grid is drawn after step 1000 at the latest"
    ):
        choose(found, [])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_film_has_every_grid_in_order_in_one_palette_and_holds_the_last(run, tmp_path, channels):
    film = make_film(run(channels=channels), tmp_path / "film.gif", fps=10)

    with Image.open(film.path) as picture:
        times, pixels = [], []
        for index in range(picture.n_frames):
            picture.seek(index)
            times.append(picture.info["duration"])
            pixels.append(np.asarray(picture.convert("RGB"), float))
        assert picture.info["loop"] == 0
    assert film.steps == [30, 200, 1000]
    assert times == [100, 100, 2100]
    for step, shown in zip(film.steps, pixels, strict=True):
        true = Image.open(io.BytesIO(grid(step, channels))).convert("RGB")
        large = np.asarray(true.resize(shown.shape[1::-1], Image.Resampling.NEAREST), float)
        # Grey is exact; of 768 random colours, 256 are left.
        assert np.abs(large - shown).mean() <= (0 if channels == 1 else 20)


def test_one_palette_serves_all_frames_of_a_film_in_colour():
    colours = [(250, 10, 10), (10, 250, 10), (10, 10, 250)]
    content = encode([Image.new("RGB", (32, 32), colour) for colour in colours], 5)

    with Image.open(io.BytesIO(content)) as picture:
        shown = []
        for index in range(3):
            picture.seek(index)
            shown.append(picture.convert("RGB").getpixel((5, 5)))
    assert np.abs(np.array(shown) - np.array(colours)).max() <= 6


def test_numbers_are_written_below_the_frames_and_not_over_them(run, tmp_path):
    found = run((10, 20))
    plain = Image.open(make_film(found, tmp_path / "a.gif").path)
    numbered = Image.open(make_film(found, tmp_path / "b.gif", numbers=True).path)

    assert numbered.width == plain.width
    assert numbered.height > plain.height
    above = numbered.convert("L").crop((0, 0, *plain.size))
    assert above.tobytes() == plain.convert("L").tobytes()
    strip = np.asarray(numbered.convert("L"))[plain.height :]
    assert strip.min() < 64
    assert strip.max() == 255


def test_a_damaged_grid_is_left_out_of_the_film_and_named(run, tmp_path):
    found = run()
    found.store.write("samples/200.png", grid(200)[:60])

    film = make_film(found, tmp_path / "film.gif")

    assert film.steps == [30, 1000]
    assert film.damaged == ["samples/200.png"]
    for step in film.steps:
        found.store.write(f"samples/{step}.png", b"no picture")
    with pytest.raises(GantryError, match="every grid is damaged"):
        make_film(found, tmp_path / "other.gif")
    assert not (tmp_path / "other.gif").exists()


def test_a_film_that_cannot_be_written_is_refused_by_name(run, tmp_path):
    found = run()
    with pytest.raises(AccessError, match=r"--gif .*there is no folder"):
        make_film(found, tmp_path / "absent/film.gif")
    (tmp_path / "folder.gif").mkdir()
    with pytest.raises(AccessError, match=r"--gif .*folder\.gif: cannot be written"):
        make_film(found, tmp_path / "folder.gif")


def printed(renderable, **options):
    stream = io.StringIO()
    console = Console(file=stream, width=80, legacy_windows=False, **options)
    console.print(renderable)
    return stream.getvalue()


@given(
    width=st.integers(1, 60), height=st.integers(1, 60), columns=st.integers(1, 80), lines=st.integers(1, 40)
)
def test_blocks_fit_and_are_never_enlarged(width, height, columns, lines):
    drawn = blocks(encode_png(np.zeros((height, width, 1), np.uint8)), "grid", columns, lines)

    assert 1 <= drawn.width <= min(columns, width)
    assert 1 <= drawn.height <= min(lines, (height + 1) // 2)


def test_blocks_have_the_colours_of_two_pixels_in_each_cell():
    picture = Image.new("RGB", (2, 2), (255, 0, 0))
    picture.putpixel((1, 0), (0, 255, 0))
    picture.putpixel((1, 1), (0, 0, 255))
    drawn = from_picture(picture, 2, 2)

    text = printed(drawn, force_terminal=True, color_system="truecolor")
    assert text.count("▀") == 2
    assert "38;2;255;0;0;48;2;255;0;0" in text
    assert "38;2;0;255;0;48;2;0;0;255" in text
    fewer = printed(drawn, force_terminal=True, color_system="256")
    assert "38;5;" in fewer
    assert "38;2;" not in fewer


def test_without_colours_blocks_are_characters_from_dark_to_bright():
    picture = Image.new("RGB", (2, 2), (255, 255, 255))
    picture.putpixel((0, 0), (0, 0, 0))
    picture.putpixel((0, 1), (0, 0, 0))
    assert printed(from_picture(picture, 2, 2)) == " @\n"
    assert printed(from_picture(picture, 2, 2), force_terminal=True, no_color=True) == " @\n"


def test_blocks_are_ascii_where_the_encoding_has_nothing_else():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(file=stream, width=80, force_terminal=True, color_system="truecolor")
    console.print(blocks(grid(1), "grid", 20))
    stream.flush()
    text = stream.buffer.getvalue().decode()
    assert text.isascii()
    assert "48;2;" in text


def test_what_is_no_picture_is_named():
    with pytest.raises(Damaged, match=r"samples/1\.png: damaged, expected a PNG picture"):
        blocks(b"no picture", "samples/1.png", 10)


def test_without_pillow_one_line_says_what_to_install(run, tmp_path, monkeypatch):
    found = run()
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(NotInstalled, match=r"pillow is not installed: pip install 'gantry\[look\]'"):
        make_film(found, tmp_path / "film.gif")


def test_a_viewer_needs_a_display_and_a_program(tmp_path):
    with pytest.raises(Unsupported, match="--open: there is no display here"):
        viewer("linux", {"PATH": str(tmp_path)})
    with pytest.raises(NotInstalled, match="--open: xdg-open is not installed"):
        viewer("linux", {"PATH": str(tmp_path), "WAYLAND_DISPLAY": "wayland-0"})
    for name in ("open", "xdg-open"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert viewer("darwin", {"PATH": str(tmp_path)}) == str(tmp_path / "open")
    assert viewer("linux", {"PATH": str(tmp_path), "DISPLAY": ":0"}) == str(tmp_path / "xdg-open")


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def call(root, desk, monkeypatch, capsys):
    """`launcher samples …` in an empty working folder, in this process."""

    def run(*words, name="one", **env):
        for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(variable, raising=False)
        for variable, value in {"COLUMNS": "80", **env}.items():
            monkeypatch.setenv(variable, value)
        with pytest.raises(SystemExit) as left:
            main(["samples", name, "--root", root, *words])
        return Done(left.value.code, *capsys.readouterr())

    return run


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*"))


def test_the_command_says_where_the_newest_grid_is_and_writes_nothing(run, call, desk, root):
    run()
    before, path = files(root), f"{root}/gan/one/samples/1000.png"
    done = call()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{path}: step 1000, ")
    assert json.loads(call("-o", "json").stdout)["path"] == path
    assert call("--step", "30").stdout.startswith(f"{root}/gan/one/samples/30.png: step 30, ")
    assert (files(desk), files(root)) == ([], before)


def test_a_file_that_is_named_is_written(run, call, desk):
    run()
    done = call("--out", "newest.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("newest.png: step 1000, ")
    assert call("--to", "folder").returncode == 0  # as it was called before
    assert (desk / "newest.png").read_bytes() == (desk / "folder/one-1000.png").read_bytes() == grid(1000)


def test_real_images_are_shown_where_the_run_has_drawn_some(run, call, desk, root):
    found = run()
    for words in (["--real"], ["--real", "-o", "json"]):
        none = call(*words)
        assert (none.returncode, none.stdout, none.stderr.count("\n")) == (2, "", 1)
        assert "--real: run 'one' has no samples/real.png" in none.stderr
    found.store.write("samples/real.png", grid(7))
    found.store.write("samples/0.png", grid(0))

    assert call("--real").stdout.startswith(f"{root}/gan/one/samples/real.png: real images, ")
    done = json.loads(call("--real", "--out", "out", "-o", "json").stdout)
    assert (done["step"], done["path"]) == (None, "out/one-real.png")
    assert (desk / "out/one-real.png").read_bytes() == grid(7)
    assert call("--real", "--print").stdout.splitlines()[-1].startswith("real images, drawn ")
    # They are no grid of the generator's: neither the newest nor a frame.
    assert [each.step for each in list_grids(found.store)] == [0, 30, 200, 1000]
    assert "step 1000" in call().stdout
    assert "step 0" in call("--step", "0").stdout
    assert make_film(found, desk / "film.gif").steps == [0, 30, 200, 1000]


def test_a_film_of_grids_of_two_sizes_shows_each_whole(run, desk):
    found = run((10, 20))
    old = Image.open(io.BytesIO(grid(5))).resize(
        (22, 22), Image.Resampling.NEAREST
    )  # as runs of version 0.1 have
    small = io.BytesIO()
    old.save(small, "PNG")
    found.store.write("samples/5.png", small.getvalue())

    film = make_film(found, desk / "film.gif", numbers=True)

    with Image.open(film.path) as picture:
        for index, step in enumerate(film.steps):
            picture.seek(index)
            shown = picture.convert("L").crop((0, 0, 418, 418))
            assert shown.tobytes() == Image.open(io.BytesIO(grid(step))).tobytes()


def test_the_command_reports_a_copy_and_a_film_as_data(run, call, desk):
    run()
    done = call("--step", "200", "--to", "out", "-o", "json")
    assert json.loads(done.stdout) == {
        "run": "one",
        "experiment": "gan",
        "step": 200,
        "path": "out/one-200.png",
        "bytes": len(grid(200)),
    }
    film = json.loads(call("--gif", "film.gif", "--numbers", "-o", "json").stdout)["gif"]
    assert film["steps"] == [30, 200, 1000]
    assert film["bytes"] == (desk / "film.gif").stat().st_size
    assert sorted(path.name for path in desk.iterdir()) == ["film.gif", "out"]


def test_the_command_draws_and_copies_nothing(run, call, desk):
    run()
    done = call("--print")
    assert done.returncode == 0
    *rows, told = done.stdout.splitlines()
    assert len(rows) == 100 and {len(row) for row in rows} == {
        200
    }  # two pixels below one another in each cell
    assert told.startswith("step 1000, drawn ")
    assert list(desk.iterdir()) == []


def test_the_command_opens_the_grid_with_the_systems_viewer(run, call, desk, tmp_path, root):
    run()
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/xdg-open"
    program.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\nexit $(cat {tmp_path}/code)\n')
    program.chmod(0o755)
    path = f"{tmp_path}/bin:{os.environ['PATH']}"

    (tmp_path / "code").write_text("0")
    done = call("--open", DISPLAY=":9", PATH=path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "opened").read_text() == f"{root}/gan/one/samples/1000.png\n"

    (tmp_path / "code").write_text("4")
    done = call("--open", DISPLAY=":9", PATH=path)
    assert done.returncode == 1
    assert "samples/1000.png left with exit code 4" in done.stderr
    assert files(desk) == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--open"], "there is no display here"),
        (["--gif", "a.gif", "--step", "30"], "--gif a.gif and --step 30: expected one of the two"),
        (["--gif", "a.png"], "--gif a.png: expected a name that ends with .gif"),
        (["--print", "-o", "json"], "--print and --output json: expected one of the two"),
        (["--step", "31"], "--step 31: run 'one' has no grid of that step; it has 30, 200, 1000"),
        (["--gif", "a.gif", "--fps", "0"], "--fps"),
        (["--out", "file/below"], "--out file/below: cannot be made a folder"),
        (["--out", "a.jpg"], "--out a.jpg: expected a name that ends with .png, or a folder"),
        (["--real", "--step", "30"], "--real and --step 30: expected one of the two"),
    ],
)
def test_what_cannot_be_is_one_line_and_writes_nothing(run, call, desk, words, line):
    run()
    (desk / "file").write_text("")
    done = call(*words)
    assert done.returncode == 2
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in desk.iterdir()] == ["file"]


def test_no_such_run_is_exit_code_3(run, call):
    run()
    assert call(name="two").returncode == 3
