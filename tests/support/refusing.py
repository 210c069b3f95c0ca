"""Servers that refuse: a storage whatever it is asked, and a metadata server the token."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

# Cloud Storage's own words, by status.
MESSAGES = {
    403: "trainer@project.iam.gserviceaccount.com does not have storage.objects.list access to the Google "
    "Cloud Storage bucket. Permission 'storage.objects.list' denied on resource (or it may not exist).",
    404: "The specified bucket does not exist.",
}
_EMAIL = "t@p.iam.gserviceaccount.com"
_NO_TOKEN = (
    "Unable to generate access token; IAM returned 403 Forbidden: Permission "
    "'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).\nThis error could be "
    "caused by a missing IAM policy binding on the target IAM service account."
)


class Refusing:
    """Answers every request with one status, as Cloud Storage does; inside a ``with``."""

    def __init__(self, status: int, host: str = "127.0.0.1", handler: "type[_Handler] | None" = None) -> None:
        bound = type("Bound", (handler or _Handler,), {"status": status})
        self._server = _Server((host, 0), bound)
        self.address = f"{host}:{self._server.server_address[1]}"
        self.url = f"http://{self.address}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads, block_on_close = True, False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that was killed between two requests."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    status: int

    def refuse(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        error = {"code": self.status, "message": MESSAGES[self.status]}
        self.say(self.status, "application/json", json.dumps({"error": error}))

    def say(self, status: int, kind: str, text: str) -> None:
        """Answer."""
        body = text.encode()
        self.send_response(status)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = refuse

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Metadata(Refusing):
    """The metadata server of a node whose service account may not act as its Google account."""

    def __init__(self) -> None:
        super().__init__(403, handler=_Metadata)


class _Metadata(_Handler):
    def refuse(self) -> None:
        if "/token" in self.path:
            self.say(403, "text/html", _NO_TOKEN)
        elif "service-accounts/default/" in self.path:
            self.say(200, "application/json", json.dumps({"email": _EMAIL, "scopes": []}))
        else:
            self.say(404 if "universe" in self.path else 200, "text/plain", "project")

    do_GET = refuse
