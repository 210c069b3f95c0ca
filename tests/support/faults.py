"""Storage that fails now and then, by chance but the same way for the same seed.

::

    faults = proxy.add(RandomFaults(proxy, Rates(), seed=1))
    ...
    print(faults.counts)                                       # Counter({"503": 12, "slow": 7, ...})

What happens to a request is a function of the seed, its method, its object and how many like it came before,
and not of the order in which threads and processes come by: the third write of ``manifest.json`` meets the
same fault whatever else goes on.
"""

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, fields
from urllib.parse import parse_qs, urlsplit

from tests.support.proxy import Answer, Drop, Exchange, Proxy, Request, Rule

STALE_SECONDS = 2.0  # after a write: how long a cache on the way may not know of the object


@dataclass(frozen=True)
class Rates:
    """How often each fault happens: a share of all requests, where nothing else is said."""

    unavailable: float = 0.05
    """Answered with 503; the server hears nothing of it."""
    lost: float = 0.02
    """The server acts on it, and the connection is closed instead of an answer."""
    throttled: float = 0.02
    """Answered with 429 and ``Retry-After: 1``."""
    slow: float = 0.03
    """Held for up to a second before the server sees it, or as often its answer."""
    cut: float = 0.02
    """Of uploads: the connection is closed in the middle of the body; the server hears nothing of it."""
    stale: float = 0.10
    """Of reads of an object or its metadata within `STALE_SECONDS` of a write: answered with 404."""

    def times(self, factor: float) -> "Rates":
        """The same faults, more often or less."""
        return Rates(**{field.name: factor * getattr(self, field.name) for field in fields(self)})


NONE = Rates().times(0)


class Cut(Rule):
    """Close the connection in the middle of an upload."""

    def act(self, exchange: Exchange) -> None:
        exchange.cut()


@dataclass
class Slow(Rule):
    """Hold a request, or with `after` its answer, for a while."""

    seconds: float = 0.0
    after: bool = False

    def act(self, exchange: Exchange) -> None:
        exchange.read()
        if not self.after:
            time.sleep(self.seconds)
        reply = exchange.ask()
        if self.after:
            time.sleep(self.seconds)
        exchange.answer(reply)


class RandomFaults:
    """A rule that draws another one for each request; see the module."""

    def __init__(self, proxy: Proxy, rates: Rates, seed: int) -> None:
        self._proxy, self._rates, self._seed = proxy, rates, seed
        self._lock = threading.Lock()
        self._seen: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        """Faults so far, by name."""

    def choose(self, request: Request) -> Rule | None:
        """The fault that this request meets, if any."""
        key = _key(request)
        with self._lock:
            self._seen[key] += 1
            draws = random.Random(f"{self._seed} {key} {self._seen[key]}")
            name, rule = self._draw(request, draws)
            if rule:
                self.counts[name] += 1
            return rule

    def end(self) -> None:
        """Leave all further requests alone."""
        self._rates = NONE

    def _draw(self, request: Request, draws: random.Random) -> tuple[str, Rule | None]:
        rates, after = self._rates, draws.random() < 0.5
        is_upload = bool(request.name)
        choices = (
            ("503", rates.unavailable, Answer(None, "", status=503)),
            ("lost answer", rates.lost, Drop(None, "")),
            ("429", rates.throttled, Answer(None, "", status=429, headers={"Retry-After": "1"})),
            ("slow", rates.slow, Slow(None, "", seconds=draws.random(), after=after)),
            ("cut upload", rates.cut * is_upload, Cut(None, "")),
            ("stale 404", rates.stale * self._is_fresh(request), Answer(None, "", status=404)),
        )
        lot = draws.random()
        for name, rate, rule in choices:
            if lot < rate:
                return name, rule
            lot -= rate
        return "", None

    def _is_fresh(self, request: Request) -> bool:
        """Whether the request reads what was written a moment ago."""
        written = self._proxy.written.get(request.target) if request.method == "GET" else None
        return written is not None and time.monotonic() - written < STALE_SECONDS


def _key(request: Request) -> str:
    """What makes requests of one kind."""
    where = urlsplit(request.path)
    listed = parse_qs(where.query).get("prefix", [""])[0]
    return f"{request.method} {request.target or where.path} {listed}"
