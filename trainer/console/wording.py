"""Numbers of things as a log has them: without commas, which programs that read it would trip over."""


def several(count: int, noun: str) -> str:
    """``1 image``, ``2 images``, ``2 classes``."""
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count} {noun}{ending}"
