"""The terminal while a run is watched: its alternate screen, one key, and everything as it was afterwards.

A thread looks at the run, so that a slow bucket does not hold up a key. Whatever ends the watching (the run's
end, ``q``, Ctrl-C, SIGTERM, an error) goes through `_Terminal.__exit__`, which shows the cursor again, leaves
the alternate screen and gives the terminal its settings back.
"""

import os
import select
import signal
import sys
import termios
import threading
import tty
from contextlib import suppress
from dataclasses import replace
from types import FrameType, TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live

from launcher.errors import Unsupported
from launcher.looking.tui.feed import Look, Page
from launcher.looking.tui.page import draw
from trainer.errors import GantryError

LOOK_SECONDS = 2.0
_KEY_SECONDS = 0.2
_LEAVE = b"qQ"
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def check_terminal(console: Console, instead: str) -> None:
    """Refuse what is no terminal or cannot move its cursor.

    Args:
        console: where the page would be drawn.
        instead: the command that writes lines.

    Raises:
        Unsupported: with that command.
    """
    if not console.is_terminal or console.is_dumb_terminal or not console.file.isatty():
        raise Unsupported(f"stdout is not a terminal that can be redrawn: `{instead}` writes lines")


def show(look: Look, first: Page, console: Console) -> Page:
    """Redraw the page until the run has ended or a person leaves; the last page there was.

    Args:
        look: reads the run.
        first: what it said before there was a screen.
        console: a terminal.

    Raises:
        KeyboardInterrupt: Ctrl-C.
        SystemExit: SIGTERM or SIGHUP, with 128 more than its number.
    """
    if not first.status.live:
        return first
    with _Pages(look, first) as pages, _Terminal(console) as terminal:
        drawn, size = None, None
        while True:
            page = pages.newest()
            if page is not drawn or console.size != size:
                drawn, size = page, console.size
                terminal.live.update(draw(page, size.width, size.height), refresh=True)
            if not page.status.live or terminal.key() in _LEAVE:
                return page


class _Pages:
    """The newest page, kept so by a thread."""

    def __init__(self, look: Look, first: Page) -> None:
        self._look, self._page = look, first
        self._error: BaseException | None = None
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._refresh, name="watch", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()

    def newest(self) -> Page:
        """The page of the last look. Raises what the thread met and cannot go on from."""
        if self._error is not None:
            raise self._error
        return self._page

    def _refresh(self) -> None:
        while not self._closed.wait(LOOK_SECONDS):
            try:
                self._page = self._look()
            except GantryError as error:  # may pass: told on the page, and asked again
                self._page = replace(self._page, problem=str(error))
            except BaseException as error:
                self._error = error
                return


class _Terminal:
    """The alternate screen, keys that come at once and unseen, and signals that leave in good order."""

    def __init__(self, console: Console) -> None:
        self.live = Live(console=console, screen=True, auto_refresh=False)
        self._keys = sys.stdin.fileno() if _is_terminal(sys.stdin) else None
        self._settings: list[Any] | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        try:
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, _leave)
            if self._keys is not None:
                self._settings = termios.tcgetattr(self._keys)
                tty.setcbreak(self._keys)
                mode = termios.tcgetattr(self._keys)
                mode[6][termios.VSUSP] = b"\0"  # Ctrl-Z would leave the shell on the alternate screen
                termios.tcsetattr(self._keys, termios.TCSANOW, mode)
            self.live.start()
        except BaseException:
            self._restore()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def key(self) -> bytes:
        """The key that was pressed within a fifth of a second, a byte that is none otherwise."""
        if self._keys is None:
            threading.Event().wait(_KEY_SECONDS)
            return b"\0"
        ready, _, _ = select.select([self._keys], [], [], _KEY_SECONDS)
        pressed = os.read(self._keys, 1) if ready else b"\0"
        if not pressed:  # the terminal is gone, or said that nothing more will come
            self._keys = None
        return pressed or b"\0"

    def _restore(self) -> None:
        """Give everything back; a second Ctrl-C must not come in between."""
        interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with suppress(OSError):  # a terminal that was closed takes nothing any more
                self.live.stop()
            if self._settings is not None:
                with suppress(termios.error, OSError):
                    termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._settings)
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)
            signal.signal(signal.SIGINT, interrupt)


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # closed, or none at all
        return False


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
