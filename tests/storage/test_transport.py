"""Content by requests of our own: credentials, proxies and refusals as the library's session has them."""

import json
import os
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import AuthorizedSession
from google.oauth2.credentials import Credentials

from trainer.errors import AccessError, StorageError
from trainer.storage import open_store
from trainer.storage.clock import ServerClock
from trainer.storage.transport import Source, Transport


class Gate:
    """Lets requests with the token ``fresh`` pass to a server, and gives that token out at ``/token``."""

    def __init__(self, upstream):
        self.upstream, self.tokens, self.given, self.refuses = upstream, [], 0, False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_GateHandler,), {"gate": self}))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def transport(self, token):
        """What sends requests with a token that has not run out as far as its owner knows."""
        credentials = Credentials(
            token, refresh_token="r", token_uri=f"{self.url}/token", client_id="i", client_secret="s"
        )
        return Transport(AuthorizedSession(credentials), self.url, 30, ServerClock())


class _GateHandler(BaseHTTPRequestHandler):
    gate: Gate

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.gate.given += 1
        if self.gate.refuses:
            self._answer(400, json.dumps({"error": "invalid_grant"}).encode())
        else:
            self._answer(200, json.dumps({"access_token": "fresh", "expires_in": 3600}).encode())

    def do_GET(self):
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.gate.tokens.append(token)
        if token != "fresh":
            self._answer(401, b"who are you?")
            return
        with urllib.request.urlopen(self.gate.upstream + self.path) as answer:
            self._answer(200, answer.read())

    def log_message(self, format, *args):
        pass

    def _answer(self, status, content):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def stored(gcs_root):
    """Generation and path in the service of an object."""
    found = open_store(gcs_root)
    found.write("a", b"content")
    name = gcs_root.removeprefix("gs://runs/") + "%2Fa"
    return found.stat("a").generation, f"/download/storage/v1/b/runs/o/{name}"


def test_a_token_that_is_refused_is_renewed(gcs_server, stored):
    generation, path = stored
    with Gate(gcs_server.url) as gate:
        transport = gate.transport("stale")
        for _ in range(2):
            assert Source(transport, gate.url + path, generation).read() == b"content"
    assert gate.given == 1
    assert gate.tokens[-2:] == ["fresh", "fresh"]


def test_a_token_that_is_not_there_yet_is_asked_for_before_the_first_request(gcs_server, stored):
    generation, path = stored
    with Gate(gcs_server.url) as gate:
        assert Source(gate.transport(None), gate.url + path, generation).read() == b"content"
    assert gate.tokens == ["fresh"]


def test_credentials_that_cannot_be_renewed_are_an_error(gcs_server, stored):
    generation, path = stored
    with Gate(gcs_server.url) as gate:
        gate.refuses = True
        with pytest.raises(RefreshError):
            Source(gate.transport("stale"), gate.url + path, generation).read()


@pytest.mark.parametrize(("status", "kind"), [(401, AccessError), (403, AccessError), (400, StorageError)])
def test_a_refusal_is_one_line(gcs_root, gcs_proxy, status, kind):
    store = open_store(gcs_root)
    store.write("a", b"content")
    found = store.stat("a")
    gcs_proxy.answer(status, contains="alt=media", times=None)
    with pytest.raises(kind) as caught:
        list(store.parts(found))
    assert str(caught.value).startswith(f"{gcs_root}/a: ")
    assert "\n" not in str(caught.value)


def test_an_overload_is_waited_out(gcs_root, gcs_proxy):
    store = open_store(gcs_root)
    store.write("a", b"content")
    gcs_proxy.answer(503, contains="alt=media")
    assert list(store.parts(store.stat("a"))) == [b"content"]
    assert len(gcs_proxy.seen("GET", "alt=media")) == 2


def test_a_proxy_of_the_environment_is_told_whole_addresses(gcs_root, gcs_server, gcs_proxy, monkeypatch):
    """Nobody but the proxy knows a server of that name."""
    open_store(gcs_root).write("a", b"content")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://storage.invalid")
    monkeypatch.setenv("http_proxy", gcs_proxy.url)
    monkeypatch.setenv("no_proxy", "")
    store = open_store(gcs_root)
    assert list(store.parts(store.stat("a"))) == [b"content"]
    (asked,) = gcs_proxy.seen("GET", "alt=media")
    assert asked.path.startswith("http://storage.invalid/download/storage/v1/b/runs/o/")


@pytest.mark.parametrize("name", ["a b/ü+&?#%2F~.json", "x/" + "é" * 90])
def test_any_name_is_asked_for_as_it_is(gcs_root, name):
    store, content = open_store(gcs_root), os.urandom(10)
    store.write(name, content)
    assert list(store.parts(store.stat(name))) == [content]
