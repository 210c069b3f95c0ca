"""Numbers of things as a sentence has them, and what is long in short."""

import signal

_REVISION = 12  # characters of a revision, as git shortens it in a large repository


def counted(count: int, noun: str, nouns: str | None = None) -> str:
    """``1 run``, ``2 runs``, ``12,000 images``; `nouns` where the plural does not end in an s alone."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def short_revision(revision: str) -> str:
    """A revision as a table has it, with the word that its source was changed."""
    commit, dash, changed = revision.partition("-")
    return commit[:_REVISION] + dash + changed


def ending(exit_code: int | None) -> str:
    """How a process ended, in words: ``exited with code 1`` or ``was killed by SIGKILL``."""
    if exit_code is None:
        return "ended unseen"
    if exit_code >= 0:
        return f"exited with code {exit_code}"
    try:
        return f"was killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was killed by signal {-exit_code}"
