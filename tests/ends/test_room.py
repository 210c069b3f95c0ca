"""A machine that comes to an end of something while a run needs it, and the run when there is room again.

Real disks, filled, made read-only or failing, and a real limit of open files; the quota of a disk alone is a
number here. ``make test`` takes those that differ in kind, ``make test-ends`` all.
"""

import errno
import json
import os
import resource
from pathlib import Path

import psutil
import pytest

from tests.ends.disks import Disk
from tests.ends.page import record
from tests.ends.process import Asked
from tests.support.flags import set_flags
from tests.support.teams import SMALL, outcome, train
from trainer.errors import DiskFull
from trainer.storage import open_store
from trainer.storage.limits import RESERVE_BYTES, Reserve, told, trouble

pytest.importorskip("tensorflow", reason="trainers need TensorFlow")

STEPS = 300  # the first checkpoint is the signal for what happens, and the run must not be over by then
SETS = (
    *SMALL,
    f"steps={STEPS}",
    "network.generator_units=[16]",
    "network.discriminator_units=[16]",
    "checkpoints.every_steps=25",
    "samples.every_steps=150",
    "checkpoints.keep=99",  # else removing one would make room for the next
    "metrics.print_every_steps=50",
)
NAMES = ("--preset", "mlp", "--experiment", "e")
FULL, READ_ONLY = r"no space left on device", r"read-only file system"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a run leaves that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    train(str(folder / "runs"), "one", folder / "logs", sets=SETS)
    return outcome(open_store(str(folder / "runs/e/one")), STEPS)


@pytest.fixture
def disk(tmp_path, request):
    """A disk; one that can fail where the test is marked so."""
    made = Disk(tmp_path, failing="failing" in request.fixturenames)
    yield made
    made.remove()


@pytest.fixture
def failing():
    """Asks for a `disk` that can fail."""


@pytest.fixture
def play(tmp_path):
    """Starts programs of ours, and ends what is left of them."""
    started = []

    def start(*words, env=None, output=None, files=None):
        argv = ["-m", *words]
        if output:  # a file, as of ``> log 2>&1``
            argv = ["-c", _INTO, str(output), *argv]
        if files:  # as of ``ulimit -n``
            argv = ["-c", _LIMITED, str(files), *argv]
        process = Asked(*argv, env=env)
        started.append(process)
        return process

    yield start
    for process in started:
        process.close()


_INTO = """\
import os, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.dup2(file, 1), os.dup2(file, 2)
os.environ.pop("PYTHONUNBUFFERED")
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


_LIMITED = """\
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, 2 * (int(sys.argv[1]),))
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


class Run:
    """A run of the root, by hand or by the launcher."""

    def __init__(self, play, root):
        self.play, self.root = play, str(root)
        self.folder = Path(root) / "e/one"

    def trainer(self, **more):
        where = ("--root", self.root, "--run", "one", "--threads", "1")
        return self.play("trainer", "train", *NAMES, *where, *set_flags(SETS), **more)

    def submit(self, files=None):
        where = ("--root", self.root, "--name", "one", "--threads", "1")
        return self.play("launcher", "submit", *NAMES, *where, *set_flags(SETS), files=files)

    def launcher(self, verb, *more, code=0):
        """What a verb of the launcher says of it; fails unless it leaves with `code`."""
        process = self.play("launcher", verb, "e/one", "--root", self.root, *more)
        assert process.leave() == code, process.output
        assert "Traceback" not in process.output, process.output
        return process.output

    def explained(self):
        """The cause, and the first command of what mends it; the second goes on with the run."""
        said = json.loads(self.launcher("explain", "-o", "json", code=1))
        first, second = said["commands"]
        assert second[:3] == ["launcher", "resume", "e/one"]
        return said["cause"], first

    def left(self):
        """Files that nobody came to finish, since a failing disk takes no removal either.

        Those of an attempt's logs aside, a folder that no later attempt writes to.
        """
        return [left for left in self.folder.rglob(".unfinished-*") if "logs" not in left.parts]

    def age(self):
        """Have them be of long ago: the next write into its folder removes one of ten minutes."""
        for left in self.left():
            os.utime(left, (0, 0))

    def has_saved(self):
        return any(found.stat().st_size for found in self.folder.glob("checkpoints/*/manifest.json"))

    @property
    def status(self):
        return json.loads((self.folder / "status.json").read_text())

    def ends_as(self, undisturbed, room):
        """Whether it came to what it would have; `room` says what had come to an end, for the page."""
        assert outcome(open_store(str(self.folder)), STEPS) == undisturbed
        assert not self.left(), "something stays behind"
        record(room=room)


def ended(process, words, code=1):
    """What a process said that left so, with one line that says why and no traceback."""
    assert process.leave() == code, process.output
    said = process.output
    assert "Traceback" not in said, said
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and words in errors[0], said
    return errors[0]


def lowest_unused(pid):
    """A limit of open files under which a process can open no more, and has all that it has."""

    def look():
        used = {int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()}
        return next(number for number in range(len(used) + 1) if number not in used)

    return min(look() for _ in range(50))  # a file may be open at one moment


def limit_files(pid):
    """Let a process open no more files."""
    number = lowest_unused(pid)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (number, number))


def test_a_full_disk_under_a_run_of_the_launcher(disk, play, undisturbed):
    run = Run(play, disk.folder / "runs")
    process = run.submit()
    process.until(run.has_saved)
    disk.fill()
    ended(process, FULL)
    written = json.loads((run.folder / "local.json").read_text())
    assert written["ended"] and written["exit_code"] == 1
    assert (run.status["state"], FULL in run.status["message"]) == ("failed", True)
    assert run.explained()[0] == "disk-full"
    assert run.launcher("resume", code=1).startswith("error: "), (
        "it must not be tried while nothing has changed"
    )
    disk.make_room()
    run.launcher("resume")
    run.ends_as(undisturbed, "a disk is full: run, logs and the record of the supervisor")
    disk.fill()
    run.launcher("delete", "--artifacts", "--yes")
    assert not run.folder.exists()


def test_a_disk_that_fails_under_a_run_of_the_launcher(disk, failing, play, undisturbed):
    run = Run(play, disk.folder / "runs")
    process = run.submit()
    process.until(run.has_saved)
    disk.fail()
    ended(process, READ_ONLY)
    assert "is read-only, so that nobody could write down how the run ended" in run.launcher("status")
    assert run.explained() == ("disk-read-only", ["findmnt", "--target", run.root])
    disk.mend()
    run.age()
    run.launcher("resume")
    run.ends_as(undisturbed, "a disk fails (ext4): run, logs and the record of the supervisor")


def test_too_many_open_files_then_a_log_on_a_full_disk(disk, play, tmp_path, undisturbed):
    run = Run(play, tmp_path / "runs")
    process = run.trainer()
    process.until(run.has_saved)
    limit_files(process.pid)
    ended(process, "too many open files (this process may have ")
    assert (run.status["state"], "too many open files" in run.status["message"]) == ("failed", True)
    disk.fill()
    log = disk.folder / "log"
    process = run.trainer(output=log)
    assert process.leave() == 0, process.output + log.read_text()
    assert not log.read_text(), "there was room after all"
    run.ends_as(undisturbed, "a trainer may open no more files, then its output goes to a full disk")


@pytest.mark.parametrize("verb", ["submit", "trainer"])
def test_a_run_that_has_no_room_is_not_begun(disk, play, verb):
    disk.fill(leave=20_000)
    run = Run(play, disk.folder / "runs")
    ended(getattr(run, verb)(), f"{FULL} (make room there)")
    assert [path.name for path in disk.folder.rglob("*")] == ["ballast"]


def test_a_supervisor_that_may_open_too_few_files_starts_nothing(play, tmp_path):
    run = Run(play, tmp_path / "runs")
    ended(run.submit(files=9), "did not start: ")
    assert not run.folder.exists()


@pytest.mark.ends
def test_a_full_disk_under_a_trainer(disk, play, undisturbed):
    run = Run(play, disk.folder / "runs")
    process = run.trainer()
    process.until(run.has_saved)
    disk.fill()
    ended(process, FULL)
    assert (run.status["state"], FULL in run.status["message"]) == ("failed", True)
    assert not [*run.folder.rglob(".unfinished-*")]
    disk.make_room()
    assert run.trainer().leave() == 0
    run.ends_as(undisturbed, "a disk is full: the folder of a run without a launcher")


@pytest.mark.ends
@pytest.mark.parametrize("how", ["fill", "make_read_only"])
def test_a_scratch_folder_that_takes_no_more(disk, play, tmp_path, undisturbed, how):
    run = Run(play, tmp_path / "runs")
    process = run.trainer(env={"TMPDIR": str(disk.folder)})
    process.until(run.has_saved)
    getattr(disk, how)()
    words = FULL if how == "fill" else READ_ONLY
    assert f"scratch folder {disk.folder}" in ended(process, words)
    assert (run.status["state"], words in run.status["message"]) == ("failed", True)
    disk.make_room() if how == "fill" else disk.mend()
    assert run.trainer(env={"TMPDIR": str(disk.folder)}).leave() == 0
    which = "full" if how == "fill" else "mounted read-only"
    run.ends_as(undisturbed, f"a disk is {which}: the scratch folder")


@pytest.mark.ends
def test_a_disk_that_somebody_makes_read_only_under_a_trainer(disk, play, undisturbed):
    run = Run(play, disk.folder / "runs")
    process = run.trainer()
    process.until(run.has_saved)
    disk.make_read_only()
    ended(process, READ_ONLY)
    assert run.status["state"] == "running"  # nobody could write anything else
    assert "is read-only, so that nobody could write down how the run ended" in run.launcher("status")
    ended(run.trainer(), READ_ONLY, code=2)
    disk.mend()
    run.age()
    assert run.trainer().leave() == 0
    run.ends_as(undisturbed, "a disk is mounted read-only: the folder of a run without a launcher")


@pytest.mark.ends
def test_a_supervisor_that_can_open_no_more_files(play, tmp_path, undisturbed):
    run = Run(play, tmp_path / "runs")
    process = run.submit()
    process.until(run.has_saved)
    written = json.loads((run.folder / "local.json").read_text())
    limit_files(written["supervisor"]["pid"])
    run.launcher("cancel")
    assert process.leave() == 42, process.output
    written = json.loads((run.folder / "local.json").read_text())
    assert written["ended"] and written["cancelled"] and run.status["state"] == "stopped"
    run.launcher("resume")
    run.ends_as(undisturbed, "a supervisor may open no more files, and the run is cancelled")


@pytest.mark.ends
def test_a_disk_that_is_full_when_a_run_is_asked_to_stop(disk, play, undisturbed):
    run = Run(play, disk.folder / "runs")
    process = run.submit()
    process.until(run.has_saved)
    worker = psutil.Process(json.loads((run.folder / "local.json").read_text())["processes"][0]["pid"])
    worker.suspend()
    disk.fill()
    stopping = play("launcher", "cancel", "e/one", "--root", run.root)
    process.until(lambda: json.loads((run.folder / "local.json").read_text())["cancelled"])
    worker.resume()
    stopping.leave()
    ended(process, FULL)
    assert run.status["state"] == "failed"
    disk.make_room()
    run.launcher("resume")
    run.ends_as(undisturbed, "a disk is full, and the run is cancelled")


def test_a_quota_is_said_as_what_it_is():
    found = told(OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), "runs/e/one/status.json")
    assert isinstance(found, DiskFull)
    assert str(found).startswith("runs/e/one/status.json: disk quota exceeded (")


def test_what_is_kept_for_the_last_words_is_seen_by_nobody(tmp_path):
    store, reserve = open_store(str(tmp_path / "run")), Reserve(tmp_path / "run")
    store.write("run.json", b"{}")
    reserve.keep()
    Reserve(tmp_path / "run").keep()  # it is there, of a process that was killed
    assert [path.stat().st_size for path in (tmp_path / "run").iterdir()].count(RESERVE_BYTES) == 1
    assert [found.name for found in store.list()] == ["run.json"]
    reserve.free()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]
    Reserve("gs://bucket/run").keep()
    assert not Path("gs:").exists()


def test_a_disk_is_asked_without_leaving_anything(disk):
    assert trouble(disk.folder / "not" / "there") is None
    disk.fill(leave=RESERVE_BYTES // 2)
    assert str(trouble(disk.folder)) == f"{disk.folder}: no space left on device (make room there)"
    assert [path.name for path in disk.folder.iterdir()] == ["ballast"]
