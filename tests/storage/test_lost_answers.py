"""A bucket behind a network that loses answers and a service that is overloaded now and then.

The library waits about a second before each retry, so there are few of these.
"""

import os
import threading

import pytest

from trainer.errors import PreconditionFailed, StorageError
from trainer.storage import open_store


@pytest.fixture
def shaky(gcs_root, gcs_proxy):
    """A store whose requests all go through the proxy."""
    return open_store(gcs_root)


@pytest.fixture
def direct(gcs_root, gcs_server, monkeypatch):
    """The same store without the proxy between."""
    with monkeypatch.context() as patched:
        patched.setenv("STORAGE_EMULATOR_HOST", gcs_server.url)
        return open_store(gcs_root)


def in_thread(call):
    """Run a call beside the test; the function that comes back waits for its result or its error."""
    outcome = {}

    def run():
        try:
            outcome["result"] = call()
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def result():
        thread.join(60)
        if "error" in outcome:
            raise outcome["error"]
        return outcome["result"]

    return result


def test_a_write_whose_answer_is_lost_succeeds_and_is_stored_once(shaky, direct, gcs_proxy):
    gcs_proxy.drop_answer(method="POST")
    generation = shaky.write("a", b"content", if_generation=0)
    assert len(gcs_proxy.seen("POST", "a")) == 2
    assert direct.stat("a").generation == generation
    assert direct.read("a") == b"content"


def test_an_upload_whose_answer_is_lost_succeeds_and_is_stored_once(shaky, direct, gcs_proxy, tmp_path):
    old = direct.write("a", b"old")
    (tmp_path / "file").write_bytes(b"new")
    gcs_proxy.drop_answer(method="POST", contains="a")
    generation = shaky.upload("a", tmp_path / "file", if_generation=old)
    assert direct.stat("a").generation == generation != old
    assert direct.read("a") == b"new"


def test_a_lost_answer_hides_no_other_writer_who_came_first(shaky, direct, gcs_proxy):
    direct.write("a", b"theirs")
    gcs_proxy.drop_answer(method="POST")
    with pytest.raises(PreconditionFailed, match="another writer"):
        shaky.write("a", b"ours", if_generation=0)
    assert direct.read("a") == b"theirs"


def test_a_lost_answer_hides_no_other_writer_who_came_between(shaky, direct, gcs_proxy):
    held = gcs_proxy.hold(method="POST", after=True)
    result = in_thread(lambda: shaky.write("a", b"ours", if_generation=0))
    assert held.reached.wait(30)
    direct.write("a", b"theirs", if_generation=direct.stat("a").generation)
    held.drop()
    with pytest.raises(PreconditionFailed):
        result()
    assert direct.read("a") == b"theirs"


def test_two_refusals_for_overload_are_waited_out(shaky, gcs_proxy):
    gcs_proxy.answer(503, method="POST", times=2)
    shaky.write("a", b"content", if_generation=0)
    assert len(gcs_proxy.seen("POST")) == 3
    assert shaky.read("a") == b"content"


def test_reading_goes_on_after_a_lost_answer(shaky, gcs_proxy, tmp_path):
    shaky.write("a", b"content")
    gcs_proxy.drop_answer(method="GET")
    assert shaky.read("a") == b"content"
    gcs_proxy.drop_answer(method="GET")
    assert [found.name for found in shaky.list()] == ["a"]
    gcs_proxy.answer(503, method="GET")
    shaky.download("a", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_delete_whose_answer_is_lost_is_no_error(shaky, direct, gcs_proxy):
    shaky.write("a", b"content")
    gcs_proxy.drop_answer(method="DELETE")
    shaky.delete("a")
    assert direct.stat("a") is None


@pytest.mark.parametrize("skip", [0, 1])
def test_a_resumable_upload_survives_a_lost_answer(shaky, direct, gcs_proxy, tmp_path, skip):
    """Skip 0 loses the answer that opens the session, skip 1 the one that ends it.

    Cloud Storage answers a retry of the last part with the object; this server knows no such session (404).
    """
    (tmp_path / "file").write_bytes(os.urandom(9 << 20))
    gcs_proxy.drop_answer(contains="big", skip=skip)
    generation = shaky.upload("big", tmp_path / "file", if_generation=0)
    assert direct.stat("big").generation == generation
    assert direct.read("big") == (tmp_path / "file").read_bytes()


def test_every_part_of_a_resumable_upload_passes_the_proxy_under_its_name(shaky, gcs_proxy, tmp_path):
    (tmp_path / "file").write_bytes(os.urandom(9 << 20))
    held = gcs_proxy.hold(method="PUT", contains="checkpoints%2F10%2F")
    result = in_thread(lambda: shaky.upload("checkpoints/10/data", tmp_path / "file"))
    assert held.reached.wait(30)
    assert shaky.stat("checkpoints/10/data") is None
    held.release()
    result()
    assert [request.method for request in gcs_proxy.seen(contains="checkpoints/10/data")] == [
        "POST",
        "PUT",
        "GET",
    ]
    assert shaky.stat("checkpoints/10/data").size == 9 << 20


def test_a_held_write_is_not_there_before_it_is_released(shaky, direct, gcs_proxy):
    held = gcs_proxy.hold(method="POST", contains="checkpoints%2F10%2F")
    shaky.write("checkpoints/100/data", b"another")
    assert not held.reached.is_set()
    result = in_thread(lambda: shaky.write("checkpoints/10/data", b"content"))
    assert held.reached.wait(30)
    assert direct.stat("checkpoints/10/data") is None
    held.release()
    result()
    assert direct.read("checkpoints/10/data") == b"content"


def test_a_held_write_that_is_dropped_never_arrives(shaky, direct, gcs_proxy):
    held = gcs_proxy.hold(method="POST")
    again = gcs_proxy.hold(method="POST")
    result = in_thread(lambda: shaky.write("a", b"content"))
    assert held.reached.wait(30)
    held.drop()
    assert again.reached.wait(30)
    assert direct.stat("a") is None
    again.release()
    result()


def test_content_damaged_on_its_way_is_refused_and_leaves_no_file(shaky, gcs_proxy, tmp_path):
    shaky.write("a", b"content")
    gcs_proxy.damage(method="GET", times=20)
    with pytest.raises(StorageError, match="a: "):
        shaky.download("a", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StorageError):
        shaky.read("a")
