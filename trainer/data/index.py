"""``index.json``: what lies where in a set of shards. Written last; without it a set is not complete."""

import math
from itertools import pairwise
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trainer.data.sources import problem
from trainer.survey.files import INDEX

NAME = INDEX
"""The index's name beside its shards."""
FORMAT: Literal[1] = 1
"""Version of the format; a reader refuses any other."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class File(_Part):
    """One object beside the index."""

    name: str = Field(min_length=1, pattern=r"^[^/\\]+$")
    """Name within the folder."""
    bytes: int = Field(ge=1)
    """Size."""
    crc32c: str
    """Checksum of the whole object, base64 of four big-endian bytes as in GCS."""


class Shard(File):
    """One TFRecord file."""

    records: int = Field(ge=1)
    """Images in it."""
    blocks: tuple[int, ...] = Field(min_length=1, strict=False)
    """Byte at which each block begins; the last one ends with the file."""

    def span(self, block: int) -> tuple[int, int]:
        """First byte and length of one of the shard's blocks."""
        start = self.blocks[block]
        end = self.blocks[block + 1] if block + 1 < len(self.blocks) else self.bytes
        return start, end - start


class Index(_Part):
    """A set of shards, in order; every shard but the last holds whole blocks."""

    format: Literal[1] = FORMAT
    """Version of this format."""
    count: int = Field(ge=1)
    """Images in the set."""
    shape: tuple[int, int, int] = Field(strict=False)
    """Height, width and channels of every image."""
    dtype: Literal["uint8"] = "uint8"
    """Type of each channel of each pixel."""
    block_images: Literal[256] = 256
    """Neighbouring images that are read together (`trainer.config.BLOCK`)."""
    label_names: tuple[str, ...] | None = Field(default=None, strict=False)
    """A name for each label, null when the set has none."""
    labels: File | None = None
    """All labels as one int64 array in NumPy's format: they are then known without reading every shard."""
    shards: tuple[Shard, ...] = Field(min_length=1, strict=False)
    """The TFRecord files in the order of their images."""

    @model_validator(mode="after")
    def _consistent(self) -> "Index":
        if self.count != sum(shard.records for shard in self.shards):
            raise ValueError(f"count is {self.count}, which is not the sum of the shards' records")
        for shard in self.shards:
            whole = shard is self.shards[-1] or shard.records % self.block_images == 0
            if not whole or len(shard.blocks) != math.ceil(shard.records / self.block_images):
                raise ValueError(f"{shard.name} has {len(shard.blocks)} blocks for {shard.records} records")
            edges = (*shard.blocks, shard.bytes)
            if edges[0] or any(start >= end for start, end in pairwise(edges)):
                raise ValueError(f"the blocks of {shard.name} do not follow one another")
        return self


def parse_index(name: str, where: str, content: bytes) -> Index:
    """Read an index.

    Raises:
        DataError: it is damaged or of another version; the text names the file and the field.
    """
    try:
        return Index.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise problem(name, f"{where} is no index of format {FORMAT}: {field}: {first['msg']}") from error
