"""The commit protocol as a state machine: writers that stop at any operation, are replaced and wake up late.

The code is the real one: leases, fenced writes, `checkpoints.save`, `newest`, `prune`. Each process is a
thread that stops before every operation on the store and is let go one operation at a time, so that a run of
the machine is one interleaving, found again from its seed. Every life of a writer saves other bytes for the
same step, as another number of workers would, so that a mixture shows in the sums.
"""

import itertools
import json
import tempfile
import threading
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from trainer.errors import LeaseLost, ObjectMissing, PreconditionFailed
from trainer.run import checkpoints, layout, lease
from trainer.run.fenced_store import FencedStore
from trainer.storage import LocalStore, Stat, crc32c

# Operations after which a reader sees something else.
CHANGES = ("write", "upload", "delete")
FILES = ("state.data-00000-of-00001", "state.index")


class MemoryStore:
    """Objects in a dictionary. `forgiving` is a bucket's way with a write whose answer was lost: a condition
    that fails counts as met when what is there is what was to be written."""

    url = "memory"

    def __init__(self, forgiving):
        self.objects, self._forgiving, self._generations = {}, forgiving, itertools.count(1)

    def read(self, name, start=0, length=None):
        if name not in self.objects:
            raise ObjectMissing(name)
        return self.objects[name][0]

    def write(self, name, content, if_generation=None):
        there, generation = self.objects.get(name, (None, 0))
        if if_generation not in (None, generation):
            if self._forgiving and there == content:
                return generation
            raise PreconditionFailed(name)
        self.objects[name] = content, next(self._generations)
        return self.objects[name][1]

    def upload(self, name, path, if_generation=None):
        return self.write(name, path.read_bytes(), if_generation)

    def download(self, name, path):
        path.write_bytes(self.read(name))

    def stat(self, name):
        if name not in self.objects:
            return None
        content, generation = self.objects[name]
        return Stat(name, len(content), generation, datetime.now(UTC))

    def list(self, prefix=""):
        return iter([self.stat(name) for name in sorted(self.objects) if name.startswith(prefix)])

    def delete(self, name, if_generation=None):
        if if_generation in (None, self.objects.get(name, (b"", 0))[1]):
            self.objects.pop(name, None)


class Killed(BaseException):
    """SIGKILL."""


class Process:
    """A thread that stops before each operation on its store until it is let go."""

    def __init__(self, store, life):
        self.store, self.error, self.ended, self.next = Stepwise(store, self), None, False, ""
        self._go, self._stopped, self._killed = threading.Lock(), threading.Lock(), False
        self._go.acquire()
        self._stopped.acquire()
        self._thread = threading.Thread(target=self._run, args=(life,), daemon=True)
        self._thread.start()
        self._stopped.acquire()

    def step(self):
        if not self.ended:
            self._go.release()
            self._stopped.acquire()

    def kill(self):
        self._killed = True
        while not self.ended:
            self.step()
        self._thread.join()

    def stop(self, operation):
        if threading.current_thread() is self._thread:
            self.next = operation
            self._stopped.release()
            self._go.acquire()
            if self._killed:
                raise Killed

    def _run(self, life):
        try:
            life(self)
        except (LeaseLost, Killed):
            pass
        except BaseException as error:
            self.error = error
        self.ended = True
        self._stopped.release()


class Stepwise:
    """A store whose every operation is one step of a process; a listing is taken at one moment."""

    def __init__(self, store, process):
        self._store, self._process, self.url = store, process, store.url

    def __getattr__(self, operation):
        def call(*args):
            self._process.stop(operation)
            answer = getattr(self._store, operation)(*args)
            return [*answer] if operation == "list" else answer

        return call


def complete(store):
    """Generation of every complete checkpoint's manifest by step; fails when one is not whole."""
    found = {}
    for stat in [*store.list("checkpoints/")]:
        if layout.is_complete(stat.name, stat.size):
            step = layout.checkpoint_step(stat.name)
            found[step] = stat.generation
            for entry in json.loads(store.read(stat.name))["files"]:
                content = store.read(layout.checkpoint_folder(step) + entry["name"])
                assert crc32c(content) == entry["crc32c"], f"checkpoint {step} is torn"
    return found


class Protocol(RuleBasedStateMachine):
    """Two writers, of which each may be paused, killed and started again, and a reader."""

    def __init__(self):
        super().__init__()
        self.writers, self.held, self.leases, self.lives = {}, {}, [], itertools.count(1)
        self.reader, self.seen, self.folder = None, {}, tempfile.TemporaryDirectory()

    @initialize(
        kind=st.sampled_from(["strict", "strict", "forgiving", "forgiving", "folder"]), keep=st.integers(1, 2)
    )
    def begin(self, kind, keep):
        self.keep = keep
        self.store = LocalStore(self.folder.name) if kind == "folder" else MemoryStore(kind == "forgiving")

    @rule(name=st.sampled_from("AB"), operations=st.integers(1, 40))
    def let_go(self, name, operations):
        """Start a writer if it does not live, and let it go for some operations."""
        for _ in range(operations):
            if name not in self.writers:
                self.writers[name] = Process(self.store, lambda process: self.write(process, name))
            self.step(self.writers[name])
            if self.writers[name].ended:
                del self.writers[name]
                return

    @rule(name=st.sampled_from("AB"), operation=st.sampled_from(["write", "upload", "delete", "list"]))
    def pause_before(self, name, operation):
        """Let a writer go until just before an operation of that kind, where a pause matters most."""
        for _ in range(60):
            self.let_go(name, 1)
            if name not in self.writers or self.writers[name].next.startswith(operation):
                return

    @rule(name=st.sampled_from("AB"))
    def kill(self, name):
        if name in self.writers:
            self.writers.pop(name).kill()
            self.look()

    @rule(name=st.sampled_from("AB"))
    def renew(self, name):
        held = self.held.get(name) if name in self.writers else None
        if held and held._lock.acquire(blocking=False):
            try:
                if not held._lost:
                    held._renew()
            finally:
                held._lock.release()

    @rule(operations=st.integers(1, 12))
    def read(self, operations):
        for _ in range(operations):
            if self.reader is None:
                self.reader = Process(self.store, self.take_newest)
            self.step(self.reader)
            if self.reader.ended:
                self.reader = None
                return

    def write(self, process, name):
        """The life of a chief: lease, newest checkpoint, training on from there."""
        life, time = next(self.lives), itertools.count(0, 8)
        held = lease.acquire(
            process.store, name, "team", say=str, clock=lambda: next(time), pause=lambda _: None,
            patience=float("inf"),
        )  # fmt: skip
        self.held[name] = held
        self.leases.append(held)
        store = FencedStore(process.store, held)
        checkpoints.break_claims(store)
        found = checkpoints.newest(store, self.damaged)
        step = found.step if found else 0
        checkpoints.discard_after(store, step)
        while True:
            step += 10
            checkpoints.save(store, step, {"life": life})
            checkpoints.prune(store, self.keep, 0)

    def take_newest(self, process):
        before = max(self.seen, default=0)
        found = checkpoints.newest(process.store, self.damaged)
        assert (found.step if found else 0) >= before, "a reader went back"

    def damaged(self, text):
        raise AssertionError(text)

    def step(self, process):
        operation = process.next
        process.step()
        if process.error:
            raise process.error
        if operation in CHANGES:
            self.look()

    def look(self):
        """What any reader sees now."""
        there = complete(self.store)
        newest = max(self.seen, default=0)
        assert max(there, default=0) >= newest, f"{newest} was the newest complete one and is gone"
        for step, generation in there.items():
            known = self.seen.get(step)
            assert known == generation or (known is None and step > newest), f"{step} was written late"
        self.seen |= there

    def teardown(self):
        for process in [*self.writers.values(), *filter(None, [self.reader])]:
            process.kill()
        for held in self.leases:
            held._done.set()
        self.folder.cleanup()


def write_files(prefix, tensors):
    for name in FILES:
        prefix.with_name(name).write_bytes(b"%s of %09d" % (name.encode(), tensors["life"]))


def read_files(prefix):
    lives = {prefix.with_name(name).read_bytes().split(b" of ")[1] for name in FILES}
    assert len(lives) == 1
    return {"life": lives.pop()}


@pytest.fixture
def quick(monkeypatch):
    """No real tensors, no waiting, and leases that are renewed when the machine says so."""
    monkeypatch.setattr(checkpoints, "_write_files", write_files)
    monkeypatch.setattr(checkpoints, "_read_files", read_files)
    monkeypatch.setattr(checkpoints, "_PAUSES_SECONDS", ())
    monkeypatch.setattr(lease, "BEAT_SECONDS", 1e6)


def play(kind, *moves):
    """One interleaving. (process, count) lets it go for so many operations, (process, operation, count)
    until just before the count-th of that kind."""
    machine = Protocol()
    machine.begin(kind, keep=1)
    try:
        for name, *operation, count in moves:
            if name == "reader":
                machine.read(count)
            elif not operation:
                machine.let_go(name, count)
            else:
                for _ in range(count):
                    machine.pause_before(name, *operation)
        assert machine.seen
    finally:
        machine.teardown()


def test_a_late_claim_of_a_step_that_the_successor_has_pruned_comes_to_nothing(quick):
    play("strict", ("A", "write", 2), ("B", 60), ("A", 40), ("B", 40))


def test_a_claim_that_looks_like_the_successors_is_not_taken_for_it(quick):
    """A bucket takes a refused write for one whose answer was lost when the bytes are the same."""
    for count in (1, 2):
        play("forgiving", ("A", "write", 2), ("B", "upload", count), ("A", 40), ("B", 40))


def test_one_paused_between_a_refused_write_and_the_next_try_spares_what_its_successor_completed(quick):
    """Its own predecessor comes late with a claim, so that the first try is refused."""
    for operations in (1, 2, 3):
        play("strict", ("A", "write", 2), ("B", "write", 2), ("A", 40), ("B", operations), ("A", "upload", 3),
             ("B", 40))  # fmt: skip


def test_one_paused_while_it_tidies_up_spares_what_its_successor_wrote_there(quick):
    play("strict", ("A", "upload", 2), ("B", "delete", 2), ("A", 40), ("A", "upload", 3), ("B", 40))


@pytest.mark.parametrize("count", range(1, 6))
def test_a_checkpoint_completed_while_the_successor_looks_for_the_newest_is_not_removed(quick, count):
    play("strict", ("A", "write", 3), ("B", "list", count), ("A", 40), ("B", 40))


@pytest.mark.parametrize("count", range(1, 5))
def test_a_reader_of_a_checkpoint_that_is_pruned_meanwhile_takes_the_newer_one(quick, count):
    play("strict", ("A", 24), ("reader", count), ("A", 40), ("reader", 20))


def test_whatever_is_interleaved_the_laws_hold(quick):
    run_state_machine_as_test(
        Protocol,
        settings=settings(
            max_examples=120,
            stateful_step_count=25,
            suppress_health_check=list(HealthCheck),
        ),
    )
