"""When a schedule fires: a cron line in a time zone, read as Kubernetes reads it.

Kubernetes parses with robfig/cron v3, in which a line fires at every real minute whose wall clock matches:
not at all for a time that daylight saving leaps over, and twice for one that comes twice. cronsim finds
matches after Debian's rules, which differ there, so it is asked for wall clock times without a zone, and they
are put into the zone here. Where the two read a line differently, it is rewritten for cronsim first:

============  ==============================================  =========================
``5/15``      from 5 to the end of the field                  the same
``*/2``       in a day field: "or" with the other day field   "and"
``7``         no day of the week                              Sunday
``L W #``     refused                                         last, nearest, n-th
``?``         the same as ``*``                               refused
============  ==============================================  =========================

https://pkg.go.dev/github.com/robfig/cron/v3
"""

import difflib
import heapq
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from launcher.errors import FieldError, refuse

DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
EXAMPLE = 'such as "0 3 * * 1" for Mondays at three'
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_LONGEST_REPEAT = timedelta(hours=25)  # of wall clock that comes twice; a day, where a date line was moved
_ITEM = re.compile(r"(?:(?P<star>[*?])|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d{1,9}))?", re.ASCII)


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: dict[str, int]

    @property
    def expected(self) -> str:
        """What may stand in the field."""
        named = f" or {next(iter(self.names))} to {list(self.names)[-1]}" if self.names else ""
        return f"{self.low} to {self.high}{named}, *, ranges a-b, steps */n, and lists of these with commas"


_FIELDS = (
    _Field("minute", 0, 59, {}),
    _Field("hour", 0, 23, {}),
    _Field("day of month", 1, 31, {}),
    _Field("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    _Field("day of week", 0, 6, {name: number for number, name in enumerate(_DAYS)}),
)


class CronLine:
    """A cron line that fires now and then, in a time zone.

    Raises:
        FieldError: it is no cron line, never fires, or there is no such zone.
    """

    def __init__(self, schedule: str, zone: str = "Etc/UTC") -> None:
        self.schedule, self.zone = schedule, check_zone(zone)
        self._plain = _translated(schedule)
        self._first()  # a line that never fires is none

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Times after a moment, in the schedule's zone, earliest first."""
        return self._times(moment, reverse=False)

    def before(self, moment: datetime) -> Iterator[datetime]:
        """Times before a moment, in the schedule's zone, latest first."""
        return self._times(moment, reverse=True)

    def next(self, moment: datetime, count: int) -> list[datetime]:
        """The next so many times after a moment."""
        return list(islice(self.after(moment), count))

    def _times(self, moment: datetime, reverse: bool) -> Iterator[datetime]:
        """Real times of the matching wall clock times.

        In the order of the wall clock, the first occurrences of its times are in order too, and so are the
        second ones; `late` holds those back that another first one precedes. Backwards it is the other way
        round.
        """
        late: list[tuple[float, datetime]] = []
        sign, seen = (-1, moment.timestamp()) if reverse else (1, moment.timestamp())
        begin = moment.astimezone(self._zone).replace(tzinfo=None) - sign * _LONGEST_REPEAT
        for wall in self._walls(begin, reverse):
            first, *second = self._real(wall, reverse) or (None,)
            if first is None:
                continue
            stamp = first.timestamp()
            while late and late[0][0] < sign * stamp:
                held = heapq.heappop(late)[1]
                if sign * held.timestamp() > sign * seen:
                    yield held
            if sign * stamp > sign * seen:
                yield first
            for other in second:
                heapq.heappush(late, (sign * other.timestamp(), other))

    def _real(self, wall: datetime, reverse: bool) -> list[datetime]:
        """When the zone's clocks show a time: once, not at all, or twice."""
        folds = [wall.replace(tzinfo=self._zone, fold=fold) for fold in ((1, 0) if reverse else (0, 1))]
        if folds[0].utcoffset() == folds[1].utcoffset():
            return folds[:1]
        same = folds[0].astimezone(UTC).astimezone(self._zone).replace(tzinfo=None, fold=0) == wall
        return folds if same else []

    def _walls(self, begin: datetime, reverse: bool) -> Iterator[datetime]:
        from cronsim import CronSim

        return CronSim(self._plain, begin, reverse=reverse)

    def _first(self) -> datetime:
        from cronsim import CronSimError

        try:
            return next(self._walls(datetime(2000, 1, 1), reverse=False))
        except (StopIteration, CronSimError):
            raise refuse("schedule", self.schedule, f"a line that fires some day, {EXAMPLE}") from None


@cache
def check_zone(zone: str) -> str:
    """The name of a time zone itself.

    Raises:
        FieldError: there is none of that name; the nearest is named.
    """
    zones = available_timezones()
    if zone in zones:
        return zone
    folded = {name.casefold(): name for name in sorted(zones)}
    places = {name.rpartition("/")[2]: name for name in sorted(folded)}
    asked = zone.strip().casefold().replace(" ", "_")
    near = difflib.get_close_matches(asked, folded, n=1)
    near = near or [places[place] for place in difflib.get_close_matches(asked, places, n=1)]
    hint = f" (did you mean '{folded[near[0]]}'?)" if near else ""
    raise FieldError(
        "time_zone", f"time_zone is '{zone}': expected a zone such as Europe/Paris or Etc/UTC{hint}"
    )


def _translated(schedule: str) -> str:
    """A line for cronsim that means what Kubernetes takes `schedule` for.

    Raises:
        FieldError: Kubernetes would not take it.
    """
    if "TZ=" in schedule:
        raise refuse("schedule", schedule, "no TZ=, which Kubernetes refuses: --time-zone says the zone")
    line = schedule.strip()
    if line.startswith("@"):
        if line not in DESCRIPTORS:
            raise refuse("schedule", schedule, f"one of {', '.join(DESCRIPTORS)}, or five fields, {EXAMPLE}")
        line = DESCRIPTORS[line]
    words = line.split()
    if len(words) != len(_FIELDS):
        fields = ", ".join(field.name for field in _FIELDS)
        raise refuse("schedule", schedule, f"five fields ({fields}), {EXAMPLE}")
    return " ".join(_field(field, word.upper(), schedule) for field, word in zip(_FIELDS, words, strict=True))


def _field(field: _Field, word: str, schedule: str) -> str:
    """One field as a star, or as a list of its values."""
    values: set[int] = set()
    for item in word.split(","):
        found = _values(field, item)
        if found is None:
            raise refuse("schedule", schedule, f"its {field.name} '{word}' to be {field.expected}")
        values |= found
    if any(item in ("*", "?", "*/1", "?/1") for item in word.split(",")):
        return "*"
    return ",".join(map(str, sorted(values)))


def _values(field: _Field, item: str) -> set[int] | None:
    """The values that one entry of a field's list stands for, None when it stands for none."""
    found = _ITEM.fullmatch(item)
    if not found:
        return None
    step = int(found["step"] or 1)
    if found["star"]:
        low, high = field.low, field.high
    else:
        ends = [_value(field, found["low"]), _value(field, found["high"] or found["low"])]
        if None in ends:
            return None
        low, high = (int(end or 0) for end in ends)
        if found["step"] and not found["high"]:
            high = field.high
    if step < 1 or low > high:
        return None
    return set(range(low, high + 1, step))


def _value(field: _Field, text: str) -> int | None:
    number = field.names.get(text, int(text) if text.isascii() and text.isdigit() else -1)
    return number if field.low <= number <= field.high else None
