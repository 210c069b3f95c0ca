"""The supervisor alone: trainers that are a script of endings, and a meeting that is always complete."""

from collections import deque

import pytest

from trainer.environment.supervision import KEEP_SECONDS
from trainer.errors import EXIT_COLLAPSED, EXIT_DONE, EXIT_FAILED, EXIT_RESTART, EXIT_USER, RunLost
from trainer.pod import supervisor, worker
from trainer.pod.rendezvous import Alone
from trainer.pod.supervisor import RestartBudget, Supervisor
from trainer.pod.trainer_process import Ending
from trainer.run import index, lease, status

LOST = Ending(EXIT_RESTART, "worker 1's trainer died of SIGKILL")
DONE = Ending(EXIT_DONE, "")


class Host:
    """What a supervisor sees and does, on paper."""

    def __init__(self, *endings, steps=(), finished=()):
        self.endings, self.steps, self.finished = deque(endings), deque(steps), deque(finished)
        self.asked, self.told, self.said, self.runs, self.before = "", [], [], [], None
        self.lost = None

    def run(self, generation, restarts, because, over):
        self.runs.append((generation.number, restarts, because))
        ending = self.endings.popleft()
        if callable(ending):
            ending = ending(self)
        return ending

    def newest_step(self):
        return self.steps.popleft() if self.steps else 0

    def restarts_before(self):
        return self.before

    def check_record(self):
        if self.lost:
            raise self.lost

    def is_finished(self):
        return self.finished.popleft() if self.finished else False

    def tell(self, state, message, restarts):
        self.told.append((state, message, restarts))

    def say(self, text):
        self.said.append(text)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(supervisor, "_LONGEST_PAUSE_SECONDS", 0.0)


def supervise(host, *, limit=2, leads=True, meeting=None):
    meeting = meeting or Alone()
    return Supervisor(host, meeting, leads=leads, limit=limit, peer_seconds=1).run()


@pytest.mark.parametrize("code", [EXIT_DONE, EXIT_FAILED, EXIT_USER, EXIT_COLLAPSED, 7])
def test_what_is_no_wish_to_be_started_again_is_passed_on(code):
    host = Host(Ending(code, "because"))
    assert supervise(host) == code
    assert host.runs == [(1, 0, "")] and host.told == []


def test_a_trainer_that_dies_is_started_again_and_the_run_tells_why():
    host = Host(LOST, DONE, steps=[0, 40])
    assert supervise(host) == EXIT_DONE
    assert host.runs == [(1, 0, ""), (2, 1, LOST.text)]
    expected = f"{LOST.text}; all workers go on from step 40 (restart 1)"
    assert host.told == [("restarting", expected, 1)]
    assert host.said == [f"starting again: {expected}"]


def test_restarts_without_progress_are_capped_and_the_last_reason_is_told():
    host = Host(LOST, LOST, LOST, steps=[0, 40])
    host.steps = deque([40, 40, 40, 40])
    assert supervise(host, limit=2) == EXIT_FAILED
    assert len(host.runs) == 3
    state, message, restarts = host.told[-1]
    assert (state, restarts) == ("failed", 2)
    assert message == f"2 restarts brought no newer checkpoint than step 40; the last reason: {LOST.text}"
    assert host.said[-1] == f"error: {message}"


@pytest.mark.parametrize("leads", [True, False])
def test_a_trainer_is_not_started_again_for_a_run_whose_record_is_gone(leads):
    def ending(host):
        host.lost = RunLost("run.json is gone")
        return LOST

    host = Host(ending)
    with pytest.raises(RunLost):
        supervise(host, leads=leads)
    assert len(host.runs) == 1


def test_progress_makes_up_for_restarts():
    host = Host(*[LOST] * 6, DONE, steps=[0, 10, 20, 20, 30, 40, 40])
    assert supervise(host, limit=2) == EXIT_DONE
    assert [restarts for _, restarts, _ in host.runs] == list(range(7))


def test_storage_that_cannot_be_asked_is_no_progress():
    host = Host(LOST, LOST, steps=[None, None, None])
    assert supervise(host, limit=1) == EXIT_FAILED


def test_only_the_chiefs_pod_counts_and_tells():
    host = Host(*[LOST] * 9, DONE)
    assert supervise(host, limit=2, leads=False) == EXIT_DONE
    assert host.told == [] and len(host.runs) == 10


def test_a_pod_that_is_asked_to_stop_starts_nothing_again():
    def ending(host):
        host.asked = "SIGTERM"
        return LOST

    host = Host(ending)
    assert supervise(host) == EXIT_RESTART
    assert len(host.runs) == 1 and host.told == []


def test_a_pod_that_was_asked_before_training_never_trains():
    class Waiting(Alone):
        def gather(self, seconds, say, pause):
            pause(0)
            raise AssertionError("went on waiting")

    host = Host()
    host.asked = "SIGTERM"
    assert supervise(host, meeting=Waiting()) == EXIT_RESTART
    assert host.runs == []


def test_a_run_that_is_finished_needs_no_trainer():
    host = Host(finished=[True])
    assert supervise(host) == EXIT_DONE
    assert host.runs == [] and host.said == ["the run is finished"]


def test_a_worker_whose_peers_finished_without_it_waits_for_nobody():
    class Nobody(Alone):
        def gather(self, seconds, say, pause):
            while True:
                pause(0)

    host = Host(finished=[False, True, True])
    assert supervise(host, leads=False, meeting=Nobody()) == EXIT_DONE


def test_others_hear_how_our_trainer_ended_and_their_reason_wins():
    class Meeting(Alone):
        heard = ()

        def over(self):
            return "worker 2 (pod gan-2-x) is gone or does not answer"

        def end(self, reason, done=False):
            self.heard = (*self.heard, (reason, done))

    meeting, host = Meeting(), Host(Ending(EXIT_RESTART, "worker 0 lost a peer"), DONE)
    assert supervise(host, meeting=meeting) == EXIT_DONE
    assert meeting.heard == (("worker 0 lost a peer", False), ("", True))
    assert host.runs[1][2] == "worker 2 (pod gan-2-x) is gone or does not answer"


def test_patience_pauses_only_from_the_second_restart_in_vain(monkeypatch):
    monkeypatch.setattr(supervisor, "_LONGEST_PAUSE_SECONDS", 30.0)
    budget, pauses = RestartBudget(limit=9), []
    for _ in range(7):
        budget.restart(0)
        pauses.append(budget.pause_seconds)
    assert pauses == [0, 2, 4, 8, 16, 30, 30]
    assert budget.restart(1) and budget.pause_seconds == 0


def test_a_new_pod_of_the_chief_tells_at_once_and_goes_on_counting():
    host = Host(LOST, DONE, steps=[40, 40])
    host.before = 2
    assert supervise(host) == EXIT_DONE
    expected = "worker 0, the chief, has a new pod; all workers go on from step 40 (restart 3)"
    assert host.told[0] == ("restarting", expected, 3)
    assert [restarts for _, restarts, _ in host.runs] == [3, 4]


def test_a_chief_that_has_to_leave_is_given_all_that_its_own_limits_allow():
    limits = (KEEP_SECONDS, status.CLOSE_SECONDS, index.CLOSE_SECONDS, lease.RELEASE_SECONDS)
    assert worker._CHIEF_KEEP_SECONDS - sum(limits) >= 10
