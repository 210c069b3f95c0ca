"""What fake-gcs-server leaves out: preconditions of deletes and resumable uploads, which real buckets check.

The server ignores ``ifGenerationMatch`` there. Whatever changes an object passes here one at a time, and such
a request is compared with the object's present generation first. A resumable upload is checked when it is
opened and when its last part has come, as Cloud Storage does.
"""

import http.client
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import parse_qs, quote, urlsplit


class Preconditions:
    """The conditions of requests to one server."""

    def __init__(self, upstream: str) -> None:
        self._netloc = urlsplit(upstream).netloc
        self._lock = threading.Lock()
        self._sessions: dict[str, tuple[str, str]] = {}
        """Bucket and condition of each resumable upload, by the path of its session."""

    def opened(self, session: str, path: str) -> None:
        """Remember the condition with which a resumable upload was opened by a request to `path`."""
        if condition := _query(path, "ifGenerationMatch"):
            self._sessions[session] = (_bucket(path), condition)

    @contextmanager
    def checked(self, method: str, path: str, name: str, headers: Mapping[str, str]) -> Iterator[bool]:
        """Hold off other changes and say whether this request about the object `name` must be refused."""
        if method == "GET":
            yield False
            return
        with self._lock:
            yield self._is_refused(method, path, name, headers)

    def _is_refused(self, method: str, path: str, name: str, headers: Mapping[str, str]) -> bool:
        condition = _query(path, "ifGenerationMatch")
        if method == "DELETE" and condition:  # of an absent object: the server says 404 itself
            return self._generation(_bucket(path), name) not in (condition, "0")
        if method == "POST" and condition and _query(path, "uploadType") == "resumable":
            return self._generation(_bucket(path), name) != condition
        if path in self._sessions and _is_last_part(headers.get("Content-Range", "")):
            bucket, condition = self._sessions[path]
            return self._generation(bucket, name) != condition
        return False

    def _generation(self, bucket: str, name: str) -> str:
        """The object's generation, 0 when there is none."""
        upstream = http.client.HTTPConnection(self._netloc, timeout=60)
        try:
            upstream.request("GET", f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}")
            answer = upstream.getresponse()
            content = answer.read()
            return "0" if answer.status == 404 else str(json.loads(content)["generation"])
        finally:
            upstream.close()


def _query(path: str, key: str) -> str | None:
    return parse_qs(urlsplit(path).query).get(key, [None])[0]


def _bucket(path: str) -> str:
    return re.search(r"/b/([^/]+)/", path)[1]


def _is_last_part(content_range: str) -> bool:
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", content_range)
    return bool(found) and int(found[2]) + 1 == int(found[3])
