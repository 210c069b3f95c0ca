"""One pod's log, from its first line (or a later one) to its last, over as many connections as it takes.

What the API server gives is what the node still has: the newest file of a log, which the kubelet rotates at
10 MiB, and nothing once the pod is gone. Of a container that has ended it may lack the last lines, and half
of one: what a busy node has not written 2 s after the end, containerd drops (seen with 1.6.20; the matter of
its pull request 12364). The copy in the run's folder has the rest.

Our own, because the libraries read one stream and are through, or raise, where it is cut: kubernetes 37.0.2
(`Watch.stream`, which goes on at a resource version only, and a log has none), kubernetes_asyncio 36.1.0,
kr8s 0.20.15 (`Pod.logs`) and lightkube 1.0.1 (`log`), as their sources were in November 2026. None opens a
log again at the last stamp, leaves out what was given, or goes on to the pod that replaces one.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from launcher.backends.kubernetes.client.api import Api
from launcher.backends.kubernetes.logs.exact_lines import (
    Joiner,
    StampedLine,
    Taken,
    meeting,
    rest_of_copy,
    stamped,
)
from launcher.backends.kubernetes.logs.job_pods import CONTAINER, Pod, Pods
from launcher.backends.kubernetes.logs.stored_copy import Copy
from launcher.errors import ApiRejected, ClusterLost, NotFound, Transient
from launcher.records.follow import pod_of, shown

if TYPE_CHECKING:
    import urllib3

_SILENT_SECONDS = 30.0  # a stream that gives nothing for so long is opened again: its connection may be dead
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_CHUNK_BYTES = 1 << 16
_PARTS = 64  # the runtime splits lines at 16 KiB, and the kubelet counts parts when it is asked for a tail
_RECENT = 200  # lines that are kept to find their place in the copy, given or left out
_ROTATED = "[lines may be missing here: the node rotated this log while the connection was cut]"


class Begin(NamedTuple):
    """Where a log is read from; from its first line when neither is given."""

    tail: int | None = None
    since_seconds: float | None = None

    @property
    def whole(self) -> bool:
        """Whether that is the first line."""
        return self == Begin()


class PodLog:
    """Reads one pod's log in the thread that calls it; `close` may be called from another."""

    def __init__(
        self, api: Api, pods: Pods, pod: Pod, copy: Copy, begin: Begin, emit: Callable[[list[str]], None]
    ) -> None:
        self._api, self._pods, self._pod, self._copy, self._begin = api, pods, pod, copy, begin
        self._out = emit
        self._path = f"/api/v1/namespaces/{api.namespace}/pods/{pod.name}/log"
        self._taken = Taken(whole=begin.whole)
        self._begun = False  # the lines that were there at first were read
        self._count: int | None = 0 if begin.whole else None  # of the lines given, from the first on
        self._recent: deque[str] = deque(maxlen=_RECENT)
        self._torn: StampedLine | None = None  # what came last and without a line's end
        self._response: urllib3.BaseHTTPResponse | None = None
        self._closed = threading.Event()
        self._born = time.monotonic()

    def close(self) -> None:
        """End `follow` soon, wherever it is."""
        self._closed.set()
        with self._pods.changed:
            self._pods.changed.notify_all()
        if response := self._response:
            with suppress(OSError, ValueError, RuntimeError):  # it may have ended by itself
                response.shutdown()  # wakes the thread that reads it

    def follow(self) -> None:
        """Give every line until the container has ended and all of it was read."""
        self._wait(lambda: self._pod.started or self._pod.gone)
        pause = _FIRST_PAUSE
        while not self._closed.is_set():
            final = self._over  # asked before: what is read from now on to its end is all there is
            given = self._taken.number
            try:
                if self._read(follow=not final) and final:
                    self._complete()
                    return
            except ApiRejected as refusal:
                if self._over or isinstance(refusal, NotFound):
                    self._complete()
                    return
            except ClusterLost:
                self._pods.refresh()  # raises it again, unless only the pod's node is lost
            pause = _FIRST_PAUSE if self._taken.number > given else min(2 * pause, _LONGEST_PAUSE)
            self._wait(lambda: self._over and not final, pause)  # noqa: B023

    def once(self) -> None:
        """Give every line that there is now."""
        over = self._over
        try:
            while self._pod.started and not self._closed.is_set():
                if self._read(follow=False):
                    break
                self._closed.wait(_FIRST_PAUSE)
        except ApiRejected:
            over = True
        if over:
            self._complete()

    @property
    def _over(self) -> bool:
        return self._pod.ended or self._pod.gone

    def _wait(self, ready: Callable[[], bool], seconds: float | None = None) -> None:
        with self._pods.changed:
            self._pods.changed.wait_for(lambda: ready() or self._closed.is_set(), seconds)

    def _read(self, *, follow: bool) -> bool:
        """Read what is there, or what comes as well; whether the stream was read to its end."""
        if not self._begun:
            return self._first() and not follow
        since = {"sinceTime": self._taken.since} if self._taken.since else self._query(tail=False)
        return self._pass_on(self._batches(since | ({"follow": "true"} if follow else {})))

    def _first(self) -> bool:
        """Read what is there at first; whether all of it came."""
        batches = self._batches(self._query(tail=True))
        try:
            texts = self._opening(batches)
        except Transient:
            self._taken = Taken(whole=self._begin.whole)  # nothing of it was given
            return False
        self._begun = True
        self._give(texts)
        return self._pass_on(batches)

    def _query(self, *, tail: bool) -> dict[str, str]:
        """Where to begin, in the API server's words."""
        query = {}
        if tail and self._begin.tail is not None:
            query["tailLines"] = str(self._begin.tail + _PARTS)
        if self._begin.since_seconds is not None:
            age = time.monotonic() - self._born
            query["sinceSeconds"] = str(max(1, round(self._begin.since_seconds + age)))
        return query

    def _opening(self, batches: "Iterator[list[str]]") -> list[str]:
        """The first lines to be given, which may be all there are and more."""
        texts = next(batches, [])
        if self._begin.tail is not None:
            texts += [text for batch in batches for text in batch]
            place = max(0, len(texts) - self._begin.tail)
            self._recent += texts[:place]
            return texts[place:]
        if self._begin.whole and texts and pod_of(texts[0]) is None:
            if not (copy := self._copy.of(self._pod.name)):
                self._count = None
                return texts
            texts += [text for batch in batches for text in batch]  # the beginning was rotated away
            return [*copy[: meeting(copy, texts)], *texts]
        return texts

    def _pass_on(self, batches: "Iterator[list[str]]") -> bool:
        """Give lines as they come; whether the last of them came."""
        try:
            for texts in batches:
                self._give(self._bridged(texts) if self._taken.gap else texts)
        except Transient:
            return False
        return True

    def _batches(self, query: Mapping[str, str]) -> "Iterator[list[str]]":
        """Lines that were not taken before, as they come over one connection.

        Raises:
            Transient: the connection was cut, or silent for too long.
            ApiRejected: there is no log, or none yet.
        """
        options = {"container": CONTAINER, "timestamps": "true", **query}
        with self._api.stream(self._path, options, _SILENT_SECONDS) as response:
            self._response = response
            self._taken.opened()
            self._torn = None
            joiner, refusal, stamps = Joiner(), b"", 0
            while chunk := response.read1(_CHUNK_BYTES):
                lines = joiner.feed(chunk)
                found = [line for line in map(stamped, lines) if line]
                refusal, stamps = refusal or (lines and lines[0]) or b"", stamps + len(found)
                if texts := [shown(line.content) for line in found if self._taken.take(line)]:
                    yield texts
                if self._closed.is_set():
                    return
            rest = joiner.end()
            self._torn = stamped(rest)
            if not stamps and not self._torn and (refusal or rest):
                raise ApiRejected(shown(refusal or rest))  # the kubelet says in the log that it has none

    def _bridged(self, texts: list[str]) -> list[str]:
        """Lines after those that the copy holds and the node does not any more."""
        self._taken.gap = False
        rest = rest_of_copy(self._copy.of(self._pod.name), self._count, self._recent)
        place = meeting(rest, texts)
        missing = rest[:place] if place < len(rest) else [*rest, _ROTATED]
        self._count = None
        return missing + texts

    def _complete(self) -> None:
        """Give what the copy holds beyond what the node had, else what the node had without a line's end."""
        rest: list[str] = []
        if (self._begin.whole or self._recent) and not self._copy.ends_with(self._recent):
            rest = rest_of_copy(self._copy.of(self._pod.name), self._count, self._recent)
        self._give(rest or [shown(line.content) for line in [self._torn] if line])

    def _give(self, texts: list[str]) -> None:
        if texts:
            if self._count is not None:
                self._count += len(texts)
            self._recent += texts
            self._out(texts)
