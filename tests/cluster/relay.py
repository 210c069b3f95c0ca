"""The way to the API server, to be cut: bytes pass through until a test ends, swallows or refuses them."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from tests.cluster.kubectl import Kubectl


class Relay:
    """Passes connections on to the API server inside a ``with``; its `kubeconfig` leads through it."""

    def __init__(self, kubectl: Kubectl, folder: Path) -> None:
        config = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "-o=json").stdout)
        cluster = config["clusters"][0]["cluster"]
        there = urlsplit(cluster["server"])
        self._there = (there.hostname, there.port or 443)
        self._listener = socket.create_server(("127.0.0.1", 0))
        cluster["server"] = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        cluster["insecure-skip-tls-verify"] = True  # its certificate names the other address
        cluster.pop("certificate-authority-data", None)
        cluster.pop("certificate-authority", None)
        self.kubeconfig = folder / "relay.yaml"
        self.kubeconfig.write_text(json.dumps(config))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._dumb: set[socket.socket] = set()
        self._refusing = False

    def __enter__(self) -> "Relay":
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """End all connections, in the middle of whatever they carry."""
        with self._lock:
            ends = list(self._open)
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def stall(self) -> None:
        """Let the connections of now stay open and carry nothing any more."""
        with self._lock:
            self._dumb |= self._open

    @contextmanager
    def away(self) -> Iterator[None]:
        """No connection there is or comes, until the end of the block."""
        self._refusing = True
        self.cut()
        try:
            yield
        finally:
            self._refusing = False

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:  # closed
                return
            try:
                if self._refusing:
                    raise ConnectionRefusedError
                far = socket.create_connection(self._there)
            except OSError:
                near.close()
                continue
            with self._lock:
                self._open |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if source not in self._dumb:
                    sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {source, sink}
