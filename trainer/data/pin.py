"""``data.json``: the files that a run began with, which it trains on until it ends.

One object beside ``run.json``, whatever the number of files. It is written before ``run.json`` is, and again
only when a person accepts data that has changed.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from trainer.data.look import File, Look
from trainer.errors import UserError
from trainer.storage import crc32c

FORMAT = 1


@dataclass(frozen=True)
class Pin:
    """A run's data."""

    source: str
    """`data.source` as it is opened: ``latest`` looked up, its path absolute."""
    images: int
    files: tuple[File, ...]
    """By name. Shards' sums are those of their index."""
    skipped: tuple[str, ...] = ()
    """Damaged files that `data.skip_damaged` left out."""
    accepted: tuple[Mapping[str, Any], ...] = field(default=())
    """Changes that a person accepted: when, by which attempt, and what had changed."""

    @property
    def by_name(self) -> dict[str, File]:
        """The files by their names."""
        return {file.name: file for file in self.files}

    @property
    def fingerprint(self) -> str:
        """crc32c over names, sizes and sums."""
        lines = (f"{file.name}\t{file.size}\t{file.crc32c}\n" for file in self.files)
        return crc32c("".join(lines).encode(errors="surrogateescape"))

    @property
    def number(self) -> int:
        """The fingerprint as workers compare it, with the source."""
        return int.from_bytes(
            base64.b64decode(crc32c(f"{self.source}\n{self.fingerprint}".encode(errors="surrogateescape")))
        )

    def summary(self) -> dict[str, Any]:
        """What run.json says of it."""
        return {
            "source": self.source,
            "files": len(self.files),
            "bytes": sum(file.size for file in self.files),
            "fingerprint": self.fingerprint,
            "images": self.images,
            "skipped": len(self.skipped),
            "accepted": len(self.accepted),
        }

    def to_json(self) -> bytes:
        """The object's content, a line for each file."""
        head = {"format": FORMAT, **asdict(replace(self, files=()))}
        del head["files"]
        lines = ",\n".join(json.dumps(list(file)) for file in self.files)
        return f'{json.dumps(head)[:-1]}, "files": [\n{lines}\n]}}\n'.encode("ascii")


def seen(source: str, images: int, look: Look) -> Pin:
    """The pin of what a look has read."""
    return Pin(source, images, tuple(look.files[name] for name in sorted(look.files)), look.skipped)


def read_pin(where: str, content: bytes) -> Pin:
    """The pin that an object holds.

    Raises:
        UserError: it is damaged or of a newer Gantry.
    """
    try:
        values = json.loads(content)
        if values["format"] != FORMAT:
            raise UserError(f"{where}: format is {values['format']}, this Gantry reads format {FORMAT}")
        files = tuple(File(*entry) for entry in values["files"])
        return Pin(
            values["source"], values["images"], files, tuple(values["skipped"]), tuple(values["accepted"])
        )
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{where}: cannot be read as the list of a run's data") from None


def differences(old: Pin, new: Pin) -> dict[str, list[str]]:
    """Names of files that came, went or changed."""
    before, after = old.by_name, new.by_name
    return {
        "added": sorted(after.keys() - before.keys()),
        "gone": sorted(before.keys() - after.keys()),
        "changed": sorted(
            name for name in before.keys() & after.keys() if before[name][1:3] != after[name][1:3]
        ),
    }
