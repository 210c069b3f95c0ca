"""Numbers of things as a sentence has them."""


def counted(count: int, noun: str, nouns: str | None = None) -> str:
    """``1 run``, ``2 runs``, ``12,000 images``; `nouns` where the plural does not end in an s alone."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"
