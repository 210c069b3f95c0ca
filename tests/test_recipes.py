"""CONTRIBUTING's recipes, each followed once in a copy of the source: it works, and few files change."""

import subprocess
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import NamedTuple

import pytest

PROJECT = Path(__file__).parents[1]


class Copy(NamedTuple):
    """A copy of the source, in which a recipe is followed."""

    path: Path

    def write(self, name, text):
        file = self.path / name
        assert not file.exists()
        file.write_text(text)

    def change(self, name, old, new):
        file = self.path / name
        text = file.read_text()
        assert text.count(old) == 1, (name, old)
        file.write_text(text.replace(old, new))

    def touched(self):
        """Files that are new or differ."""
        return sorted(
            str(file.relative_to(self.path))
            for file in self.path.rglob("*")
            if file.is_file()
            and "__pycache__" not in file.parts
            and (
                not (PROJECT / file.relative_to(self.path)).exists()
                or (PROJECT / file.relative_to(self.path)).read_bytes() != file.read_bytes()
            )
        )

    @property
    def elsewhere(self):
        """A folder beside it, where commands run."""
        return self.path.parent

    def python(self, *words):
        """Python with the copy's packages."""
        return subprocess.run(
            [sys.executable, *words],
            env={"PYTHONPATH": str(self.path), "PATH": "/usr/bin:/bin", "HOME": str(self.elsewhere)},
            cwd=self.elsewhere,
            capture_output=True,
            text=True,
            timeout=150,
        )

    def run(self, *words):
        """A module of the copy."""
        return self.python("-m", *words)


@pytest.fixture
def copy(tmp_path):
    for folder in ("trainer", "launcher", "k8s"):
        copytree(PROJECT / folder, tmp_path / "copy" / folder, ignore=ignore_patterns("__pycache__"))
    return Copy(tmp_path / "copy")


SHORT = ("--set", "steps=2", "--set", "batch_size=8", "--set", "xla=off")


def trains(copy, *more):
    """Whether two steps are taken and a generator is exported."""
    told = ("--root", "runs", "--experiment", "e", "--run", "one", "--threads", "1", *SHORT, *more)
    done = copy.run("trainer", "train", "--preset", "mlp", *told)
    assert done.returncode == 0, done.stderr
    run = copy.elsewhere / "runs/e/one"
    assert (run / "export/generator.keras").exists() and (run / "export/loss.png").exists()
    return done.stdout


def test_a_preset(copy):
    copy.write("trainer/config/presets/tiny.yaml", "description: A tiny one\nbatch_size: 8\nsteps: 20\n")
    assert "A tiny one" in copy.run("trainer", "presets").stdout
    assert "batch_size: 8" in copy.run("trainer", "config", "--preset", "tiny").stdout
    assert copy.touched() == ["trainer/config/presets/tiny.yaml"]


TINY = '''
"""One product each."""

import math
from typing import Literal

from trainer.networks import ends
from trainer.networks.builder import GLOROT, Architecture, LatentSize


class Tiny(Architecture):
    """One product each."""

    name: Literal["tiny"]
    """Kind of network."""
    latent_size: LatentSize = 7
    """Entries of z."""

    def generator(self, builder, image, conditioning):
        x = ends.latents(builder, self.latent_size, conditioning)
        x = builder.dense(x, math.prod(image.shape), "pixels", activation="tanh")
        return builder.reshape(x, image.shape, "image")

    def discriminator(self, builder, image, conditioning):
        x, label = ends.image(builder, image.shape, conditioning, flat=True)
        return ends.logits(builder, x, label, conditioning, GLOROT)
'''


SEVEN = '''
"""A game that nobody can win."""

from trainer.losses import Loss

LOSS = Loss(lambda real, fake: (0 * real + 3, 0 * fake + 4), lambda real, fake: 0 * fake + 3)
'''


def test_an_architecture_a_loss_and_a_metric(copy):
    """Each by its own recipe; one run trains with all three."""
    networks, losses = "trainer/networks/__init__.py", "trainer/losses/__init__.py"
    copy.write("trainer/networks/tiny.py", TINY)
    copy.change(networks, " | R3gan\n", " | R3gan | Tiny\n")
    copy.change(networks, "import Mlp\n", "import Mlp\nfrom trainer.networks.tiny import Tiny\n")
    assert copy.touched() == [networks, "trainer/networks/tiny.py"]

    copy.write("trainer/losses/seven.py", SEVEN)
    copy.change(losses, 'Literal["bce",', 'Literal["seven", "bce",')
    row = '    "seven": About("a game that nobody can win", "nobody"),\n'
    copy.change(losses, "LOSSES: Mapping[Name, About] = {\n", "LOSSES: Mapping[Name, About] = {\n" + row)
    assert copy.touched()[:2] == [losses, "trainer/losses/seven.py"]

    row = 'Metric("seconds_per_step", "s/step", "step", "seconds a step", SPEED, -1, timed=True)'
    copy.change("trainer/metrics.py", ")\nBY_NAME", f"    {row},\n)\nBY_NAME")
    copy.change("trainer/metrics.py", "(RATE,) = TIMED\n", "RATE, _ = TIMED\n")
    rate = "        entry[RATE] = round(rate, 1)\n"
    computed = '        entry["seconds_per_step"] = self._config.batch_size / rate\n'
    copy.change("trainer/training/chief.py", rate, rate + computed)
    assert copy.touched()[2:] == [
        "trainer/metrics.py", networks, "trainer/networks/tiny.py", "trainer/training/chief.py",
    ]  # fmt: skip

    chosen = ("--set", "network.name=tiny", "--set", "loss=seven")
    assert "6,272 parameters" in copy.run("trainer", "describe", "--preset", "mlp", *chosen).stdout
    estimate = copy.run("launcher", "submit", "--backend", "local", "--preset", "mlp", *chosen, "--estimate")
    assert estimate.returncode == 0 and "7,057" in estimate.stdout, (estimate.stdout, estimate.stderr)
    said = trains(copy, *chosen, "--set", "metrics.every_steps=1")
    assert "[D loss: 7.0000 |" in said and "[G loss: 3.0000]" in said
    assert "a game that nobody can win" in copy.run("trainer", "parts").stdout
    told = copy.run("launcher", "metrics", "one", "--root", "runs", "--csv")
    assert "seconds_per_step" in told.stdout.splitlines()[0]
    report = copy.run("launcher", "report", "one", "--root", "runs", "--out", "report.html")
    assert report.returncode == 0, report.stderr
    assert "seconds a step" in (copy.elsewhere / "report.html").read_text()


GREY = '''
"""Nothing but grey."""

import numpy as np

from trainer.data.sources import ArraySource


def open_images(rest, shape, look):
    """300 grey images."""
    return ArraySource(look.name, np.full((300, *(shape or (28, 28, 1))), 128, np.uint8), shape)
'''


def test_a_data_source(copy):
    """It is shown, and submitted, surveyed and trained with."""
    copy.write("trainer/data/grey.py", GREY)
    table = "trainer/config/sources.py"
    copy.change(table, '    Kind("npz",', '    Kind("grey", "", "grey"),\n    Kind("npz",')
    assert "300 of 28x28x1" in copy.run("trainer", "data", "show", "grey", "--out", "grid.png").stdout
    told = ("--preset", "mlp", "--data", "grey", "--workers", "1", "--threads", "1", *SHORT, "--root", "runs")
    done = copy.run("launcher", "submit", "--backend", "local", *told)
    assert done.returncode == 0 and "finished 2 steps" in done.stdout, (done.stdout, done.stderr)
    assert copy.touched() == [table, "trainer/data/grey.py"]


HELLO = '''
"""`launcher hello`."""

import typer


def hello() -> None:
    """Say hello.

    Example: launcher hello
    """
    typer.echo("hello")
'''


def test_a_command(copy):
    copy.write("launcher/commands/hello.py", HELLO)
    cli = "launcher/cli.py"
    copy.change(cli, '        "wait": wait,\n', '        "wait": wait,\n        "hello": hello,\n')
    imported = "from launcher.commands.wait import wait\n"
    copy.change(cli, imported, "from launcher.commands.hello import hello\n" + imported)
    assert copy.run("launcher", "hello").stdout == "hello\n"
    assert "## launcher hello" in copy.run("launcher.reference").stdout
    assert copy.touched() == [cli, "launcher/commands/hello.py"]


CAUSE = '''
"""The moon."""

from launcher.diagnosis.explain.base import Cause

MOON = Cause("moon", "The moon is full", "Nothing", "Wait", lambda facts: None)
'''


def test_a_cause(copy):
    copy.write("launcher/diagnosis/explain/causes/moon.py", CAUSE)
    table = "launcher/diagnosis/explain/causes/__init__.py"
    copy.change(table, "    *ENDED,\n)", "    *ENDED,\n    MOON,\n)")
    copy.change(table, "\nCAUSES:", "from launcher.diagnosis.explain.causes.moon import MOON\n\nCAUSES:")
    assert "The moon is full" in copy.run("launcher.diagnosis.explain.table").stdout
    assert copy.touched() == [table, "launcher/diagnosis/explain/causes/moon.py"]


DISK = '''
"""A disk by another name."""

from trainer.storage.local import LocalStore


class DiskStore(LocalStore):
    """A folder of a disk."""
'''


def test_a_storage(copy):
    copy.write("trainer/storage/disk.py", DISK)
    table = "trainer/storage/__init__.py"
    line = '    if url.startswith("disk://"):\n        return DiskStore(url.removeprefix("disk://"))\n'
    line += '    if "://" in url:\n'
    copy.change(table, '    if "://" in url:\n', line)
    copy.change(
        table, "import LocalStore\n", "import LocalStore\nfrom trainer.storage.disk import DiskStore\n"
    )
    code = "from trainer.storage import open_store\nstore = open_store('disk://kept')\n"
    code += "store.write('a/b', b'c', if_generation=0)\nprint(type(store).__name__, store.read('a/b'))"
    done = copy.python("-c", code)
    assert done.stdout == "DiskStore b'c'\n", done.stderr
    assert copy.touched() == [table, "trainer/storage/disk.py"]
