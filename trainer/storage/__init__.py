"""Where runs are kept: a local folder or ``gs://bucket/prefix``, behind one protocol."""

from trainer.errors import AccessError
from trainer.storage.base import Dated, Stat, Store, check_name, crc32c
from trainer.storage.inside import Inside
from trainer.storage.local import LocalStore

__all__ = ["Dated", "Inside", "LocalStore", "Stat", "Store", "check_name", "crc32c", "open_store"]


def open_store(url: str) -> Store:
    """The store at a path or a ``gs://bucket/prefix`` address; nothing is asked of it yet.

    Raises:
        AccessError: the address has another scheme or no bucket, or there are no credentials.
    """
    if url.startswith("gs://"):
        bucket, _, prefix = url.removeprefix("gs://").partition("/")
        if not bucket:
            raise AccessError(f"root {url}: expected gs://<bucket>/<prefix>")
        from trainer.storage.gcs import GcsStore  # 0.3 s to import, which a local run need not pay

        return GcsStore(bucket, prefix)
    if "://" in url:
        raise AccessError(f"root {url}: expected a folder or gs://<bucket>/<prefix>")
    return LocalStore(url)
