"""A storage server on this machine that pods can reach and that refuses them whatever they ask."""

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


class Refusing:
    """Answers every request with one status, as Cloud Storage does; inside a ``with``."""

    def __init__(self, status: int, host: str = "127.0.0.1") -> None:
        body = json.dumps({"error": {"code": status, "message": MESSAGES[status]}}).encode()
        handler = type("Bound", (_Handler,), {"status": status, "body": body})
        self._server = _Server((host, 0), handler)
        self.url = f"http://{host}:{self._server.server_address[1]}"

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
    body: bytes

    def refuse(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = refuse

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
