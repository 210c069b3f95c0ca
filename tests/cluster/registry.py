"""A registry of images as small as can be, for what nodes say when one of them cannot be used.

It serves OCI's distribution API, read only, over plain HTTP at 127.0.0.1, which container runtimes take
without TLS. It knows two repositories: ``private`` wants a login, and ``arm`` has an image whose program is
of another architecture than the node's. By its tag the image says so in an index (``honest``), or claims to
be of the node's (``wrong``). All else is not found.
"""

import gzip
import hashlib
import io
import json
import platform
import struct
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PROGRAM = "other"
_OCI = "application/vnd.oci.image"
_MACHINES = {"x86_64": ("amd64", "arm64", 183), "aarch64": ("arm64", "amd64", 62)}
"""By this machine's name: its architecture, the other one, and that one's number in an ELF header."""


def _elf(machine: int) -> bytes:
    """A program of 120 bytes that the kernel of another machine refuses: header and one segment."""
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 120, 120, 0x1000)
    return ident + header + segment


def _layer(program: bytes) -> bytes:
    """A layer with the program as its only file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo(_PROGRAM)
        entry.mode, entry.size = 0o755, len(program)
        tar.addfile(entry, io.BytesIO(program))
    return packed.getvalue()


class _Blobs:
    """What the registry holds: blobs by digest, and the manifest of each tag."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        own, other, machine = _MACHINES[platform.machine()]
        layer = _layer(_elf(machine))
        self.tags = {"honest": self._index(layer, other), "wrong": self._manifest(layer, own)}

    def _keep(self, content: bytes, kind: str) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.blobs[digest] = content
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    def _index(self, layer: bytes, architecture: str) -> bytes:
        """An index that has an image for one architecture."""
        manifest = self._keep(self._manifest(layer, architecture), f"{_OCI}.manifest.v1+json")
        manifest["platform"] = {"os": "linux", "architecture": architecture}
        kind = f"{_OCI}.index.v1+json"
        content = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [manifest]}).encode()
        self._keep(content, kind)
        return content

    def _manifest(self, layer: bytes, architecture: str) -> bytes:
        packed = gzip.compress(layer, mtime=0)
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Entrypoint": [f"/{_PROGRAM}"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": self._keep(json.dumps(config).encode(), f"{_OCI}.config.v1+json"),
            "layers": [self._keep(packed, f"{_OCI}.layer.v1.tar+gzip")],
        }
        content = json.dumps(manifest).encode()
        self._keep(content, str(manifest["mediaType"]))
        return content


class _Handler(BaseHTTPRequestHandler):
    blobs = _Blobs()

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        parts = self.path.strip("/").split("/")  # v2/<repository>/manifests|blobs/<reference>
        if len(parts) != 4:
            self._send(200, b"{}")
            return
        _, repository, what, reference = parts
        if repository == "private":
            login = {"WWW-Authenticate": 'Basic realm="registry"'}
            self._send(401, _error("UNAUTHORIZED", "authentication required"), login)
            return
        content = self.blobs.tags.get(reference) or self.blobs.blobs.get(reference)
        if repository != "arm" or content is None:
            self._send(404, _error("MANIFEST_UNKNOWN", "manifest unknown"))
            return
        kind = json.loads(content)["mediaType"] if what == "manifests" else "application/octet-stream"
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self._send(200, content, {"Content-Type": kind, "Docker-Content-Digest": digest})

    def _send(self, code: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for key, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _error(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


@contextmanager
def registry() -> Iterator[str]:
    """Serve; gives the address that an image's name begins with, such as ``127.0.0.1:40123``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, name="registry", daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
