"""Tensors by name from a file of PyTorch's older format, without PyTorch and without running what is in it.

Such a file is a chain of pickles (a mark, a version, the machine, a dictionary whose tensors name their
storages, the names in order), then each storage: its length as int64, and its numbers. A pickle can call
anything; here it can make a dictionary and a tensor, and whatever else it names is refused.
"""

import io
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from trainer.errors import DataError

_MARK, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_TYPES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Tensor(NamedTuple):
    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    """Entries from one to the next along each axis."""


def read(content: bytes, what: str) -> dict[str, np.ndarray]:
    """Its tensors, of float32 or int64.

    Raises:
        DataError: it is no such file, is cut short, or names something other than tensors.
    """
    try:
        return _tensors(io.BytesIO(content))
    except (
        pickle.UnpicklingError,
        ValueError,
        struct.error,
        EOFError,
        KeyError,
        TypeError,
        IndexError,
    ) as error:
        raise DataError(f"{what}: cannot be read as PyTorch's tensors: {error}") from None


def _tensors(file: io.BytesIO) -> dict[str, np.ndarray]:
    types: dict[str, np.dtype[Any]] = {}
    mark, version, _, named, order = (_Reader(file, types).load() for _ in range(5))
    if (mark, version) != (_MARK, _VERSION):
        raise ValueError("it does not begin as one")
    storages = {}
    for key in order:
        (count,) = struct.unpack("<q", file.read(8))
        storages[key] = np.frombuffer(file.read(count * types[key].itemsize), types[key], count)
    return {name: _laid_out(storages[tensor.storage], tensor) for name, tensor in named.items()}


def _laid_out(storage: np.ndarray, tensor: _Tensor) -> np.ndarray:
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
    if min((tensor.offset, *tensor.strides)) < 0 or tensor.offset + last >= len(storage):
        raise ValueError("a tensor lies outside its storage")
    steps = tuple(stride * storage.itemsize for stride in tensor.strides)
    view = np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, steps, writeable=False)
    return np.array(view)


class _Reader(pickle.Unpickler):
    """Makes dictionaries and `_Tensor`s, and notes the type of each storage."""

    def __init__(self, file: io.BytesIO, types: dict[str, np.dtype[Any]]) -> None:
        super().__init__(file, encoding="utf-8")
        self._types = types

    def find_class(self, module: str, name: str) -> Callable[..., Any] | str:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: _Tensor(storage, offset, shape, strides)
        if module == "torch" and name in _TYPES:
            return name
        raise pickle.UnpicklingError(f"it names {module}.{name}, expected tensors alone")

    def persistent_load(self, pid: Any) -> str:
        _, kind, key, *_ = pid
        self._types[str(key)] = _TYPES[str(kind)]
        return str(key)
