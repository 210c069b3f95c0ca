"""Kubernetes' rules that more than its backend needs: quantities, texts, and how long a run's name may be."""

import math
import re
from decimal import Decimal

HOST_NAME = 63  # characters of a pod's host name, which is <job>-<index>
LAST_ATTEMPT = "-r99"  # later attempts' Jobs end in their number
_QUANTITY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(m|[kMGTPE]|[KMGTPE]i|[eE][-+]?\d{1,2})?", re.ASCII)
_UNITS = {"m": Decimal("0.001"), "": Decimal(1)}
_UNITS |= {unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", 1)}
_UNITS |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)}


def name_limit(workers: int) -> int:
    """Longest name of a run, so that the last worker of its last attempt has a host name."""
    return HOST_NAME - len(LAST_ATTEMPT) - len(f"-{max(workers, 1) - 1}")


def quantity(text: str) -> Decimal | None:
    """The value of a quantity as Kubernetes writes them, such as 500m or 2Gi; None when it is none."""
    found = _QUANTITY.fullmatch(text)
    if not found:
        return None
    number, unit = found[1], found[2] or ""
    return Decimal(number) * (_UNITS[unit] if unit in _UNITS else Decimal(10) ** int(unit[1:]))


def cores(cpu: str) -> float:
    """A checked quantity of CPU as a number of cores."""
    return float(quantity(cpu) or math.nan)


def is_text(value: str) -> bool:
    """Whether a manifest can hold a value: a shell may pass on what is no UTF-8, a file may hold a NUL."""
    return "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)
