"""Waits of TensorFlow that hold the interpreter's lock, made to let go of it.

``TFE_EnableCollectiveOps`` returns when all peers have come, ``TFE_WaitAtBarrier`` when all have arrived, and
TensorFlow 2.21's binding of either keeps the lock meanwhile: every thread of Python stands still, the lease
is not renewed, and whoever asks the process to stop is not heard, for up to 600 s. The same functions of the
same library are called here by ctypes, which lets go of it.
"""

import ctypes
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context as eager_context
from tensorflow.python.framework import errors_impl

_LIBRARY = "libtensorflow_cc.so.2"
_POINTER, _TEXT = ctypes.c_void_p, ctypes.c_char_p
# By name: what each returns, and what it takes.
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "TF_NewStatus": (_POINTER,),
    "TF_DeleteStatus": (None, _POINTER),
    "TF_GetCode": (ctypes.c_int, _POINTER),
    "TF_Message": (_TEXT, _POINTER),
    "TFE_EnableCollectiveOps": (None, _POINTER, _TEXT, ctypes.c_size_t, _POINTER),
    "TFE_WaitAtBarrier": (None, _POINTER, _TEXT, ctypes.c_int64, _POINTER),
}
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = _POINTER, [ctypes.py_object, _TEXT]


def install() -> None:
    """Replace the two functions in TensorFlow's own binding; nothing changes where the library is another."""
    if _library() is not None:
        eager_context.pywrap_tfe.TFE_EnableCollectiveOps = _enable_collective_ops
        eager_context.pywrap_tfe.TFE_WaitAtBarrier = _wait_at_barrier


@lru_cache(maxsize=1)
def _library() -> Any:
    try:
        found = ctypes.CDLL(str(Path(tf.__file__).parent / _LIBRARY))
        functions = [getattr(found, name) for name in _FUNCTIONS]
    except (OSError, AttributeError):  # one library on macOS, say
        return None
    for function, (returns, *takes) in zip(functions, _FUNCTIONS.values(), strict=True):
        function.restype, function.argtypes = returns, takes
    return found


def _enable_collective_ops(handle: Any, server: bytes) -> None:
    where = _pointer(handle, None)
    _call(lambda library, status: library.TFE_EnableCollectiveOps(where, server, len(server), status))


def _wait_at_barrier(handle: Any, name: str, milliseconds: int) -> None:
    where = _pointer(handle, None)
    _call(lambda library, status: library.TFE_WaitAtBarrier(where, name.encode(), milliseconds, status))


def _call(function: Callable[[Any, Any], object]) -> None:
    """Raise what a function's status says, as TensorFlow's binding does."""
    library = _library()
    status = library.TF_NewStatus()
    try:
        function(library, status)
        code, text = library.TF_GetCode(status), library.TF_Message(status)
    finally:
        library.TF_DeleteStatus(status)
    if code:
        raise errors_impl.exception_type_from_error_code(code)(None, None, text.decode(errors="replace"))
