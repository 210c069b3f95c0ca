"""Folders of PNG and JPEG files, and how one file becomes pixels."""

import numpy as np
import pytest
from PIL import Image

from tests.data.conftest import assert_one_line
from trainer.data import Look, open_source
from trainer.data.pixels import decode
from trainer.errors import DataError


def refused(source, *parts, shape=None):
    with pytest.raises(DataError) as error:
        open_source(source, shape).load()
    assert_one_line(error, f"data.source {source}: ", *parts)


def saved(tmp_path, picture, name="a.png"):
    picture.save(tmp_path / name)
    return tmp_path / name


def test_sub_folders_are_labels(flowers, digits):
    (flowers / "notes.txt").write_text("not an image")
    (flowers / ".hidden").mkdir()
    (flowers / ".hidden" / "x.png").write_bytes(b"junk")
    source = open_source(f"images:{flowers}", (28, 28, 1))
    assert (source.count, source.shape, source.streamable) == (8, (28, 28, 1), False)
    assert source.label_names == ("one", "two")
    assert source.labels.tolist() == [0] * 4 + [1] * 4
    loaded = source.load()
    np.testing.assert_array_equal(loaded[0], digits.load()[500])
    assert np.abs(loaded[1].astype(int) - digits.load()[501]).mean() < 8  # a JPEG
    np.testing.assert_array_equal(source.read(np.array([6, 0, 6])), loaded[[6, 0, 6]])


def test_without_sub_folders_there_are_no_labels_and_the_first_size_counts(flowers):
    source = open_source(f"images:{flowers / 'one'}", None)
    assert (source.labels, source.label_names, source.shape) == (None, None, (28, 28, 1))


def test_grey_becomes_rgb_and_rgb_becomes_grey(tmp_path):
    saved(tmp_path, Image.new("RGB", (8, 8), (255, 0, 0)))
    assert open_source(f"images:{tmp_path}", None).shape == (8, 8, 3)
    assert np.unique(open_source(f"images:{tmp_path}", (8, 8, 1)).load()).tolist() == [76]  # 0.299 * 255
    saved(tmp_path, Image.new("L", (8, 8), 50))
    assert np.unique(open_source(f"images:{tmp_path}", (8, 8, 3)).load()).tolist() == [50]


def test_an_image_is_scaled_to_cover_and_cropped_around_its_centre(tmp_path):
    """A 30x10 picture in thirds of red, green and blue: a square keeps the green."""
    picture = np.zeros((10, 30, 3), np.uint8)
    for third in range(3):
        picture[:, third * 10 : third * 10 + 10, third] = 255
    path = saved(tmp_path, Image.fromarray(picture))
    fitted = decode("images:x", "a.png", path, (20, 20, 3))
    assert fitted.shape == (20, 20, 3)
    middle = fitted[4:16, 4:16].reshape(-1, 3)
    assert middle.min(axis=0)[1] > 250 and middle.max(axis=0)[[0, 2]].max() < 5


def test_an_image_of_the_right_size_is_not_touched(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    path = saved(tmp_path, Image.fromarray(pixels))
    np.testing.assert_array_equal(decode("images:x", "a.png", path, (9, 7, 3)), pixels)


def test_16_bit_grey_transparency_and_palettes(tmp_path):
    deep = saved(tmp_path, Image.fromarray(np.full((4, 4), 0x8000, np.uint16)))
    assert np.unique(decode("images:x", "a", deep, (4, 4, 1))).tolist() == [0x80]
    clear = saved(tmp_path, Image.new("RGBA", (4, 4), (0, 0, 0, 0)))
    assert np.unique(decode("images:x", "a", clear, (4, 4, 3))).tolist() == [255]
    palette = saved(
        tmp_path, Image.new("RGB", (4, 4), (10, 20, 30)).convert("P", palette=Image.Palette.ADAPTIVE)
    )
    assert decode("images:x", "a", palette, None)[0, 0].tolist() == [10, 20, 30]


def test_a_photo_is_turned_as_its_camera_says(tmp_path):
    picture = Image.new("L", (8, 4))
    exif = picture.getexif()
    exif[0x0112] = 6  # turned by 90 degrees
    picture.save(tmp_path / "a.jpg", exif=exif)
    assert open_source(f"images:{tmp_path}", None).shape == (8, 4, 1)


def test_damaged_files_are_named(flowers):
    path = flowers / "two" / "0.png"
    whole = path.read_bytes()
    for content in (whole[:100], whole[:60] + b"xxxx" + whole[64:], b"", b"GIF89a"):
        path.write_bytes(content)
        refused(f"images:{flowers}", str(path), shape=(28, 28, 1))
    path.write_bytes(whole)
    jpeg = flowers / "two" / "1.JPG"
    jpeg.write_bytes(jpeg.read_bytes()[:400])
    refused(f"images:{flowers}", str(jpeg), "damaged", shape=(28, 28, 1))


def test_one_image_beside_the_labels_is_told_and_there_are_no_labels(flowers):
    (flowers / "one" / "0.png").rename(flowers / "stray.png")
    look, quiet = Look(), Look(labels=False)
    source = open_source(f"images:{flowers}", None, look=look)
    assert (source.count, source.labels) == (8, None)
    assert look.lines()[0].startswith("1 of 8 images, the first stray.png, lie beside the sub-folders")
    assert open_source(f"images:{flowers}", None, look=quiet).labels is None and quiet.lines() == []


def test_no_images(tmp_path):
    refused(f"images:{tmp_path}", f"no images in {tmp_path}", ".jpeg")


def test_a_file_instead_of_a_folder(flowers):
    refused(f"images:{flowers / 'one' / '0.png'}", "is a file, expected a folder")
