"""A machine whose clock is wrong: on the path of a process, all that Python asks the clock for is shifted.

`SHIFTED_SECONDS` says by how much. Times of files, of servers and of `time.monotonic` stay what they are.
"""

import datetime
import os
import time

_SECONDS = float(os.environ.get("SHIFTED_SECONDS", "0"))
_time, _time_ns = time.time, time.time_ns


class _Datetime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls):
        return cls.now(datetime.UTC).replace(tzinfo=None)


time.time = lambda: _time() + _SECONDS
time.time_ns = lambda: _time_ns() + int(_SECONDS * 1e9)
datetime.datetime = _Datetime
