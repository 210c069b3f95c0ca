"""One trainer under a supervisor, with trainers that are a few lines of Python."""

import os
import signal
import sys

import pytest

from trainer.errors import EXIT_RESTART
from trainer.pod.log_uploader import LogCopy
from trainer.pod.trainer_process import Child, Requests
from trainer.storage import open_store


@pytest.fixture
def pod(tmp_path):
    """A function that runs a script as a trainer: the ending, the log, and the last line that tells."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    descriptor = os.open(tmp_path / "stdout", os.O_WRONLY | os.O_CREAT)
    log = LogCopy(open_store(str(tmp_path / "run")), 1, 0, descriptor)
    requests = Requests()

    def run(script, over=lambda: "", keep=60.0):
        child = Child("worker 0's trainer", log, requests, keep)
        ending = child.run([sys.executable, "-u", "-c", script], os.environ, over)
        log.close(60)
        return ending, (tmp_path / "stdout").read_text(), child.lines.message(ending.code)

    yield run
    os.close(descriptor)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("code", [0, 1, 2, 42, 7])
def test_the_trainers_exit_code_and_last_error_are_told(pod, code):
    script = f"import sys; print('out'); print('error: odd', file=sys.stderr); sys.exit({code})"
    ending, log, message = pod(script)
    assert ending == (code, "odd" if code else "")
    assert (log, message) == ("out\nerror: odd\n", "error: odd" if code else "")


def test_one_that_wants_to_be_started_again_without_a_word_is_said_so(pod):
    assert pod("import sys; sys.exit(42)")[0] == (42, "worker 0's trainer stopped to be started again")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_one_that_a_signal_ends_is_to_be_started_again(pod, number):
    ending, log, _ = pod(f"import os; print('half', end=''); os.kill(os.getpid(), {number:d})")
    assert ending == (EXIT_RESTART, f"worker 0's trainer died of {number.name}")
    assert log == "half\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_once(pod, number):
    script = f"""
import os, signal, sys, time
heard = []
signal.signal({number:d}, lambda *_: heard.append(1))
for _ in range(3):
    os.kill(os.getppid(), {number:d})
    time.sleep(0.05)
while not heard:
    time.sleep(0.01)
time.sleep(0.2)
print(len(heard))
sys.exit(42)
"""
    ending, log, _ = pod(script)
    assert (ending.code, log) == (EXIT_RESTART, "1\n")


def test_one_that_is_stopped_before_it_can_save_may_be_started_again(pod):
    ending, _, message = pod("import os, time; os.kill(os.getppid(), 15); time.sleep(60)")
    assert (ending.code, message) == (EXIT_RESTART, "")


def test_one_whose_generation_is_over_hears_why_on_its_standard_input(pod):
    script = "import sys; print('told:', input()); sys.exit(42)"
    _, log, _ = pod(script, over=lambda: "worker 1\nis gone")
    assert log == "told: worker 1 is gone\n"


def test_one_that_does_not_listen_is_killed(pod):
    ending, log, _ = pod("import time; print('deaf'); time.sleep(600)", over=lambda: "over", keep=0.5)
    assert ending == (EXIT_RESTART, "worker 0's trainer died of SIGKILL") and log == "deaf\n"


def test_one_that_was_paused_cannot_listen_and_is_killed_at_once(pod):
    ending, _, _ = pod("import os; os.kill(os.getpid(), 19)", over=lambda: "over", keep=600)
    assert ending == (EXIT_RESTART, "worker 0's trainer died of SIGKILL")


def test_what_it_leaves_behind_holds_nothing_up(pod):
    script = "import subprocess; print('done'); subprocess.Popen(['sleep', '20'])"
    assert pod(script)[:2] == ((0, ""), "done\n")


def test_what_a_trainer_says_of_the_record_outlives_it(pod, tmp_path):
    log = LogCopy(open_store(str(tmp_path / "other")), 1, 0, os.open(os.devnull, os.O_WRONLY))
    supervised = "import os; os.environ['GANTRY_SUPERVISED'] = '1'\n"
    supervised += "from trainer.environment.supervision import from_environment as told\n"
    for script, wanted in ((supervised + "told(os.environ).tell_record()\nos.abort()", True), ("", False)):
        child = Child("worker 0's trainer", log, Requests(), 60.0)
        child.run([sys.executable, "-c", script], os.environ, lambda: "")
        assert child.has_record is wanted
    log.close(60)
