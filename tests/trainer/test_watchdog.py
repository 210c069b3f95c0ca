"""Training that stands still is noticed, and nothing else is taken for it."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext

import pytest

from tests.support.runs import run_here
from tests.support.teams import PLAIN, WILD, Team
from trainer.errors import EXIT_RESTART, Diverged
from trainer.storage import open_store
from trainer.training import watchdog
from trainer.training.watchdog import Watchdog

DEADLINE_SECONDS = 60.0


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when the test says so; the watchdog looks every millisecond."""

    class Clock:
        now = 100.0
        looked = 0

        def monotonic(self):
            return self.now

        def wait(self, stopped, seconds):
            self.looked += 1
            return stopped.wait(0.001)

        def several_looks(self):
            reached = self.looked + 5
            end = time.monotonic() + DEADLINE_SECONDS
            while self.looked < reached:
                assert time.monotonic() < end
                time.sleep(0.001)

    found = Clock()
    monkeypatch.setattr(watchdog, "time", found)
    monkeypatch.setattr(watchdog, "_wait", found.wait)
    return found


@pytest.fixture
def watch():
    """A function that makes a watchdog and the list of what it has said, with an event for it."""

    def make(seconds):
        said, barked = [], threading.Event()
        return Watchdog(seconds, lambda text: (said.append(text), barked.set())), said, barked

    return make


def test_it_watches_from_the_first_step_on(clock, watch):
    dog, said, barked = watch(60)
    clock.now += 1000  # peers are waited for
    clock.several_looks()
    assert not said
    dog.beat()
    clock.now += 59
    clock.several_looks()
    assert not said
    clock.now += 2
    assert barked.wait(DEADLINE_SECONDS)
    assert said == ["no step for 61 s (the limit is 60 s); the stacks are above"]


def test_steps_keep_it_quiet_and_it_speaks_once(clock, watch):
    dog, said, barked = watch(60)
    for _ in range(5):
        dog.beat()
        clock.now += 50
        clock.several_looks()
    assert not said
    clock.now += 1000
    assert barked.wait(DEADLINE_SECONDS)
    dog.beat()
    clock.now += 10**6
    time.sleep(0.05)
    assert len(said) == 1


def test_long_steps_are_given_ten_times_the_longest(clock, watch):
    dog, said, barked = watch(60)
    for seconds in (0, 30, 20):  # calls of steps
        clock.now += seconds
        dog.beat()
    clock.now += 299
    clock.several_looks()
    assert not said
    clock.now += 2
    assert barked.wait(DEADLINE_SECONDS)
    assert "the limit is 300 s" in said[0]


def test_it_does_not_watch_while_it_is_held_and_begins_anew_after_it(clock, watch):
    dog, said, barked = watch(60)
    dog.beat()
    with dog.held():
        clock.now += 1000
        with dog.held():
            clock.several_looks()
        clock.now += 1000
        clock.several_looks()
    clock.now += 59
    clock.several_looks()
    assert not said
    clock.now += 2
    assert barked.wait(DEADLINE_SECONDS)


def test_what_it_was_held_for_does_not_count_as_a_long_step(clock, watch):
    dog, _, barked = watch(60)
    dog.beat()
    with dog.held():
        clock.now += 1000
    dog.beat()
    clock.now += 61
    assert barked.wait(DEADLINE_SECONDS)


def test_held_before_the_first_step_it_does_not_begin_to_watch(clock, watch):
    dog, said, _ = watch(60)
    with dog.held():
        clock.now += 1000
    clock.now += 1000
    clock.several_looks()
    assert not said
    dog.stop()


@pytest.mark.parametrize("held", [False, True])
def test_stopped_it_watches_no_more(clock, watch, held):
    others = threading.enumerate()
    dog, said, _ = watch(60)
    dog.beat()
    if held:
        with dog.held():
            dog.stop()
    else:
        dog.stop()
    clock.now += 1000
    end_of_watchdogs(others)
    assert not said


@pytest.mark.parametrize(("overrides", "error"), [((), None), (WILD, Diverged)])
def test_nobody_watches_when_training_has_ended_or_failed(tmp_path, overrides, error):
    others = threading.enumerate()
    with pytest.raises(error) if error else nullcontext():
        run_here(tmp_path, *overrides)
    end_of_watchdogs(others)


def end_of_watchdogs(others):
    """Wait for the end of all watchdogs but those of other tests."""
    for thread in threading.enumerate():
        if thread.name == "watchdog" and thread not in others:
            thread.join(DEADLINE_SECONDS)
            assert not thread.is_alive()


CHILD = """
import threading
from trainer.training.abort import Abort
from trainer.training.watchdog import Watchdog

def collective():
    threading.Event().wait()

dog = Watchdog(0.2, Abort().stalled)
dog.beat()
with dog.held():
    threading.Event().wait(1)
print("held long enough", flush=True)
dog.beat()
collective()
"""


def test_a_process_that_stands_still_tells_where_and_leaves_with_42():
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, timeout=DEADLINE_SECONDS)
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == 42
    assert out.startswith("held long enough\n") and " in collective" in out and " in _watch" in out
    assert err.startswith("error: no step for ") and "the stacks are above" in err


def test_a_worker_that_hangs_makes_its_peer_tell_where_it_waits_and_leave(tmp_path):
    """It hangs in its first call, which its peer compiles meanwhile: later, ten times as long is allowed."""
    patient = ("recovery.heartbeat_seconds=600", "recovery.storage_patience_seconds=1")
    store = open_store(str(tmp_path / "e" / "run"))
    sets = (*PLAIN, *patient, "recovery.stall_seconds=10", "steps=100000")
    with Team(str(tmp_path), "run", tmp_path / "logs", workers=2, sets=sets) as team:
        team.until(lambda: store.stat("status.json"))
        team.processes[1].send_signal(signal.SIGSTOP)
        assert team.processes[0].wait(2 * DEADLINE_SECONDS) == EXIT_RESTART, team.log()
        told = team.log(0)
        assert "Current thread 0x" in told and "Thread 0x" in told.replace("Current thread 0x", "")
        assert " in print_stacks" in told and " in _take_steps" in told
        assert "error: no step for " in told
        assert team.processes[1].poll() is None
