"""A prefix in a Google Cloud Storage bucket as a store.

Retries are the client library's own. Every write carries a generation precondition or replaces the object
whole, so that a retry after a lost answer does no harm: a conditional write that finds the object already
there compares crc32c and takes a match for its own success.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud import storage
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY
from requests import exceptions as http
from urllib3.exceptions import HTTPError

from trainer.errors import AccessError, ObjectMissing, PreconditionFailed, StorageError
from trainer.storage.base import (
    PART_BYTES,
    UNFINISHED,
    Dated,
    Stat,
    check_folder,
    check_name,
    check_prefix,
    crc32c,
)
from trainer.storage.clock import ServerClock, age, parse_date
from trainer.storage.limits import told
from trainer.storage.transport import Source, Transport

_TIMEOUT_SECONDS = 60  # for one request; the library retries up to two minutes altogether
_PAGE = 500  # objects of one answer, 5 kB each while it is parsed; unasked, some servers send all they have
_FIELDS = "items(name,size,generation,updated,crc32c),nextPageToken"  # a fifth of a whole listing
# What each call needs, to be named when it is refused.
_PERMISSIONS = {
    "read": "storage.objects.get",
    "write": "storage.objects.create and storage.objects.delete",
    "list": "storage.objects.list",
    "delete": "storage.objects.delete",
}


class GcsStore:
    """Objects below ``gs://<bucket>/<prefix>``."""

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self._bucket_name = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        try:
            self._client = storage.Client(project=None)  # objects need no project
            self._clock = ServerClock()
            self._transport = Transport(
                self._client._http, self._client.api_endpoint, _TIMEOUT_SECONDS, self._clock
            )
        except (auth.GoogleAuthError, OSError) as error:
            raise AccessError(
                f"gs://{bucket}: no Google credentials found; run 'gcloud auth application-default login' "
                "or set GOOGLE_APPLICATION_CREDENTIALS"
            ) from error
        try:
            self._bucket = self._client.bucket(bucket)
        except ValueError as error:
            raise AccessError(f"gs://{bucket}: {_one_line(error)}") from error
        self._media = f"{self._client.api_endpoint}/download/storage/v1{self._bucket.path}/o"

    @property
    def url(self) -> str:
        """``gs://bucket/prefix`` without a slash at its end."""
        return f"gs://{self._bucket_name}/{self._prefix}".rstrip("/")

    def check(self) -> None:
        """Ask for one name of the bucket: tells an absent or refusing bucket from an empty one."""
        with self._errors("list"):
            next(iter(self._client.list_blobs(self._bucket, max_results=1, timeout=_TIMEOUT_SECONDS)), None)

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Content of an object, or a part of it by a range request."""
        if length == 0:
            return b""
        url, end = self._media_of(name), None if length is None else start + length
        content: bytes = b""
        with self._errors("read", name), suppress(api.RequestRangeNotSatisfiable):  # nothing from `start` on
            content = DEFAULT_RETRY(self._transport.read)(url, start, end).content
        return content

    def dated(self, name: str) -> Dated:
        """Content of an object and its age; both times are those that one answer states."""
        with self._errors("read", name):
            answer = DEFAULT_RETRY(self._transport.read)(self._media_of(name))
        written = parse_date(answer.headers.get("Last-Modified"))
        if written is None and (found := self.stat(name)) is not None:
            written = found.updated
        return Dated(answer.content, age(written, self._clock.now()))

    def now(self) -> datetime | None:
        """The service's time, as of its newest answer."""
        return self._clock.now()

    def write(self, name: str, content: bytes, if_generation: int | None = None) -> int:
        """Upload some bytes."""
        return self._put(
            name, crc32c(content), if_generation, lambda blob, more: blob.upload_from_string(content, **more)
        )

    def upload(self, name: str, path: Path, if_generation: int | None = None) -> int:
        """Upload a file; above 8 MiB the library sends it in resumable parts."""
        return self._put(
            name,
            crc32c(path),
            if_generation,
            lambda blob, more: blob.upload_from_filename(str(path), **more),
        )

    def download(self, name: str, path: Path) -> None:
        """Download an object; the library compares its crc32c."""
        partial = path.with_name(UNFINISHED + path.name)
        try:
            with self._errors("read", name):
                self._blob(name).download_to_filename(
                    str(partial), checksum="crc32c", timeout=_TIMEOUT_SECONDS, retry=DEFAULT_RETRY
                )
                partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def parts(self, found: Stat, start: int = 0) -> Iterator[bytes]:
        """An object's bytes as they are stored, by range requests of one generation.

        Every piece is handed over as it arrives; what breaks off is taken up again where it broke off, by the
        library's policy of retries, which counts its two minutes anew for every piece.
        """
        url = self._media_of(found.name)
        for begin in range(start, found.size, PART_BYTES):
            whole = begin == 0 and found.size <= PART_BYTES
            end = None if whole else min(begin + PART_BYTES, found.size)
            source = Source(self._transport, url, found.generation, begin, end)
            with self._errors("read", found.name), closing(source):
                try:
                    while content := DEFAULT_RETRY(source.read)():
                        yield content
                except api.PreconditionFailed as error:
                    raise ObjectMissing(f"{self.url}/{found.name}: was replaced meanwhile") from error

    def stat(self, name: str) -> Stat | None:
        """Size, generation and crc32c of an object."""
        with self._errors("read", name):
            blob = self._bucket.get_blob(self._prefix + check_name(name), timeout=_TIMEOUT_SECONDS)
        return None if blob is None else self._stat(blob)

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """Objects of the bucket, page by page."""
        check_prefix(prefix)
        with self._errors("list"):
            found = self._client.list_blobs(
                self._bucket,
                prefix=self._prefix + prefix,
                page_size=_PAGE,
                fields=_FIELDS,
                timeout=_TIMEOUT_SECONDS,
            )
            for blob in found:
                yield self._stat(blob)

    def folders(self, prefix: str = "") -> Iterator[str]:
        """Common prefixes directly below `prefix`."""
        check_folder(prefix)
        with self._errors("list"):
            found = self._client.list_blobs(
                self._bucket, prefix=self._prefix + prefix, delimiter="/", timeout=_TIMEOUT_SECONDS
            )
            for _ in found:  # prefixes are known only once every page was read
                pass
        for folder in sorted(found.prefixes):
            yield folder.removeprefix(self._prefix + prefix).rstrip("/")

    def delete(self, name: str, if_generation: int | None = None) -> None:
        """Remove an object."""
        with suppress(ObjectMissing), self._errors("delete", name), suppress(api.PreconditionFailed):
            self._blob(name).delete(
                if_generation_match=if_generation, timeout=_TIMEOUT_SECONDS, retry=DEFAULT_RETRY
            )

    def _media_of(self, name: str) -> str:
        """Where an object's content is asked for."""
        return f"{self._media}/{quote(self._prefix + check_name(name), safe='')}"

    def _blob(self, name: str) -> Any:
        return self._bucket.blob(self._prefix + check_name(name))

    def _stat(self, blob: Any) -> Stat:
        name = blob.name.removeprefix(self._prefix)
        return Stat(name, int(blob.size), int(blob.generation), blob.updated, blob.crc32c)

    def _put(
        self, name: str, checksum: str, if_generation: int | None, send: Callable[[Any, dict[str, Any]], None]
    ) -> int:
        blob = self._blob(name)
        options = {
            "if_generation_match": if_generation,
            "checksum": "crc32c",
            "timeout": _TIMEOUT_SECONDS,
            "retry": DEFAULT_RETRY,
        }
        with self._errors("write", name):
            try:
                send(blob, options)
            except api.PreconditionFailed:
                blob = self._landed(name, checksum)
                if blob is None:
                    raise PreconditionFailed(f"{self.url}/{name}: another writer got there first") from None
            except api.ClientError as error:
                if error.code not in (404, 410):
                    raise
                self.check()  # no such bucket, or else the session of a resumable upload is over
                blob = self._landed(name, checksum)
                if blob is None:
                    raise StorageError(f"{self.url}/{name}: the upload was cut off") from None
        if blob.crc32c != checksum:
            raise StorageError(f"{self.url}/{name}: sent with crc32c {checksum}, stored with {blob.crc32c}")
        return int(blob.generation)

    def _landed(self, name: str, checksum: str) -> Any:
        """The object if it is what we sent: the answer to our upload was lost and the retry refused."""
        blob = self._bucket.get_blob(self._prefix + name, timeout=_TIMEOUT_SECONDS)
        return blob if blob is not None and blob.crc32c == checksum else None

    @contextmanager
    def _errors(self, call: str, name: str = "") -> Iterator[None]:
        """Say what the service said in the words of `Store`."""
        where = f"{self.url}/{name}" if name else self.url
        try:
            yield
        except api.NotFound as error:
            if call == "list":
                raise AccessError(f"{where}: bucket '{self._bucket_name}' does not exist") from error
            raise ObjectMissing(f"{where}: no such object") from error
        except (api.Forbidden, api.Unauthorized) as error:
            raise AccessError(
                f"{where}: bucket '{self._bucket_name}' refuses to {call}; "
                f"the account needs {_PERMISSIONS[call]}"
            ) from error
        except auth.TransportError as error:  # the service that hands out tokens cannot be reached
            raise StorageError(f"{where}: {_one_line(error)}") from error
        except auth.GoogleAuthError as error:
            raise AccessError(f"{where}: {_one_line(error)}") from error
        except (
            api.GoogleAPIError,
            http.RequestException,
            HTTPError,
            DataCorruption,
            InvalidResponse,
            OSError,
        ) as error:  # of a local file too, and of a connection for which no more files may be open
            place = getattr(error, "filename", None) or where
            raise told(error, place) or StorageError(f"{where}: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    # The metadata server's refusals begin with an address that takes all the room, and end with the reason.
    return re.sub(r"\?scopes=[^\s']*", "", " ".join(str(error).split()))[:300]
