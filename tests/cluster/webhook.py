"""An admission webhook that says no, over TLS as the API server wants it."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

from tests.cluster.harness.certificates import self_signed

REASON = "only images of our own registry, please"


class Webhook(NamedTuple):
    """Where the API server finds it."""

    url: str
    certificate: str
    """Its own authority's, base64."""


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {
            "uid": review["request"]["uid"],
            "allowed": False,
            "status": {"code": 403, "message": REASON},
        }
        kind = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        content = json.dumps({**kind, "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def webhook(folder: Path) -> Iterator[Webhook]:
    """Serve; the certificate is made in a folder."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    self_signed("webhook", key, certificate, "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, name="webhook", daemon=True).start()
    try:
        encoded = base64.b64encode(certificate.read_bytes()).decode()
        yield Webhook(f"https://127.0.0.1:{server.server_port}/", encoded)
    finally:
        server.shutdown()
        server.server_close()
