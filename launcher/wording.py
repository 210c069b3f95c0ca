"""Numbers of things as a sentence has them, and what is long in short."""

_REVISION = 12  # characters of a revision, as git shortens it in a large repository


def counted(count: int, noun: str, nouns: str | None = None) -> str:
    """``1 run``, ``2 runs``, ``12,000 images``; `nouns` where the plural does not end in an s alone."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def short_revision(revision: str) -> str:
    """A revision as a table has it, with the word that its source was changed."""
    commit, dash, changed = revision.partition("-")
    return commit[:_REVISION] + dash + changed
