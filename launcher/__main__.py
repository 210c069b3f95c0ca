"""The `launcher` command's process: signals that mean "end" are obeyed from the first import on.

SIGTERM and SIGHUP leave as Ctrl-C does, by way of every ``finally``; commands that know better what an end
is, `submit` in the foreground say, take them over. What was ignored when the process began, as under
nohup(1), stays so.
"""

import os
import signal
import sys
from types import FrameType

# As in trainer/__main__.py: modules of the working folder are not ours.
if not sys.flags.safe_path and sys.path[0] != os.path.dirname(os.path.dirname(os.path.abspath(__file__))):  # noqa: PTH100, PTH120
    del sys.path[0]

_EXIT_HANGUP, _EXIT_CTRL_C, _EXIT_TERMINATED = 129, 130, 143  # 128 and the signal's number, as shells have it
_CODES = {signal.SIGHUP: _EXIT_HANGUP, signal.SIGTERM: _EXIT_TERMINATED}


def main() -> None:
    """Import the command line and run it."""
    for number in _CODES:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _leave)
    try:
        from launcher import cli

        cli.main()
    except KeyboardInterrupt:
        sys.exit(_EXIT_CTRL_C)
    except SystemExit as error:
        if isinstance(error, _Signalled):
            _forget_output()
        raise


class _Signalled(SystemExit):
    """A signal ended the command."""


def _leave(number: int, frame: FrameType | None) -> None:
    raise _Signalled(_CODES[signal.Signals(number)])


def _forget_output() -> None:
    """Whoever read what was printed may be gone with the terminal: the last flush must not complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    main()
