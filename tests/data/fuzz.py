"""Mutated files of every kind: each gives pixels or one line that names the file, within a bound of memory.

``python -m tests.data.fuzz --seconds 120`` goes on with new mutations for so long and prints a table; `make
fuzz` keeps it in docs/fuzz.md. The seeds of the mutations are 0, 1, 2, …, so that each is made again by its
number.
"""

import argparse
import gzip
import io
import random
import re
import struct
import time
import traceback
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from trainer.data import Look, open_source
from trainer.data.example_proto import Example
from trainer.data.pixels import MOST_MEMORY
from trainer.data.records import framed
from trainer.errors import UserError

SHAPE = (16, 16, 3)
LIMIT = 1 << 26
"""Bytes of 8-bit images that a set may have."""
_PIXELS = np.random.default_rng(0).integers(0, 256, (24, 31, 3), np.uint8)
_BYTES = (0, 1, 0x7F, 0x80, 0xFF)


class Seed(NamedTuple):
    """A file that is fine."""

    kind: str
    source: str
    """Of the folder that it lies in, as ``images:{}``."""
    name: str
    content: bytes


def _encoded(kind, **options):
    content = io.BytesIO()
    Image.fromarray(_PIXELS).save(content, kind, **options)
    return content.getvalue()


def _pictures():
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x9003] = 6, "a picture" * 5, "2026:01:01 00:00:00"
    text = PngInfo()
    text.add_text("Comment", "text" * 10)
    text.add_text("Raw profile type exif", "\nexif\n 8\n" + "00" * 8, zip=True)
    text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    yield "a.png", _encoded("PNG", exif=exif, pnginfo=text, icc_profile=b"i" * 60)
    yield "a.jpg", _encoded("JPEG", exif=exif, comment=b"c" * 30, icc_profile=b"i" * 60)
    yield "a.webp", _encoded("WEBP", exif=exif, xmp=b"<x/>", icc_profile=b"i" * 60)
    yield "a.tif", _encoded("TIFF", exif=exif, tiffinfo={270: "x" * 30, 305: "software"})
    yield "b.tif", _encoded("TIFF", compression="tiff_lzw")
    for ending, kind in (("gif", "GIF"), ("bmp", "BMP"), ("ppm", "PPM"), ("tga", "TGA")):
        yield f"a.{ending}", _encoded(kind)


def _archive():
    content = io.BytesIO()
    np.savez(content, images=np.stack([_PIXELS[:16, :16]] * 4), labels=np.arange(4))
    return content.getvalue()


def _records():
    found = []
    for label in range(3):
        example = Example()
        example.features.feature["image"].bytes_list.value.append(_PIXELS[:16, :16].tobytes())
        example.features.feature["shape"].int64_list.value.extend(SHAPE)
        example.features.feature["label"].int64_list.value.append(label)
        found.append(example.SerializeToString(deterministic=True))
    return found


def seeds():
    """A file of every kind."""
    found = [Seed(Path(name).suffix[1:], "images:{}", name, content) for name, content in _pictures()]
    found.append(Seed("npz", "npz:{}/a.npz", "a.npz", _archive()))
    digits = struct.pack(">4I", 0x803, 4, 16, 16) + bytes(range(256)) * 4
    found.append(Seed("idx", "idx:{}", "train-images-idx3-ubyte", digits))
    found.append(Seed("idx.gz", "idx:{}", "train-images-idx3-ubyte.gz", gzip.compress(digits)))
    content = b"".join(map(framed, _records()))
    found.append(Seed("tfrecord", "tfrecord:{}", "a.tfrecord", content))
    return found


def mutated(content, chance):
    """Some bytes of a file changed, taken out or put in, mostly near its beginning."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        if not changed:
            break
        at = chance.randrange(min(len(changed), chance.choice((16, 64, 400, len(changed)))))
        how = chance.random()
        if how < 0.6:
            changed[at] = chance.choice((*_BYTES, chance.randrange(256)))
        elif how < 0.8:
            del changed[at : at + chance.randint(1, 8)]
        else:
            changed[at:at] = chance.randbytes(chance.randint(1, 8))
    return bytes(changed)


def ceiling(seed):
    """Bytes that opening a file may take: what one picture may, or or a set twice and its file."""
    return MOST_MEMORY if seed.source.startswith("images:") else 3 * LIMIT


def peak(call):
    """What a call returns, and by how many bytes this process grew at most while it ran (proc(5))."""
    Path("/proc/self/clear_refs").write_text("5")  # the high water mark begins anew
    before = _status("VmRSS")
    return call(), max(0, _status("VmHWM") - before)


def _status(field):
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) << 10


def attempt(seed, content, folder):
    """``pixels`` or ``told``; everything else is raised."""
    (folder / seed.name).write_bytes(content)
    source = seed.source.format(folder)
    shape = (16, 16, 1) if seed.kind.startswith("idx") else SHAPE
    try:
        images = open_source(source, shape, look=Look(limit=LIMIT)).load()
    except UserError as error:
        text = str(error)
        assert "\n" not in text and (seed.name in text or "memory_limit_mb" in text), text
        return "told"
    assert images.dtype == np.uint8 and images.shape[1:] == shape
    return "pixels"


def play(number, folder):
    """One round: a mutation of each kind; what came of it, seconds, and bytes that it took."""
    for seed in seeds():
        chance = random.Random(f"{number} {seed.name}")
        if seed.kind == "tfrecord" and number % 2:  # within the sums, which otherwise catch everything
            content = b"".join(framed(mutated(record, chance)) for record in _records())
        else:
            content = mutated(seed.content, chance)
        place = folder / seed.name.replace(".", "-")
        place.mkdir(exist_ok=True)
        begun = time.monotonic()
        try:
            what, took = peak(lambda: attempt(seed, content, place))  # noqa: B023
            assert took <= ceiling(seed), f"took {took >> 20} MiB"
        except Exception:
            raise AssertionError(f"round {number}, {seed.name}:\n{traceback.format_exc()}") from None
        yield seed, what, time.monotonic() - begun, took


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=120)
    seconds = parser.parse_args().seconds
    counts, slowest, largest, rounds = Counter(), Counter(), Counter(), 0
    end = time.monotonic() + seconds
    with TemporaryDirectory() as folder:
        while time.monotonic() < end:
            for seed, what, took, grew in play(rounds, Path(folder)):
                counts[seed.kind, what] += 1
                slowest[seed.kind] = max(slowest[seed.kind], took)
                largest[seed.kind] = max(largest[seed.kind], grew)
            rounds += 1
    print(f"{rounds} rounds in {seconds:.0f} s, a mutation of each file in each; no traceback, no hang, and")
    print("none took more memory than its ceiling: the test fails where one does.\n")
    columns = ("file", "gave pixels", "told in one line", "slowest, s", "most memory, MiB", "ceiling, MiB")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for kind, most in {seed.kind: ceiling(seed) for seed in seeds()}.items():
        told = f"{counts[kind, 'pixels']} | {counts[kind, 'told']} | {slowest[kind]:.2f}"
        print(f"| {kind} | {told} | {largest[kind] >> 20} | {most >> 20} |")


if __name__ == "__main__":
    main()
