"""Hold one thread of a process still while its others go on: ``python -m tests.cluster.hold THREAD SECONDS``.

A process that is stopped as a whole hears and says nothing, so that its peers notice first. A thread that is
traced stands still alone, as one does that waits for a disk for ever. It goes on when we end.
"""

import ctypes
import os
import sys
import time

_SEIZE, _INTERRUPT = 0x4206, 0x4207  # ptrace(2)
_ANY_THREAD = 0x40000000  # __WALL of waitpid(2)


def hold(thread: int) -> None:
    """Stop a thread where it is.

    Raises:
        OSError: there is none, or it may not be traced.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for request in (_SEIZE, _INTERRUPT):
        if libc.ptrace(request, thread, None, None) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def has_ended(thread: int) -> bool:
    """Whether it has; its parent is told of that only when we, who trace it, have been."""
    found, status = os.waitpid(thread, os.WNOHANG | _ANY_THREAD)
    return found != 0 and not os.WIFSTOPPED(status)


if __name__ == "__main__":
    held, end = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
    hold(held)
    print("held", flush=True)
    while time.monotonic() < end and not has_ended(held):
        time.sleep(0.2)
