"""A feature network of the user's own: a Keras file, the folder of a SavedModel or an ONNX file, here or gs://.

Found, fetched and named without TensorFlow; loaded by `own_models`. A file NAME.json beside NAME.keras, as
`python -m trainer features train` writes it, says which layer, which range and which classes.
"""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

from trainer.environment import scratch
from trainer.errors import ObjectMissing, UserError
from trainer.evaluation.features import Network, Own
from trainer.storage import open_store

RANGES = {"[0,1]": (0.0, 1.0), "[-1,1]": (-1.0, 1.0), "[0,255]": (0.0, 255.0)}
"""What black and white become, by how it is asked for."""
KERAS, ONNX = (".keras", ".h5"), ".onnx"
SAVED_MODEL = "saved_model.pb"
_EXPECTED = f"a file that ends in {', '.join(KERAS)} or {ONNX}, or a folder with {SAVED_MODEL}"


def find(place: str, layer: str | None, preprocess: str | None) -> Network:
    """A network by where it lies.

    Args:
        place: a path or a ``gs://`` address.
        layer: whose output are the features; None for the last, or what the file beside it says.
        preprocess: a name of `RANGES`; None for what the file beside it says.

    Raises:
        UserError: there is none, or nobody says which range it takes.
    """
    local = _fetched(place) if place.startswith("gs://") else Path(place).expanduser()
    kind = local.suffix.lower()
    if not (local.is_file() and kind in (*KERAS, ONNX)) and not (local / SAVED_MODEL).is_file():
        raise UserError(f"--features {place}: there is no network, expected {_EXPECTED}")
    beside = _beside(local)
    layer, preprocess = layer or beside.get("layer"), preprocess or beside.get("preprocess")
    if preprocess not in RANGES:
        given = f" {preprocess}" if preprocess else ""
        raise UserError(f"--preprocess{given}: expected {', '.join(RANGES)}, what {place} takes")
    classes = len(beside.get("classes", ()))
    own = Own(place, local, layer, preprocess, classes)
    about = (f",{layer}" if layer else "") + f",{preprocess[1:-1].replace(',', '..')}"
    told = ("features", "probabilities", "classes") if classes else ("features",)
    return Network(local.stem, None, 0, sha256=_sum(local), gives=told, about=about, own=own)  # type: ignore[arg-type]


def side_file(file: Path) -> Path:
    """What is said of a network lies beside it."""
    return file.with_suffix(".json")


def _beside(local: Path) -> dict[str, Any]:
    file = side_file(local)
    if local.is_dir() or not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        strings = all(isinstance(found.get(name), str | None) for name in ("layer", "preprocess"))
        if strings and isinstance(found.get("classes", []), list):
            return dict(found)
    except (ValueError, AttributeError):
        pass
    raise UserError(f"{file}: expected layer, preprocess and classes as `features train` writes them")


def _sum(local: Path) -> str:
    """sha256 of a file, or of the names and contents of a folder's."""
    if local.is_file():
        return hashlib.sha256(local.read_bytes()).hexdigest()
    found = hashlib.sha256()
    for file in sorted(path for path in local.rglob("*") if path.is_file()):
        content = file.read_bytes()
        found.update(f"{file.relative_to(local).as_posix()} {len(content)}\n".encode() + content)
    return found.hexdigest()


def _fetched(place: str) -> Path:
    """A copy here, which goes with this process."""
    scratch.begin()
    folder, _, name = place.rstrip("/").rpartition("/")
    target = Path(tempfile.mkdtemp(prefix="features-")) / name
    if target.suffix.lower() in (*KERAS, ONNX):
        store = open_store(folder)
        try:
            target.write_bytes(store.read(name))
            side_file(target).write_bytes(store.read(side_file(Path(name)).name))
        except ObjectMissing:
            pass  # there need be nothing beside it, and `find` says that there is no network
        return target
    store = open_store(place)
    for stat in store.list(""):
        file = target / stat.name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(store.read(stat.name))
    return target
