"""Numbers of things as a log has them: without commas, which programs that read it would trip over."""


def several(count: int, noun: str) -> str:
    """``1 image``, ``2 images``."""
    return f"{count} {noun if count == 1 else noun + 's'}"
