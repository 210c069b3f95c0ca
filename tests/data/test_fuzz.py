"""Files that are broken in ways that nobody thought of; `make fuzz` goes on for two minutes."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.data.conftest import assert_one_line
from tests.data.fuzz import _PIXELS, attempt, peak, play, seeds
from trainer.data import Look, open_source, pixels
from trainer.data.pixels import decode
from trainer.data.sources import Damage
from trainer.errors import DataError


def test_every_seed_is_fine(tmp_path):
    for seed in seeds():
        folder = tmp_path / seed.name
        folder.mkdir()
        assert attempt(seed, seed.content, folder) == "pixels"


@pytest.mark.parametrize("start", [0, 50])
def test_mutated_files_give_pixels_or_one_line_that_names_them(tmp_path, start):
    for number in range(start, start + 50):
        for _ in play(number, tmp_path):
            pass


def chunk(kind, body, crc=None):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc or zlib.crc32(kind + body))


@pytest.mark.parametrize(
    "broken",
    [
        chunk(b"tEXt", b"a\0b", crc=7),
        chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200 << 20), 1)),
        chunk(b"iTXt", b"\xff" * 30),
        chunk(b"iCCP", b"name\0\0no zlib"),
        chunk(b"eXIf", b"Exif\0\0MM\0*\xff\xff\xff\xff"),
        chunk(b"pHYs", b"\0"),
        chunk(b"gAMA", b""),
        chunk(b"sRGB", b""),
        chunk(b"tIME", b"x", crc=1),
        chunk(b"acTL", b"\0"),
    ],
    ids=lambda content: content[4:8].decode(),
)
def test_metadata_of_a_png_never_decides_over_its_pixels(broken):
    content = io.BytesIO()
    Image.fromarray(_PIXELS).save(content, "PNG")
    whole = content.getvalue()
    after_header = 8 + 25
    patched = whole[:after_header] + broken + whole[after_header:]
    np.testing.assert_array_equal(decode("images:x", "a.png", patched, None), _PIXELS)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF"])
def test_broken_exif_turns_nothing_and_stops_nothing(kind):
    plain, broken = io.BytesIO(), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 1, "x" * 40
    options = {"lossless": True} if kind == "WEBP" else {}
    Image.fromarray(_PIXELS).save(plain, kind, **options)
    Image.fromarray(_PIXELS).save(broken, kind, exif=exif, **options)
    whole = broken.getvalue()
    # The type, count and place of the text in a TIFF; before it, in the others, what says how it is turned.
    at = whole.find(struct.pack("<HH", 0x10E, 2)) + 2 if kind == "TIFF" else whole.find(b"x" * 40) - 12
    patched = whole[:at] + b"\xff" * 10 + whole[at + 10 :]
    found = decode("images:x", f"a.{kind.lower()}", patched, None)
    np.testing.assert_array_equal(found, decode("images:x", f"a.{kind.lower()}", plain.getvalue(), None))


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ("webp", "WEBP"), ("jfif", "JPEG"), ("jpe", "JPEG"), ("mpo", "JPEG"), ("gif", "GIF"), ("bmp", "BMP"),
        ("tif", "TIFF"), ("tiff", "TIFF"), ("ppm", "PPM"), ("pgm", "PPM"), ("tga", "TGA"),
        ("jp2", "JPEG2000"), ("png", "WEBP"),  # an ending says nothing
    ],
)  # fmt: skip
def test_what_pillow_reads_is_read(tmp_path, ending, kind):
    grey = np.full((20, 20), 130, np.uint8)
    for number in range(3):
        Image.fromarray(grey).save(tmp_path / f"{number}.{ending.upper()}", kind)
    found = open_source(f"images:{tmp_path}", (20, 20, 1)).load()
    assert found.shape == (3, 20, 20, 1) and np.abs(found.astype(int) - 130).max() <= 2


def test_what_is_not_read_is_counted_by_kind(tmp_path):
    for name in ("a.txt", "b.TXT", "c.json", "LICENSE", ".DS_Store"):
        (tmp_path / name).write_text("x")
    with pytest.raises(DataError) as error:
        open_source(f"images:{tmp_path}", None)
    assert_one_line(error, "there are 2 .txt", "1 .json", "1 without an ending")
    Image.fromarray(_PIXELS).save(tmp_path / "d.png")
    look = Look()
    open_source(f"images:{tmp_path}", None, look=look)
    assert look.left_out == {".txt": 2, ".json": 1, "without an ending": 1}


def test_pictures_that_people_have_pass_and_larger_ones_are_a_limit_and_no_damage(monkeypatch):
    content = io.BytesIO()
    Image.new("1", (14000, 13000)).save(content, "PNG")  # a scan; Pillow's own limit is 179 million
    assert decode("images:x", "a.png", content.getvalue(), (4, 4, 1)).shape == (4, 4, 1)
    monkeypatch.setattr(pixels, "MOST_PIXELS", 100)
    with pytest.raises(Damage) as error:
        decode("images:x", "a.png", content.getvalue(), (4, 4, 1))
    assert_one_line(error, "14000x13000 pixels, 182 million, expected at most", "make it smaller")
    assert "damaged" not in str(error.value)


def test_all_damaged_files_are_found_in_one_pass(tmp_path):
    for number in range(20):
        (tmp_path / f"{number:02}.png").write_bytes(b"no picture")
    for number in range(20, 30):
        Image.fromarray(_PIXELS).save(tmp_path / f"{number}.png")
    with pytest.raises(DataError) as error:
        open_source(f"images:{tmp_path}", (8, 8, 3)).gather()
    assert_one_line(
        error, "20 of 30 images cannot be read", "09.png", "and 10 more", "data show", "skip_damaged"
    )
    assert "10.png" not in str(error.value)
    look = Look(skip_damaged=True)
    assert open_source(f"images:{tmp_path}", (8, 8, 3), look=look).gather().count == 10
    assert len(look.skipped) == 20 and len(look.files) == 10


def large(kind, mode, side=6000, **options):
    """A picture of 36 million pixels."""
    content = io.BytesIO()
    Image.new(mode, (side, side)).save(content, kind, **options)
    return content.getvalue(), side * side


@pytest.mark.parametrize(
    ("kind", "mode", "copies"),
    [
        ("PNG", "RGBA", 2), ("PNG", "I;16", 1), ("TIFF", "F", 1.5), ("BMP", "RGB", 1),
    ],
)  # fmt: skip
def test_a_large_picture_is_in_memory_twice_and_no_more(kind, mode, copies):
    """A copy has four bytes a pixel, 137 MiB here."""
    content, pixels_there = large(kind, mode, **({"compress_level": 1} if kind == "PNG" else {}))
    found, took = peak(lambda: decode("images:x", f"a.{kind.lower()}", content, (4, 4, 3)))
    assert found.shape == (4, 4, 3) and took < copies * 4 * pixels_there + (64 << 20)


def test_a_large_picture_that_is_turned_is_too(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    content, pixels_there = large("PNG", "RGBA", exif=exif, compress_level=1)
    assert peak(lambda: decode("images:x", "a.png", content, (4, 4, 3)))[1] < 2 * 4 * pixels_there + (
        96 << 20
    )


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16", "F", "CMYK", "1", "RGB", "L", "I"])
def test_bands_give_the_same_bits(monkeypatch, mode):
    values = np.random.default_rng(1).integers(0, 256, (37, 23, 4), np.uint8)
    if mode in ("I;16", "F", "I"):
        kinds = {"I;16": np.uint16, "F": np.float32, "I": np.int32}
        image = Image.fromarray((values[..., 0] * 1.7).astype(kinds[mode]))
    else:
        image = (
            Image.fromarray(values[..., :4], "RGBA")
            .convert("RGB" if mode in ("CMYK", "1") else "RGBA")
            .convert(mode)
        )
    options = {"transparency": 3} if mode == "P" else {}
    content = io.BytesIO()
    image.save(content, "PNG" if mode not in ("F", "CMYK", "I") else "TIFF", **options)
    whole = decode("images:x", "a.png", content.getvalue(), (20, 15, 3))
    monkeypatch.setattr(pixels, "_BAND_PIXELS", 100)
    np.testing.assert_array_equal(decode("images:x", "a.png", content.getvalue(), (20, 15, 3)), whole)


@pytest.mark.parametrize("kind", ["WEBP", "JPEG2000"])
def test_a_decoder_that_holds_more_is_allowed_fewer_pixels(monkeypatch, kind):
    content = io.BytesIO()
    Image.new("RGB", (40, 40)).save(content, kind)
    monkeypatch.setattr(pixels, "MOST_PIXELS", 4000)
    with pytest.raises(
        Damage, match="has 40x40 pixels, 0 million, expected at most 0 million: make it smaller"
    ):
        decode("images:x", "a", content.getvalue(), None)
    monkeypatch.setattr(pixels, "MOST_PIXELS", 6400)
    assert decode("images:x", "a", content.getvalue(), None).shape == (40, 40, 3)


def test_floats_become_8_bits_without_copies_of_them_all(tmp_path):
    values = np.tile(np.linspace(-1, 1, 1 << 12, dtype=np.float32).reshape(1, 64, 64, 1), (8192, 1, 1, 1))
    np.savez(tmp_path / "a.npz", images=values)  # 128 MiB, and 32 in 8 bits
    expected = np.clip(np.rint((values[:1] + 1) * 127.5), 0, 255).astype(np.uint8)
    del values
    source, took = peak(lambda: open_source(f"npz:{tmp_path}/a.npz", None))
    np.testing.assert_array_equal(source.read(np.array([0, 8191])), np.repeat(expected, 2, axis=0))
    assert took < (128 + 32 + 48) << 20
