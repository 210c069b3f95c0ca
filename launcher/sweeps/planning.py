"""From a sweep's file and flags to the runs that it has: each one checked before the first is started."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from launcher import backends
from launcher.errors import SpecError
from launcher.spec.runspec import RunSpec
from launcher.spec.settings import Layered, layered, spec_from
from launcher.spec.yaml_file import OVERRIDES, Setting
from launcher.sweeps.file import Point, Sweep
from trainer.errors import UserError
from trainer.run import layout


class Member(NamedTuple):
    """One run of a sweep."""

    name: str
    """Sweep's name and the run's number, which counts from 1."""
    values: dict[str, str]
    """What is the run's own, as ``--set`` would have it."""
    spec: RunSpec

    @property
    def told(self) -> str:
        """The run's own values on one line."""
        return _told(self.values)


@dataclass(frozen=True)
class Plan:
    """The runs of a sweep, in the order in which they are started."""

    name: str
    members: Sequence[Member]
    max_parallel: int
    """Runs that go on at the same time."""


def plan(sweep: Sweep, flags: Mapping[str, Any], max_parallel: int | None = None) -> Plan:
    """The runs of a sweep; `flags` are by field of `RunSpec` and win over the file's base.

    Raises:
        UserError: the file, a flag or one of the runs has a mistake; the run and its values are named.
    """
    settings = layered({**flags, "name": None}, sweep.base)
    name = _name(sweep, flags)
    _check_flags(sweep, settings)
    members = [_member(settings, f"{name}-{place}", point) for place, point in enumerate(sweep.points, 1)]
    _check_different(sweep, members)
    parallel = _parallel(sweep, max_parallel, members)
    return Plan(name, [_beside(member, parallel) for member in members], parallel)


def _name(sweep: Sweep, flags: Mapping[str, Any]) -> str:
    given = Setting(flags["name"], "--name") if flags.get("name") else sweep.name
    if given is None:
        raise SpecError(f"{sweep.path}: name is not given: expected one in the file, or --name")
    if not layout.LABEL.fullmatch(f"{given.value}-{len(sweep.points)}"):
        raise SpecError(
            f"{given.origin}: name is '{given.value}': expected lower case letters, digits and dashes, "
            "beginning with a letter or digit, and short enough for a run's number after it"
        )
    return str(given.value)


def _check_flags(sweep: Sweep, settings: Layered) -> None:
    """Refuse a flag for what the runs differ in: it would be without effect."""
    for key, setting in ((key, each) for point in sweep.points for key, each in point.items()):
        flag = settings.settings.get(f"{OVERRIDES}.{key}")
        if flag is not None and flag.origin.startswith("flag "):
            text = f"{flag.origin.removeprefix('flag ')} {key}={flag.value}"
            raise SpecError(f"{text}: expected none, as the sweep sets {key} itself ({setting.origin})")


def _member(settings: Layered, name: str, point: Point) -> Member:
    own = {f"{OVERRIDES}.{key}": setting for key, setting in point.items()}
    common = {key: setting for key, setting in settings.settings.items() if key not in own}
    values = {key: str(setting.value) for key, setting in point.items()}
    try:
        spec = spec_from(Layered({**common, **own, "name": Setting(name, "the sweep")}))
    except UserError as error:
        raise SpecError(f"{error} (run {name} of the sweep: {_told(values)})") from None
    return Member(name, values, spec)


def _told(values: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in values.items())


def _check_different(sweep: Sweep, members: Sequence[Member]) -> None:
    """Refuse two runs that would train the same, however their values are written."""
    seen: dict[str, Member] = {}
    for member, point in zip(members, sweep.points, strict=True):
        same = seen.setdefault(json.dumps(member.spec.config().model_dump(mode="json")), member)
        if same is not member:
            where = list(point.values())[-1].origin
            raise SpecError(f"{where}: run {member.name} would be the same as {same.name} ({member.told})")


def _parallel(sweep: Sweep, flag: int | None, members: Sequence[Member]) -> int:
    """How many at once: all where a queue decides, else one unless more are asked for."""
    if flag is not None and flag < 1:
        raise SpecError(f"--max-parallel {flag}: expected at least 1")
    given = sweep.max_parallel.value if sweep.max_parallel else None
    return flag or given or (len(members) if members[0].spec.queue else 1)


def _beside(member: Member, parallel: int) -> Member:
    """A run as it is for one of so many at the same time."""
    spec = member.spec
    return member._replace(spec=backends.named(spec.backend).beside(spec, parallel))
