"""Hands images from buildah's storage to containerd, without the layers that containerd has already.

buildah writes the stream of a docker archive, 1.5 GB; of that, a change of the code leaves 2 MB to send on.
An OCI layout on disk needs less code here, but buildah compresses what it puts there, for 30 s each time.
"""

import hashlib
import io
import json
import subprocess
import tarfile
from typing import IO, Any

from tests.cluster.harness import images
from tests.cluster.harness.containerd import ROOT, ctr, ctr_command
from tests.cluster.harness.settings import IMAGE, PAUSE_IMAGE, ClusterError, say

LOADED = ROOT / "loaded.json"
"""Image's name: its id when it was loaded."""

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def load_images() -> None:
    """Bring containerd's images up to date: 30 s for a new one, 5 s after a change of the code."""
    loaded = json.loads(LOADED.read_text()) if LOADED.exists() else {}
    for image in (PAUSE_IMAGE, IMAGE):
        found = images.image_id(image)
        if loaded.get(image) != found:
            _load(image)
            loaded[image] = found
            LOADED.write_text(json.dumps(loaded))


def _load(image: str) -> None:
    importing = subprocess.Popen(
        ctr_command("images", "import", "-"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    exporting = images.export(image)
    assert importing.stdin and importing.stdout and exporting.stdout
    sent = 0
    try:
        with importing.stdin, tarfile.open(fileobj=importing.stdin, mode="w|") as target:
            sent = _convert(image, exporting.stdout, target)
    except (BrokenPipeError, tarfile.TarError):
        pass  # one of the two ended early and says why
    finally:
        exporting.stdout.close()
    output = importing.stdout.read().decode()
    if exporting.wait() or importing.wait():
        raise ClusterError(f"loading {image}: {output}\nif it happens again: python -m tests.cluster clean")
    say(f"loaded {image}: {sent / 1e6:.0f} MB of it were new to containerd")


def _convert(image: str, archive: IO[bytes], target: tarfile.TarFile) -> int:
    """Turn a docker archive into an OCI one that lacks the layers containerd has; how many bytes it sent."""
    present = set(ctr("content", "ls", "-q").split())
    sizes: dict[str, int] = {}
    documents: dict[str, bytes] = {}
    with tarfile.open(fileobj=archive, mode="r|") as source:
        for entry in source:
            content = source.extractfile(entry) if entry.isfile() and "/" not in entry.name else None
            if content and entry.name.endswith(".tar"):
                digest = entry.name.removesuffix(".tar")
                sizes[digest] = entry.size
                if f"sha256:{digest}" not in present:
                    _add(target, f"blobs/sha256/{digest}", content, entry.size)
            elif content:
                documents[entry.name] = content.read()
    about = json.loads(documents["manifest.json"])[0]
    layers = [layer.removesuffix(".tar") for layer in about["Layers"]]
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _add_blob(target, CONFIG, documents[about["Config"]]),
        "layers": [{"mediaType": LAYER, "digest": f"sha256:{key}", "size": sizes[key]} for key in layers],
    }
    described = _add_blob(target, MANIFEST, json.dumps(manifest).encode())
    described["annotations"] = {"io.containerd.image.name": image}
    _add_document(target, "index.json", {"schemaVersion": 2, "manifests": [described]})
    _add_document(target, "oci-layout", {"imageLayoutVersion": "1.0.0"})
    return sum(size for key, size in sizes.items() if f"sha256:{key}" not in present)


def _add(target: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    header = tarfile.TarInfo(name)
    header.size = size
    target.addfile(header, content)


def _add_document(target: tarfile.TarFile, name: str, value: dict[str, Any]) -> None:
    data = json.dumps(value).encode()
    _add(target, name, io.BytesIO(data), len(data))


def _add_blob(target: tarfile.TarFile, kind: str, data: bytes) -> dict[str, Any]:
    """Add a small blob; its descriptor."""
    digest = hashlib.sha256(data).hexdigest()
    _add(target, f"blobs/sha256/{digest}", io.BytesIO(data), len(data))
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}
