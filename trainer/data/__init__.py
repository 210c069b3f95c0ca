"""Real images: where they come from, and shards of them that can be streamed.

`open_source` turns the value of `data.source` into an `ImageSource`; `trainer.config.sources` lists the
kinds. Images are 8-bit (uint8 [N, H, W, C]) until the device scales them with
`to_unit_range`, the only thing here that imports TensorFlow: a mistake shows at once.
"""

from trainer.data.look import File, Look
from trainer.data.pin import Pin, differences, read_pin, seen
from trainer.data.registry import open_source
from trainer.data.shard_writer import prepare
from trainer.data.sources import (
    ArraySource,
    Images,
    ImageSource,
    Labels,
    Shape,
    require_labels,
    require_streamable,
    to_unit_range,
)
from trainer.data.summary import Summary, example_grid, oddities, show
from trainer.survey import names_latest
from trainer.survey import resolve as resolve_latest

__all__ = [
    "ArraySource",
    "File",
    "ImageSource",
    "Images",
    "Labels",
    "Look",
    "Pin",
    "Shape",
    "Summary",
    "differences",
    "example_grid",
    "names_latest",
    "oddities",
    "open_source",
    "prepare",
    "read_pin",
    "require_labels",
    "require_streamable",
    "resolve_latest",
    "seen",
    "show",
    "to_unit_range",
]
