"""The environment of a process whose machine's clock is wrong."""

from pathlib import Path

HOURS_WRONG = (-6.0, 6.0)


def shifted(hours: float) -> dict[str, str]:
    """What to add to a Python process' environment so that its clock is so many hours ahead."""
    return {"PYTHONPATH": str(Path(__file__).with_name("shifted")), "SHIFTED_SECONDS": str(3600 * hours)}
