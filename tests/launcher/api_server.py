"""An API server on the loopback that answers as a test says, kubeconfigs that lead to it, and exec plugins.

::

    with ApiServer() as server:
        server.say(503, times=2)
        server.objects["/api/v1/namespaces/team/pods"] = [{"metadata": {"name": "one"}}]
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(folder, {"token": "t"})))
"""

import json
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import yaml

CONTEXT, NAMESPACE = "loop", "team"
VERSION = {"major": "1", "minor": "36", "gitVersion": "v1.36.3"}


class Asked(NamedTuple):
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: Any
    moment: float
    """By `time.monotonic`."""
    user: str = ""
    """Whose certificate the connection has."""


class Answer(NamedTuple):
    """What is said to one."""

    status: int
    body: Any = b""
    headers: tuple[tuple[str, str], ...] = ()


def status(message: str, reason: str = "", code: int = 500, **more: Any) -> dict[str, Any]:
    """A Status object."""
    found = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, **more}
    return {**found, "message": message, "reason": reason}


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of who hangs up, or speaks TLS with one that does not."""


class ApiServer:
    """Lists what is in `objects`, in pages where it is asked to, and to what it was told to say first."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.objects: dict[str, list[Any]] = {}
        self.accepts: Callable[[str | None], bool] = lambda authorization: True
        """Whether it takes an Authorization header; it says 401 to others."""
        self._said: list[Answer] = []
        self._rules: list[Callable[[Asked], Answer | None]] = []
        self._lock = threading.Lock()
        self._server = _Quiet(("127.0.0.1", 0), self._handler())
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "ApiServer":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._server.shutdown()
        self._server.server_close()

    def say(self, code: int, body: Any = b"", *, times: int = 1, **headers: str) -> None:
        """Answer the next requests so."""
        named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        self._said += [Answer(code, body, named)] * times

    def rule(self, rule: Callable[[Asked], Answer | None]) -> None:
        """Answer whatever it answers, before all else."""
        self._rules.append(rule)

    def kubeconfig(self, folder: Path, user: dict[str, Any], **cluster: Any) -> Path:
        """A kubeconfig of one context."""
        return write_kubeconfig(folder / "kubeconfig", self.url, user, **cluster)

    def answer(self, asked: Asked) -> Answer:
        """What is said to a request."""
        with self._lock:
            self.asked.append(asked)
            for rule in self._rules:
                if (found := rule(asked)) is not None:
                    return found
            if self._said:
                return self._said.pop(0)
        if not self.accepts(asked.headers.get("Authorization")):
            return Answer(401, status("Unauthorized", "Unauthorized", 401))
        if asked.path == "/version":
            return Answer(200, VERSION)
        if asked.path not in self.objects:
            return Answer(404, status(f"{asked.path} not found", "NotFound", 404))
        return self._page(asked)

    def _page(self, asked: Asked) -> Answer:
        every = self.objects[asked.path]
        begin = int(asked.query.get("continue", 0))
        end = begin + int(asked.query.get("limit", len(every) + 1))
        more = {"continue": str(end), "remainingItemCount": len(every) - end} if end < len(every) else {}
        metadata = {"resourceVersion": "7", **more}
        return Answer(200, {"kind": "List", "metadata": metadata, "items": every[begin:end]})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = urlsplit(self.path)
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                moment, who = time.monotonic(), _user_of(self.connection)
                found = server.answer(Asked(self.command, parts.path, query, self.headers, moment, who))
                content = found.body if isinstance(found.body, bytes) else json.dumps(found.body).encode()
                self.send_response(found.status)
                for name, value in (*found.headers, ("Content-Length", str(len(content)))):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = do_DELETE = _serve

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        return Handler


def _user_of(connection: Any) -> str:
    """The common name of a connection's certificate; empty where it has none."""
    certificate = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    names = [value for part in (certificate or {}).get("subject", ()) for key, value in part]
    return str(names[0]) if names else ""


def write_kubeconfig(path: Path, address: str, user: dict[str, Any], **cluster: Any) -> Path:
    """A kubeconfig of one context in a file, whose folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = {"cluster": "c", "user": "u", "namespace": NAMESPACE}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "contexts": [{"name": CONTEXT, "context": chosen}],
        "clusters": [{"name": "c", "cluster": {"server": address, **cluster}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


class Plugin:
    """An exec plugin, a script that notes each of its runs and gives one token after another."""

    VERSION = "client.authentication.k8s.io/v1"

    def __init__(self, path: Path) -> None:
        self.path, self._runs = path, path.with_name(f"{path.name}.runs")
        path.parent.mkdir(parents=True, exist_ok=True)

    def gives(self, *tokens: str, then: str = "", **more: Any) -> "Plugin":
        """Give these tokens, the last one for ever; `more` are fields of the status."""
        answers = [{"token": token, **more} for token in tokens]
        return self.answers(*answers, then=then)

    def answers(self, *statuses: Any, then: str = "") -> "Plugin":
        """Give these statuses, the last one for ever; `then` is shell that runs before."""
        kind = {"apiVersion": self.VERSION, "kind": "ExecCredential"}
        for number, each in enumerate(statuses, 1):
            self.path.with_name(f"{self.path.name}.{number}").write_text(json.dumps({**kind, "status": each}))
        self.runs_script(
            f"{then}\nn=$(wc -l < {self._runs})\n[ $n -gt {len(statuses)} ] && n={len(statuses)}\n"
            f"cat {self.path}.$n"
        )
        return self

    def runs_script(self, script: str) -> "Plugin":
        """Be this shell script."""
        # One line for each run, with what it was called with.
        told = "echo $KUBERNETES_EXEC_INFO"  # without quotes, as kubectl's ends with a line end
        note = f'echo "$PWD|$*|$({told})|$EXTRA" >> {self._runs}'
        self.path.write_text(f"#!/bin/sh\n{note}\n{script}\n")
        self.path.chmod(0o755)
        return self

    def user(self, command: str | None = None, **more: Any) -> dict[str, Any]:
        """A kubeconfig's user that calls it."""
        own = {"apiVersion": self.VERSION, "interactiveMode": "Never", "command": command or str(self.path)}
        return {"exec": {**own, **more}}

    @property
    def runs(self) -> list[list[str]]:
        """Folder, arguments, what it was told and $EXTRA, of each run."""
        return (
            [line.split("|") for line in self._runs.read_text().splitlines()] if self._runs.exists() else []
        )
