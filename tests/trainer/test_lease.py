"""The lease of a run: who gets it, who waits, who is refused, and how its loss is noticed."""

import json
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from trainer.errors import LeaseLost, RunHeld, RunLost, StorageError
from trainer.run import holder, layout, lease, lease_holder
from trainer.storage import open_store

DEADLINE_SECONDS = 60.0


class Clock:
    """Time that passes only where somebody waits; `meanwhile` happens during each wait."""

    def __init__(self, meanwhile=lambda: None):
        self.now, self.waits, self._meanwhile = 1000.0, 0, meanwhile

    def __call__(self):
        return self.now

    def pause(self, seconds):
        self.now += seconds
        self.waits += 1
        self._meanwhile()


class Unwilling(Clock):
    """For one who must not have to wait."""

    def pause(self, seconds):
        raise AssertionError("waited")


@pytest.fixture
def take(monkeypatch):
    """A function that acquires; leases are renewed twenty times a second and end with the test."""
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(lease_holder, "_LOOK_PAUSE_SECONDS", 0.05)
    held = []

    def acquire(store, name="old", attempt="team", clock=None, said=None, **more):
        clock, said = clock or Unwilling(), [] if said is None else said
        held.append(
            lease.acquire(store, name, attempt, say=said.append, clock=clock, pause=clock.pause, **more)
        )
        return held[-1]

    yield acquire
    for one in held:
        one._done.set()


def silence(held):
    """As if its process were paused: it renews no more, and there is no telling that it is dead."""
    held._done.set()
    with held._lock:  # a renewal in flight comes to its end
        pass
    values = json.loads(held._store.read(layout.LEASE))
    values["holder"]["machine"] = "another machine"
    held._generation = held._store.write(layout.LEASE, json.dumps(values).encode(), held._generation)


def until(condition):
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def renewed(store):
    """Wait until the holder has renewed."""
    before = store.stat(layout.LEASE).generation
    until(lambda: store.stat(layout.LEASE).generation != before)


def test_a_free_one_is_taken_at_once_and_names_its_holder(store, take):
    said = []
    take(store, "pod-0", said=said).confirm()
    values = json.loads(store.read(layout.LEASE))
    assert values["holder"]["name"] == "pod-0" and values["team"] == "team" and said == []


def test_another_attempt_is_refused_while_the_holder_lives_and_told_of_it(store, take):
    ours = take(store, "pod-0", attempt="r1")
    with pytest.raises(RunHeld) as refused:
        take(store, "pod-1", attempt="r2", clock=Clock(lambda: renewed(store)))
    text = str(refused.value)
    assert re.search(r"by pod-0 \(process \d+ on .*\), which renewed its lease \d+ s ago", text)
    assert refused.value.exit_code == 2 and "\n" not in text and store.url in text
    ours.confirm()


def test_a_process_of_the_same_attempt_waits_until_the_holder_is_gone(store, take):
    old, said = take(store), []

    def meanwhile():
        renewed(store)
        if clock.waits == 30:  # longer than a lease lasts
            old.release()

    clock = Clock(meanwhile)
    new = take(store, "new", clock=clock, said=said)
    assert clock.waits == 30
    assert len(said) == 1 and re.match(r"waiting until old \(.*\) is gone", said[0])
    new.confirm()


def test_one_whose_predecessor_of_the_same_attempt_stays_gives_up(store, take):
    old = take(store)
    with pytest.raises(LeaseLost, match=r"old .*is still alive"):
        take(store, "new", clock=Clock(lambda: renewed(store)), patience=3)
    old.confirm()


CHILD = """
import sys, time
from trainer.run import lease
from trainer.storage import open_store
lease.acquire(open_store(sys.argv[1]), "child", "r1")
print("taken", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("reaped", [True, False])
def test_one_that_was_killed_on_this_machine_is_replaced_at_once(store, take, reaped):
    with subprocess.Popen([sys.executable, "-c", CHILD, store.url], stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"taken\n"
        child.kill()
        if reaped:
            child.wait()
        else:
            until(lambda: holder.is_gone(json.loads(store.read(layout.LEASE))["holder"]))
        said = []
        take(store, "new", attempt="r2", said=said).confirm()
    assert len(said) == 1 and re.match(r"took the run over from child \(.*\), which is dead", said[0])


def test_one_of_a_run_that_never_began_is_removed_when_it_is_given_back(store, take):
    take(store).release()
    assert [*store.list()] == []
    held = take(store)
    store.write(layout.RUN, b"{}")
    held.release()
    assert json.loads(store.read(layout.LEASE))["released"]


def test_one_that_was_given_back_is_taken_at_once(store, take):
    said = []
    store.write(layout.RUN, b"{}")
    take(store, attempt="r1").release()
    take(store, "new", attempt="r2", said=said).confirm()
    assert said == []


@pytest.mark.parametrize(
    "when", ["1970-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00", "yesterday", None]
)
@pytest.mark.parametrize("attempt", ["team", "another"])
def test_one_that_is_silent_expires_whatever_times_it_tells(tmp_path, take, when, attempt):
    store, said, clock = open_store(str(tmp_path)), [], Clock()
    silence(take(store))
    values = json.loads(store.read(layout.LEASE)) | {"since": when, "updated": when}
    store.write(layout.LEASE, json.dumps(values).encode())
    take(store, "new", attempt=attempt, clock=clock, said=said).confirm()
    assert clock.waits == lease_holder.EXPIRY_SECONDS / 1.0
    assert "has not renewed its lease for 15 s" in said[-1]


def test_one_that_is_silent_expires_in_every_store(store, take):
    silence(take(store))
    take(store, "new", attempt="another", clock=Clock()).confirm()


@pytest.mark.parametrize("content", [b"", b"no json", b"[]", b"{}", b'{"holder": null}'])
def test_one_that_cannot_be_read_expires_too(tmp_path, take, content):
    store = open_store(str(tmp_path))
    store.write(layout.LEASE, content)
    take(store, clock=Clock()).confirm()


def test_a_taking_over_does_not_show_that_the_holder_lives(tmp_path, take):
    """Of two newcomers of another attempt the slower one sees the lease change once; that is no renewal."""
    store = open_store(str(tmp_path))
    silence(take(store))

    def meanwhile():
        if clock.waits == 5:
            silence(take(store, "faster", attempt="r2", clock=Clock()))

    clock = Clock(meanwhile)
    take(store, "slower", attempt="r3", clock=clock).confirm()
    assert clock.waits == 5 + lease_holder.EXPIRY_SECONDS


class Shaky:
    """A store in front of another: what is done to a call is said by the test, by the method's name."""

    def __init__(self, store):
        self._store, self.url, self.faults = store, store.url, {}

    def __getattr__(self, name):
        call = getattr(self._store, name)
        return lambda *args: self.faults.get(name, lambda call, *args: call(*args))(call, *args)

    def lose_answer(self, call, *args):
        call(*args)
        raise StorageError("the answer was lost")

    def fail(self, call, *args):
        raise StorageError("away")


def test_a_renewal_whose_answer_is_lost_for_good_is_no_loss(store, take):
    shaky = Shaky(store)
    held = take(shaky)
    shaky.faults["write"] = shaky.lose_answer
    renewed(store)
    shaky.faults.clear()
    for _ in range(2):
        held.confirm()
        renewed(store)


def test_a_renewal_whose_answer_is_lost_on_the_way_is_no_loss(gcs_root, gcs_proxy, take):
    store = open_store(gcs_root)
    held = take(store)
    lost = gcs_proxy.drop_answer(method="POST", contains="lease.json")
    until(lambda: lost.used == 1)
    renewed(store)
    held.confirm()


@pytest.mark.parametrize(
    ("left", "kind", "said"),
    [(False, RunLost, "run.json is gone"), (True, LeaseLost, "somebody has removed lease.json")],
)
def test_a_folder_that_is_emptied_is_another_loss_than_a_lease_that_is_removed(store, take, left, kind, said):
    lost = []
    store.write(layout.RUN, b"{}")
    held = take(store)
    held.when_lost(lost.append)
    for name in (layout.LEASE, *([] if left else [layout.RUN])):
        store.delete(name)
    until(lambda: lost)
    assert type(lost[0]) is kind and said in str(lost[0])
    with pytest.raises(kind, match=said):
        held.confirm()
    held.release()
    assert store.stat(layout.LEASE) is None


def test_a_stale_404_is_no_loss(gcs_root, gcs_proxy, take):
    store = open_store(gcs_root)
    held = take(store)
    for _ in range(3):
        stale = gcs_proxy.answer(404, method="GET", contains="lease.json", times=3)
        held.confirm()
        until(lambda stale=stale: stale.used == 3 or held.confirm())
    renewed(store)


def test_a_lost_answer_and_then_a_stale_404_is_no_loss(gcs_root, gcs_proxy, take):
    """What lies there is ours, but neither its metadata nor its content is shown at first."""
    shaky = Shaky(open_store(gcs_root))
    held = take(shaky)
    shaky.faults["write"] = shaky.lose_answer
    renewed(shaky)
    with held._lock:
        shaky.faults.clear()
        stat = gcs_proxy.answer(404, method="GET", contains="lease.json?", times=2)
        read = gcs_proxy.answer(404, method="GET", contains="download", times=2)
    held.confirm()
    assert stat.used == 2 and read.used == 2
    renewed(shaky)


def test_storage_that_was_away_during_renewals_is_no_loss(store, take):
    shaky, lost = Shaky(store), []
    held = take(shaky)
    held.when_lost(lost.append)
    failed = threading.Event()
    shaky.faults |= {name: lambda *_: (failed.set(), shaky.fail(*_)) for name in ("write", "stat", "read")}
    assert failed.wait(DEADLINE_SECONDS)
    with pytest.raises(StorageError, match="away"):
        held.confirm()
    shaky.faults.clear()
    held.confirm()
    renewed(store)
    assert lost == []


def test_the_loss_of_it_is_told_at_once_and_at_every_question_from_then_on(store, take):
    old, told, lost = take(store), threading.Event(), []
    old.when_lost(lambda error: (lost.append(error), told.set()))
    with old._lock:  # paused just before a renewal
        there = store.stat(layout.LEASE)
        store.write(layout.LEASE, json.dumps({"released": True}).encode(), there.generation)
        new = take(store, "new")
    assert told.wait(DEADLINE_SECONDS)
    for _ in range(2):
        with pytest.raises(LeaseLost, match=r"new .*has taken the run over"):
            old.confirm()
    assert len(lost) == 1 and lost[0].exit_code == 42 and "new" in str(lost[0])
    old.release()  # gives nothing back that is another's
    new.confirm()
    assert "released" not in json.loads(store.read(layout.LEASE))


def test_one_that_finds_out_by_asking_is_told_the_same(store, take, monkeypatch):
    monkeypatch.setattr(lease, "BEAT_SECONDS", DEADLINE_SECONDS)
    old = take(store)
    silence(old)
    take(store, "new", clock=Clock())
    with pytest.raises(LeaseLost, match=r"new .*has taken the run over"):
        old.confirm()


@pytest.mark.parametrize("before", ["free", "given back", "silent"])
def test_of_two_that_come_at_once_one_gets_it(store, take, before):
    if before != "free":
        old = take(store)
        old.release() if before == "given back" else silence(old)
    start, got, stop = threading.Barrier(2), [], threading.Event()

    class Stop(Exception):
        pass

    def come(name):
        clock = Clock()

        def pause(seconds):
            if stop.is_set():
                raise Stop
            renewals.wait(0.05)
            if not got:
                clock.now += seconds

        clock.pause = pause
        start.wait()
        with suppress(Stop):
            got.append((name, take(store, name, clock=clock)))

    renewals = threading.Event()
    threads = [threading.Thread(target=come, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    until(lambda: got)
    for _ in range(5):
        renewed(store)
    stop.set()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    [(name, held)] = got
    held.confirm()
    assert json.loads(store.read(layout.LEASE))["holder"]["name"] == name


def test_another_machine_or_another_process_of_that_number_is_no_dead_holder():
    ours = holder.describe("me")
    assert holder.lives(ours)
    assert not holder.is_gone(ours)
    assert holder.is_gone(ours | {"started": "1"})
    assert holder.is_gone(ours | {"pid": 2**22 + 1})
    for unknown in ({"machine": "another"}, {"machine": None}, {"started": None}, {"pid": "?"}):
        assert not holder.is_gone(ours | {"pid": 2**22 + 1} | unknown)
        assert holder.lives(ours | unknown) is None
    assert not holder.is_gone({})


def test_who_is_about_to_remove_a_run_learns_at_once_of_a_writer_on_this_machine(store, take):
    held, clock = take(store, "pod-0"), Unwilling()
    assert lease_holder.writer(store, clock=clock, pause=clock.pause).startswith("pod-0 (process ")
    held.release()
    assert lease_holder.writer(store, clock=clock, pause=clock.pause) is None


def test_a_run_that_nobody_ever_wrote_has_no_writer(store):
    clock = Unwilling()
    assert lease_holder.writer(store, clock=clock, pause=clock.pause) is None


def test_a_writer_elsewhere_is_known_by_its_next_renewal(store, take, monkeypatch):
    take(store, "pod-0")
    monkeypatch.setattr(holder, "lives", lambda described: None)
    said, clock = [], Clock(lambda: renewed(store))
    assert lease_holder.writer(store, say=said.append, clock=clock, pause=clock.pause).startswith("pod-0 ")
    assert len(said) == 1 and "waiting 15 s" in said[0]
    assert clock.waits == 1


def test_a_writer_elsewhere_that_is_silent_for_long_is_none(store, take):
    held, said, clock = take(store, "pod-0"), [], Clock()
    silence(held)
    assert lease_holder.writer(store, say=said.append, clock=clock, pause=clock.pause) is None
    assert clock.waits >= lease_holder.EXPIRY_SECONDS
    assert len(said) == 1


def test_one_that_is_taken_over_while_it_is_watched_has_a_writer(store, take):
    """The newcomer is as alive as the holder, and is judged by its own renewal."""
    old = take(store, "old")
    silence(old)
    new = []

    def meanwhile():
        if clock.waits == 5:
            store.delete(layout.LEASE)
            new.append(take(store, "new"))
            silence(new[0])
        if clock.waits == 10:
            new[0]._generation = store.write(layout.LEASE, store.read(layout.LEASE), new[0]._generation)

    clock = Clock(meanwhile)
    assert lease_holder.writer(store, say=lambda text: None, clock=clock, pause=clock.pause).startswith(
        "new "
    )
    assert clock.waits == 10


def test_a_lease_that_cannot_be_read_is_watched_like_any_other(store):
    store.write(layout.LEASE, b"no json")
    clock = Clock()
    assert lease_holder.writer(store, say=lambda text: None, clock=clock, pause=clock.pause) is None
    assert clock.waits >= lease_holder.EXPIRY_SECONDS
