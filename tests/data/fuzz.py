"""Mutated files of every kind: each gives pixels or one line that names the file.

``python -m tests.data.fuzz --seconds 120`` goes on with new mutations for so long and prints a table; `make
fuzz` keeps it in docs/fuzz.md. The seeds of the mutations are 0, 1, 2, …, so that each is made again by its
number.
"""

import argparse
import gzip
import io
import random
import resource
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
from trainer.data.records import framed
from trainer.errors import UserError

SHAPE = (16, 16, 3)
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


def attempt(seed, content, folder):
    """``pixels`` or ``told``; everything else is raised."""
    (folder / seed.name).write_bytes(content)
    source = seed.source.format(folder)
    shape = (16, 16, 1) if seed.kind.startswith("idx") else SHAPE
    try:
        images = open_source(source, shape, look=Look(limit=1 << 28)).load()
    except UserError as error:
        text = str(error)
        assert "\n" not in text and (seed.name in text or "memory_limit_mb" in text), text
        return "told"
    assert images.dtype == np.uint8 and images.shape[1:] == shape
    return "pixels"


def play(number, folder):
    """One round: a mutation of each kind; what came of it, and seconds."""
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
            yield seed, attempt(seed, content, place), time.monotonic() - begun
        except Exception:
            raise AssertionError(f"round {number}, {seed.name}:\n{traceback.format_exc()}") from None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=120)
    seconds = parser.parse_args().seconds
    counts, slowest, rounds = Counter(), Counter(), 0
    end = time.monotonic() + seconds
    with TemporaryDirectory() as folder:
        while time.monotonic() < end:
            for seed, what, took in play(rounds, Path(folder)):
                counts[seed.kind, what] += 1
                slowest[seed.kind] = max(slowest[seed.kind], took)
            rounds += 1
    print(f"{rounds} rounds in {seconds:.0f} s, a mutation of each file in each; no traceback, no hang.\n")
    print("| file | gave pixels | told in one line | slowest, s |\n|---|---|---|---|")
    for kind in dict.fromkeys(seed.kind for seed in seeds()):
        print(f"| {kind} | {counts[kind, 'pixels']} | {counts[kind, 'told']} | {slowest[kind]:.2f} |")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nMost memory that the process had: {most:.0f} MiB.")


if __name__ == "__main__":
    main()
