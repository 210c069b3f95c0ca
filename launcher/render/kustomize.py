"""``k8s/`` as kustomize reads it: a base, and components whose JSON 6902 patches change it.

Only what the files need is understood: ``resources``, ``components`` and ``patches`` that are files. Any
other key would be done by ``kubectl apply -k`` and not by the launcher, so it is refused. ``images`` alone is
passed over, because a run has an image of its own.
"""

import copy
import difflib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from launcher.errors import SpecError
from launcher.render.paths import Manifest
from launcher.spec.templates import COMPONENTS, KUSTOMIZATION

_READ = ("resources", "components", "patches")
_PASSED_OVER = ("apiVersion", "kind", "images")
_TARGET = ("group", "version", "kind", "name")


def load(folder: Path, profiles: Iterable[str] = ()) -> list[Manifest]:
    """The objects of a base with the components of some profiles laid over it, as the files say.

    Raises:
        SpecError: a file is missing or damaged, or a patch does not fit.
    """
    objects: list[Manifest] = []
    _apply(folder, objects)
    lay_over(folder, profiles, objects)
    return objects


def lay_over(folder: Path, profiles: Iterable[str], objects: list[Manifest]) -> None:
    """Lay a folder's components of some profiles over objects, to which they may add some.

    Raises:
        SpecError: a file is missing or damaged, or a patch does not fit.
    """
    for profile in profiles:
        _apply(folder / COMPONENTS / profile, objects)


def _apply(folder: Path, objects: list[Manifest]) -> None:
    """Do to `objects` what the kustomization of a folder says."""
    source = folder / KUSTOMIZATION
    said = _kustomization(source)
    for name in said["resources"]:
        objects += [Manifest(folder / name, data) for data in _objects(folder / name)]
    for name in said["components"]:
        _apply(folder / name, objects)
    for patch in said["patches"]:
        if not isinstance(patch, dict) or not isinstance(patch.get("path"), str):
            raise SpecError(
                f"{source}: patches: expected entries with a path, as the launcher reads files only"
            )
        _patch(folder / patch["path"], patch.get("target") or {}, source, objects)


def _kustomization(source: Path) -> dict[str, list[Any]]:
    documents = _documents(source)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise SpecError(f"{source}: expected one kustomization")
    said = documents[0]
    for key in said:
        if key not in (*_READ, *_PASSED_OVER):
            near = difflib.get_close_matches(str(key), _READ, n=1)
            hint = f" (did you mean '{near[0]}'?)" if near else ""
            raise SpecError(f"{source}: {key}: the launcher reads {', '.join(_READ)} only{hint}")
    lists = {key: said.get(key) or [] for key in _READ}
    for key, value in lists.items():
        if not isinstance(value, list):
            raise SpecError(f"{source}: {key}: expected a list")
    return lists


def _patch(path: Path, target: dict[str, Any], source: Path, objects: list[Manifest]) -> None:
    import jsonpatch

    if not target or any(key not in _TARGET for key in target):
        raise SpecError(f"{source}: patches: expected a target of {', '.join(_TARGET)} beside {path.name}")
    [operations] = _documents(path) or [None]
    for manifest in [each for each in objects if _meant(target, each)]:
        try:
            manifest.data = jsonpatch.JsonPatch(operations).apply(manifest.data)
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError) as error:
            why = " ".join(str(error).split()) or "a test in it fails"
            raise SpecError(f"{path}: does not fit the {manifest.kind} of {manifest.source}: {why}") from None


def _meant(target: dict[str, Any], manifest: Manifest) -> bool:
    group, _, version = str(manifest.data.get("apiVersion", "")).rpartition("/")
    own = {"group": group, "version": version, "kind": manifest.kind, "name": manifest.name}
    return all(own[key] == value for key, value in target.items())


def _objects(path: Path) -> list[dict[str, Any]]:
    if path.is_dir():
        raise SpecError(f"{path}: expected a file, as the launcher reads no other kustomization's folder")
    found = _documents(path)
    for data in found:
        if not isinstance(data, dict) or not data.get("kind") or not data.get("apiVersion"):
            raise SpecError(f"{path}: expected objects with apiVersion and kind")
    return found


def _documents(path: Path) -> list[Any]:
    """The documents of a YAML file, without empty ones; the caller may change them."""
    try:
        stat = path.stat()
        found = _parse(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    return copy.deepcopy(found)


@cache
def _parse(path: Path, _modified: int, _size: int) -> list[Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [document for document in yaml.load_all(path.read_bytes(), loader) if document is not None]
