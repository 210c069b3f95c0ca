"""A model as a file that every Keras which we allow opens.

A newer Keras writes down arguments that an older one does not take, and for which it refuses the whole file:
3.15's layers have a ``quantization_config``, which 3.12 to 3.14 do not know. Left out at the value at which
they change nothing, they mean the same to the newer one.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

import keras

_CONFIG = "config.json"
# Arguments that Keras 3.12, the oldest in pyproject.toml, does not take, and the value that changes nothing.
_YOUNGER: dict[str, object] = {
    "quantization_config": None,  # Dense, Conv2DTranspose, …: 3.13 to 3.15
    "input_axes": None,  # initializers by fans: 3.15
    "output_axes": None,
    "renorm": False,  # BatchNormalization: 3.14
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
}


def save(model: keras.Model, path: Path) -> None:
    """Write a model of Keras' own layers to a ``.keras`` file.

    Raises:
        OSError: the file cannot be written.
    """
    whole = path.with_name(f"whole-{path.name}")
    try:
        model.save(whole)
        with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
            for member in old.infolist():
                content = old.read(member)
                if member.filename == _CONFIG:
                    content = json.dumps(_plain(json.loads(content))).encode()
                new.writestr(member, content)
    finally:
        whole.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """A configuration without what is younger than the oldest Keras that may read it."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {key: _plain(each) for key, each in value.items() if not _is_young(key, each)}


def _is_young(key: str, value: Any) -> bool:
    return key in _YOUNGER and value == _YOUNGER[key]
