"""Every fault on its own and all together: what a store promises holds through them.

The library waits about a second before each retry; here it hardly waits, so that faults can be frequent.
"""

import http.client
import itertools
import os
import socket
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from google.api_core.retry import retry_unary

from tests.support.faults import NONE, RandomFaults, Rates
from tests.support.proxy import Request
from trainer.errors import ObjectMissing, PreconditionFailed
from trainer.storage import crc32c, open_store

OFTEN = {
    "503": replace(NONE, unavailable=0.3),
    "lost answer": replace(NONE, lost=0.3),
    "429": replace(NONE, throttled=0.3),
    "slow": replace(NONE, slow=0.1),
    "cut upload": replace(NONE, cut=0.3),
}


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(retry_unary, "exponential_sleep_generator", lambda *_, **__: itertools.repeat(0.01))


def store_at(name):
    """A store at an address that is the same in every test run, so that the faults are."""
    return open_store(f"gs://runs/{name.replace(' ', '-')}")


def keep_the_laws(store, tmp_path):
    """What the trainer relies on, several times over."""
    (tmp_path / "big").write_bytes(os.urandom(9 << 20))  # goes in resumable parts
    for number in range(4):
        name = f"folder/{number}"
        made = store.write(name, b"first", if_generation=0)
        with pytest.raises(PreconditionFailed):
            store.write(name, b"other", if_generation=0)
        changed = store.write(name, b"second", if_generation=made)
        with pytest.raises(PreconditionFailed):
            store.write(name, b"other", if_generation=made)
        store.delete(name, if_generation=made)  # which it is no longer
        assert (store.read(name), store.stat(name).generation) == (b"second", changed)
    assert [stat.name for stat in store.list("folder/")] == [f"folder/{number}" for number in range(4)]
    store.upload("big", tmp_path / "big")
    store.download("big", tmp_path / "copy")
    assert crc32c(tmp_path / "copy") == crc32c(tmp_path / "big") == store.stat("big").crc32c
    store.delete("folder/0")
    assert store.stat("folder/0") is None


@pytest.mark.parametrize("fault", OFTEN)
def test_a_store_keeps_its_promises_through_every_kind_of_fault(hasty, gcs_proxy, tmp_path, fault):
    faults = gcs_proxy.add(RandomFaults(gcs_proxy, OFTEN[fault], seed=1))
    keep_the_laws(store_at(fault), tmp_path)
    assert faults.counts.keys() == {fault}


def test_a_store_keeps_its_promises_through_all_faults_together(hasty, gcs_proxy, tmp_path):
    faults = gcs_proxy.add(RandomFaults(gcs_proxy, replace(Rates().times(3), stale=0), seed=1))
    keep_the_laws(store_at("all"), tmp_path)
    assert len(faults.counts) >= 4


def test_an_object_just_written_is_missing_for_a_moment_to_whoever_reads_it(gcs_proxy, monkeypatch):
    """That is what such a cache does, and all that a store can say of it; listings are never stale."""
    store = store_at("stale")
    store.write("a", b"content")
    faults = gcs_proxy.add(RandomFaults(gcs_proxy, replace(NONE, stale=1.0), seed=1))
    assert store.stat("a") is None
    with pytest.raises(ObjectMissing):
        store.read("a")
    assert [stat.name for stat in store.list()] == ["a"]
    assert faults.counts == {"stale 404": 2}
    gcs_proxy.written["stale/a"] -= 3.0  # seconds: the moment is over
    assert store.read("a") == b"content"


def test_an_upload_that_is_cut_in_the_middle_never_reaches_the_server(gcs_proxy):
    gcs_proxy.add(RandomFaults(gcs_proxy, replace(NONE, cut=1.0), seed=1))
    client = http.client.HTTPConnection(urlsplit(gcs_proxy.url).netloc)
    with pytest.raises(OSError):
        client.request("POST", "/upload/storage/v1/b/runs/o?uploadType=media&name=cut", bytes(1 << 20))
        client.getresponse()
    assert store_at("").stat("cut") is None


def test_what_a_client_dies_in_the_middle_of_never_reaches_the_server(gcs_proxy):
    address = urlsplit(gcs_proxy.url)
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(
            b"POST /upload/storage/v1/b/runs/o?uploadType=media&name=died HTTP/1.1\r\n"
            b"Host: localhost\r\nContent-Length: 9\r\n\r\nhalf"
        )
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""  # the proxy has seen the end, and said nothing
    assert gcs_proxy.seen("POST") == []
    assert store_at("").stat("died") is None


def draws(seed, count):
    faults = RandomFaults(_NoProxy(), Rates(), seed)
    request = Request("POST", "/upload/storage/v1/b/runs/o?uploadType=multipart", "e/run/status.json")
    return [type(rule).__name__ if (rule := faults.choose(request)) else "" for _ in range(count)], faults


class _NoProxy:
    def __init__(self):
        self.written = {}


def test_the_same_seed_draws_the_same_faults_whatever_else_goes_on():
    alone, faults = draws(seed=3, count=2000)
    assert draws(seed=3, count=2000)[0] == alone != draws(seed=4, count=2000)[0]
    shares = {name: number / 2000 for name, number in faults.counts.items()}
    expected = {"503": 0.05, "lost answer": 0.02, "429": 0.02, "slow": 0.03, "cut upload": 0.02}
    assert shares == {name: pytest.approx(share, abs=0.012) for name, share in expected.items()}
