"""A process that lost a run's lease changes nothing, wherever it was paused."""

import threading

import pytest

from trainer.errors import LeaseLost, PreconditionFailed, StorageError
from trainer.run import lease
from trainer.run.fenced_store import FencedStore
from trainer.storage import open_store
from trainer.storage.retrying import Outage, PatientStore


@pytest.fixture(params=["local", "gs"])
def store(request, tmp_path):
    """An empty store of each kind; the bucket is behind the proxy, which checks every precondition."""
    if request.param == "local":
        return open_store(str(tmp_path / "store"))
    request.getfixturevalue("gcs_proxy")
    return open_store(request.getfixturevalue("gcs_root"))


@pytest.fixture
def hold(monkeypatch):
    """A function that takes the lease of a store, from its holder if there is one, and fences the store."""
    monkeypatch.setattr(lease, "BEAT_SECONDS", 3600.0)
    held = []

    def take(store, through=None):
        times = iter(range(0, 10**6, 8))
        held.append(lease.acquire(store, "name", "team", say=str, clock=times.__next__, pause=lambda _: None))
        return FencedStore(through or store, held[-1])

    yield take
    for one in held:
        one._done.set()


class Paused:
    """A store whose user is paused just before a call, the `count`-th of that method, while others go on."""

    def __init__(self, store, method, count, meanwhile):
        self._store, self.url = store, store.url
        self._method, self._left, self._meanwhile = method, count, meanwhile

    def __getattr__(self, method):
        def call(*args):
            if method == self._method:
                self._left -= 1
                if self._left == 0:
                    self._meanwhile()
            return getattr(self._store, method)(*args)

        return call


def put(kind, store, name, content, tmp_path, *generation):
    if kind == "write":
        return store.write(name, content, *generation)
    (tmp_path / "source").write_bytes(content)
    return store.upload(name, tmp_path / "source", *generation)


kinds = pytest.mark.parametrize("kind", ["write", "upload"])


@kinds
def test_a_holder_writes_over_whatever_a_predecessor_left_and_over_its_own(store, hold, tmp_path, kind):
    store.write("a", b"of a predecessor")
    ours = hold(store)
    for content in (b"1", b"2"):
        generation = put(kind, ours, "a", content, tmp_path)
        assert (ours.read("a"), ours.stat("a").generation) == (content, generation)
    store.write("a", b"of nobody knows whom")
    put(kind, ours, "a", b"3", tmp_path)
    assert store.read("a") == b"3"
    store.delete("a")
    put(kind, ours, "a", b"4", tmp_path)
    assert store.read("a") == b"4"


@kinds
def test_a_condition_of_the_caller_is_passed_on_and_not_mended(store, hold, tmp_path, kind):
    ours = hold(store)
    old = put(kind, ours, "a", b"1", tmp_path, 0)
    new = put(kind, ours, "a", b"2", tmp_path, old)
    for stale in (old, 0):
        with pytest.raises(PreconditionFailed):
            put(kind, ours, "a", b"3", tmp_path, stale)
    ours.delete("a", old)
    assert (store.read("a"), store.stat("a").generation) == (b"2", new)
    ours.delete("a", new)
    assert store.stat("a") is None
    put(kind, ours, "a", b"4", tmp_path)  # what it knew of the object is forgotten with it


@kinds
@pytest.mark.parametrize(
    ("left", "tried"),
    [
        ("nothing", 0),
        ("our own", 0),
        ("a predecessor's", 0),
        ("a predecessor's", 1),
        ("another's over our own", 0),
        ("another's over our own", 1),
    ],
)
def test_one_paused_before_it_writes_leaves_its_successors_as_it_is(store, hold, tmp_path, kind, left, tried):
    """A try is made in vain where something lies there that this process has not looked at."""
    own = "our own" in left
    paused = Paused(store, kind, 1 + own + tried, lambda: hold(store).write("a", b"the successor's"))
    ours = hold(store, paused)
    if own:
        put(kind, ours, "a", b"our own", tmp_path)
    if "other's" in left or "predecessor's" in left:
        store.write("a", b"not ours")
    with pytest.raises(LeaseLost):
        put(kind, ours, "a", b"late", tmp_path)
    assert store.read("a") == b"the successor's"


@pytest.mark.parametrize("kind", ["write", "upload", "delete"])
def test_one_paused_before_it_looks_what_lies_there_leaves_its_successors_as_it_is(
    store, hold, tmp_path, kind
):
    """Had the lease been confirmed before the look, what was seen would be the successor's."""
    store.write("a", b"a predecessor's")
    ours = hold(store, Paused(store, "stat", 1, lambda: hold(store).write("a", b"the successor's")))
    with pytest.raises(LeaseLost):
        ours.delete("a") if kind == "delete" else put(kind, ours, "a", b"late", tmp_path)
    assert store.read("a") == b"the successor's"


@kinds
def test_one_that_creates_what_its_successor_has_not_got_yet_is_stopped_by_it(store, hold, tmp_path, kind):
    """No condition can tell the absence of an object from its absence before; the write is the last one."""
    ours = hold(store, Paused(store, kind, 1, lambda: hold(store)))
    with pytest.raises(LeaseLost):
        put(kind, ours, "a", b"late", tmp_path)


@kinds
def test_what_the_successor_wrote_in_the_same_bytes_is_not_taken_for_ours(store, hold, tmp_path, kind):
    """A bucket takes it for a write of ours whose answer was lost."""
    ours = hold(store, Paused(store, kind, 1, lambda: hold(store).write("a", b"the same")))
    with pytest.raises(LeaseLost):
        put(kind, ours, "a", b"the same", tmp_path)


@pytest.mark.parametrize("looked", [True, False])
@pytest.mark.parametrize("moment", ["read", "stat", "delete"])
def test_one_paused_before_it_removes_leaves_its_successors_as_it_is(store, hold, looked, moment):
    store.write("a", b"a predecessor's")
    listed = store.stat("a").generation if looked else None

    def taken_over():
        hold(store).write("a", b"the successor's")

    ours = hold(store, Paused(store, moment, 1, taken_over))
    if moment == "delete":
        ours.delete("a", listed)  # what it looked at is no more
    else:
        ours.read("a")
        if moment == "stat":
            ours.stat("a")
        with pytest.raises(LeaseLost):
            ours.delete("a", listed)
    assert store.read("a") == b"the successor's"
    with pytest.raises(LeaseLost):
        ours.delete("a")


def test_a_delete_held_up_on_its_way_finds_another_generation(gcs_root, gcs_proxy, hold):
    """The proxy stands for the network: the request is under way while the run is taken over."""
    store = open_store(gcs_root)
    ours = hold(store)
    ours.write("a", b"ours")
    held = gcs_proxy.hold(method="DELETE")
    removing = threading.Thread(target=lambda: ours.delete("a"))
    removing.start()
    assert held.reached.wait(60)
    hold(store).write("a", b"the successor's")
    held.release()
    removing.join(60)
    assert store.read("a") == b"the successor's"


def test_removing_what_is_not_there_is_no_error(store, hold):
    hold(store).delete("a")


def test_everything_that_changes_nothing_needs_no_lease(store, hold, tmp_path):
    ours = hold(store)
    ours.write("x/a", b"content")
    hold(store)
    ours.check()
    assert ours.url == store.url
    assert ours.read("x/a", 1, 2) == b"on"
    assert [found.name for found in ours.list("x/")] == ["x/a"] and list(ours.folders()) == ["x"]
    assert b"".join(ours.parts(ours.stat("x/a"))) == b"content"
    ours.download("x/a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"content"


def test_while_nobody_can_say_whose_the_lease_is_a_patient_store_waits(store, hold, monkeypatch):
    monkeypatch.setattr("trainer.storage.retrying._FIRST_PAUSE_SECONDS", 0.01)
    said, away = [], []

    class Flaky:
        def __init__(self):
            self.url = store.url

        def __getattr__(self, method):
            def call(*args):
                if away:
                    raise StorageError(away.pop())
                return getattr(store, method)(*args)

            return call

    flaky = Flaky()
    patient = PatientStore(flaky, Outage(600, said.append))
    held = hold(flaky)._lease
    away += ["away"] * 5
    ours = FencedStore(patient, held)
    ours.write("a", b"1")
    paused = Paused(patient, "write", 1, lambda: away.extend(["gone"]))
    FencedStore(paused, held).write("a", b"2")
    ours = FencedStore(flaky, held)
    assert store.read("a") == b"2" and len(said) == 4
    away += ["away"]
    with pytest.raises(StorageError, match="away"):
        ours.write("a", b"3")
