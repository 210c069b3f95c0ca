"""Blocks of neighbouring images, fetched once each and kept while they are likely to be wanted again."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

from trainer.data.sources import Images

# A new window asks for up to 64 blocks at once (a batch of 64); one after another, at 30 ms from a bucket,
# they would hold the accelerator up for 2 s.
_THREADS = 16


class BlockCache:
    """The blocks used last, shared by any number of threads.

    Args:
        fetch: reads one block by its number; called from several threads, never twice at once for one block.
        capacity: blocks that are kept. More are in memory only while one call of `get` needs them.
    """

    def __init__(self, fetch: Callable[[int], Images], capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"a cache of {capacity} blocks, expected at least 1")
        self._fetch, self._capacity = fetch, capacity
        self._blocks: OrderedDict[int, Future[Images]] = OrderedDict()
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="blocks")

    def get(self, numbers: Iterable[int]) -> dict[int, Images]:
        """Some blocks by their numbers; those that are not here are fetched together.

        Raises:
            whatever `fetch` raises; the block is fetched anew when it is asked for again.
        """
        wanted = {number: self._begin(number) for number in numbers}
        blocks = {}
        for number, future in wanted.items():
            try:
                blocks[number] = future.result()
            except BaseException:
                self._forget(number, future)
                raise
        return blocks

    def _begin(self, number: int) -> Future[Images]:
        with self._lock:
            future = self._blocks.get(number)
            if future is None:
                future = self._blocks[number] = self._pool.submit(self._fetch, number)
            self._blocks.move_to_end(number)
            while len(self._blocks) > self._capacity:
                self._blocks.popitem(last=False)
        return future

    def _forget(self, number: int, future: Future[Images]) -> None:
        with self._lock:
            if self._blocks.get(number) is future:
                del self._blocks[number]
