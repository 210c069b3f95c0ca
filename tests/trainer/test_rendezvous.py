"""The place where workers meet, over real sockets on loopback."""

import socket
import threading
import time

import pytest

from tests.support.teams import free_ports
from trainer.errors import EXIT_RESTART, PeerLost
from trainer.pod.indexed_job import Member
from trainer.pod.rendezvous import Caller, Host
from trainer.pod.rendezvous.channel import Channel

DEADLINE = 30.0


def member(index, workers=2, attempt=1, pod=None):
    return Member("gan", "gan", index, workers, 2222, attempt, pod or f"gan-{index}-a")


class Place:
    """A host and its callers."""

    def __init__(self, workers=2, silence=10.0):
        self.workers, self.silence, self.port = workers, silence, free_ports(1)[0]
        self.host = Host(member(0, workers), self.port, silence)

    def caller(self, index=1, **about):
        return Caller(member(index, self.workers, **about), self.silence, ("127.0.0.1", self.port))


def start(meeting, seconds=DEADLINE):
    """Gather on a thread; a function that gives the generation or raises what came of it."""
    found, said = [], []

    def gather():
        try:
            found.append(meeting.gather(seconds, said.append, time.sleep))
        except PeerLost as error:
            found.append(error)

    thread = threading.Thread(target=gather, daemon=True)
    thread.start()

    def result():
        thread.join(DEADLINE)
        assert found, f"still waiting: {said}"
        if isinstance(found[0], PeerLost):
            raise found[0]
        return found[0]

    return result


def met(*meetings):
    return [result() for result in [start(each) for each in meetings]]


def until(condition):
    end = time.monotonic() + DEADLINE
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


@pytest.mark.parametrize("workers", [2, 3])
def test_all_get_the_same_addresses_and_other_ones_each_time(workers):
    place = Place(workers)
    callers = [place.caller(index) for index in range(1, workers)]
    seen = set()
    for number in (1, 2, 3):
        generations = met(*callers, place.host)
        assert {each.number for each in generations} == {number}
        assert len({each.cluster.addresses for each in generations}) == 1
        assert sorted(each.cluster.index for each in generations) == list(range(workers))
        addresses = generations[0].cluster.addresses
        assert all(address.startswith("127.0.0.1:") for address in addresses)
        assert not seen & set(addresses)
        seen |= set(addresses)
        for meeting in (*callers, place.host):
            meeting.end("again")


def test_when_one_trainer_ends_badly_all_the_others_hear_why():
    place = Place(3)
    callers = [place.caller(1), place.caller(2)]
    met(*callers, place.host)
    assert place.host.over() == callers[1].over() == ""
    callers[0].end("worker 1's trainer died of SIGKILL")
    assert until(place.host.over) == until(callers[1].over) == "worker 1's trainer died of SIGKILL"


def test_a_trainer_that_is_done_ends_nothing():
    place, caller = Place(), None
    caller = place.caller()
    met(caller, place.host)
    caller.end("", done=True)
    time.sleep(0.3)
    assert place.host.over() == ""


def test_the_chiefs_end_is_heard_with_its_reason_or_as_silence():
    place = Place()
    caller = place.caller()
    met(caller, place.host)
    place.host.end("worker 0 was asked to stop (SIGTERM)")
    assert until(caller.over) == "worker 0 was asked to stop (SIGTERM)"
    caller.end("")
    met(caller, place.host)
    place.host.end("", done=True)
    assert until(caller.over) == "worker 0, the chief, is gone or does not answer"


def test_a_pod_that_falls_silent_is_lost_without_a_word():
    place = Place(silence=1.0)
    silent = socket.create_connection(("127.0.0.1", place.port))
    silent.sendall(b'{"index": 1, "attempt": 1, "pod": "gan-1-frozen", "port": 20001}\n')
    start(place.host)()
    assert until(place.host.over) == "worker 1 (pod gan-1-frozen) is gone or does not answer"


def test_one_that_falls_silent_while_the_others_are_waited_for_is_waited_for_again():
    place = Place(3, silence=1.0)
    silent = socket.create_connection(("127.0.0.1", place.port))
    silent.sendall(b'{"index": 1, "attempt": 1, "pod": "gan-1-frozen", "port": 20001}\n')
    until(lambda: 1 in place.host._book.waiting)
    host = start(place.host)
    until(lambda: not place.host._book.waiting)
    first, second = start(place.caller(1)), start(place.caller(2))
    assert first().number == host().number == second().number == 1


def test_a_second_pod_for_the_same_worker_is_refused_while_the_first_is_there():
    place = Place(3)
    first = start(place.caller(1, pod="gan-1-new"))
    until(lambda: 1 in place.host._book.waiting)
    with pytest.raises(PeerLost, match="refused: worker 1 is here already, as pod gan-1-new") as failure:
        start(place.caller(1, pod="gan-1-old"), seconds=2)()
    assert failure.value.exit_code == EXIT_RESTART
    assert {each().number for each in (start(place.host), start(place.caller(2)), first)} == {1}


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ({"attempt": 2}, "this is attempt 1 of gan, you are of attempt 2"),
        ({"index": 5}, "this run has the workers 0 to 1, you are worker 5"),
    ],
)
def test_who_does_not_belong_here_is_refused(about, reason):
    place = Place()
    with pytest.raises(PeerLost, match=reason):
        start(place.caller(**about), seconds=1)()


def test_who_is_refused_calls_again_at_leisure():
    looks = []
    with pytest.raises(PeerLost, match="refused"):
        Place().caller(attempt=2).gather(1.2, print, looks.append)
    assert 1 < len(looks) < 5


def test_the_missing_are_named():
    place = Place(3)
    start(place.caller(2))
    with pytest.raises(PeerLost, match=r"after 1 s 1 of 3 workers did not come: gan-1\.gan$"):
        start(place.host, seconds=1)()
    with pytest.raises(PeerLost, match=r"the chief at 127\.0\.0\.1:\d+: .*refused"):
        start(Caller(member(1), 1.0, ("127.0.0.1", free_ports(1)[0])), seconds=1)()


@pytest.mark.parametrize(
    "noise", [b"GET / HTTP/1.1\r\n\r\n", b'["a"]\n', b'{"index": "x"}\n', b"\xff\n", b""]
)
def test_strangers_do_no_harm(noise):
    place = Place()
    with socket.create_connection(("127.0.0.1", place.port)) as stranger:
        stranger.sendall(noise)
    assert {each.number for each in met(place.caller(), place.host)} == {1}


def test_a_channel_tells_messages_in_order_and_its_end_once():
    left, right = (Channel(end, 5.0, lambda *_: None) for end in _pair())
    heard = []
    right._hear = lambda channel, message: heard.append(message)
    left.start(), right.start()
    for number in range(50):
        left.send({"n": number})
    left.close()
    until(lambda: heard and heard[-1] is None)
    assert heard == [*({"n": number} for number in range(50)), None]


def _pair():
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        return one, server.accept()[0]
