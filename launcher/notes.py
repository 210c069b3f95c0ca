"""What a person should know beside a result: a command says it on stderr, a script to the logger `launcher`.

A script that has not asked for it (``logging.basicConfig(level="INFO")``) sees none of it.
"""

import sys

_on_stderr = False


def to_stderr() -> None:
    """This process is a command: notes go to its stderr from now on."""
    global _on_stderr
    _on_stderr = True


def note(text: str) -> None:
    """Say a line that begins with ``note:``."""
    say(f"note: {text}")


def say(text: str) -> None:
    """Say a line as it is."""
    if _on_stderr:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    else:
        import logging  # 0.01 s, which no command need pay

        logging.getLogger("launcher").info(text)
