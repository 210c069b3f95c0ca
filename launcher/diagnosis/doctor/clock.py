"""Whose clock is off: tokens and signatures are refused when it is."""

from launcher.diagnosis.doctor.base import FAIL, OK, WARN, Result

_FINE_SECONDS, _WRONG_SECONDS = 5.0, 300.0  # Google refuses tokens that are 5 minutes off
_FIX = "let this machine keep time by NTP: `timedatectl set-ntp true`"


def judged(check: str, ahead: float) -> Result:
    """A result about a clock that is so many seconds ahead of ours."""
    off = abs(ahead)
    if off < _FINE_SECONDS:
        return Result(check, OK, f"agrees with ours within {_FINE_SECONDS:.0f} s")
    which = "ahead of" if ahead > 0 else "behind"
    return Result(check, FAIL if off >= _WRONG_SECONDS else WARN, f"is {off:.0f} s {which} ours", _FIX)
