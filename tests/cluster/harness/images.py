"""The images: the project's own Dockerfile on a Debian made here, and the sandbox's.

They are written, uncompressed, as an OCI layout in the cache. A blob that lies there is not written again, and
one that containerd has is not sent again (node.py): after a change of the code that leaves a layer of 1 MB.
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from tests.cluster.harness.processes import run
from tests.cluster.harness.settings import (
    BASE_IMAGE,
    CACHE,
    IMAGE,
    PAUSE_IMAGE,
    REPOSITORY,
    ClusterError,
    say,
)

LAYOUT = CACHE / "oci"
INPUTS = ("Dockerfile", ".dockerignore", "pyproject.toml", "README.md", "requirements", "launcher", "trainer")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def ensure_images() -> None:
    """Build what is not up to date, in this order: base, pause, the project's."""
    os.environ |= {"BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "overlay"}
    base = os.environ.get("PYTHON_IMAGE", BASE_IMAGE)
    if base == BASE_IMAGE and not _exists(BASE_IMAGE):
        _build_base()
    if not _exists(PAUSE_IMAGE):
        _build_pause()
    _build_trainer(base)


def _buildah(*argv: str | Path, **options: object) -> str:
    """Run buildah on a storage in the cache, so that layers are kept and `clean` removes them."""
    return run(
        "buildah", "--root", CACHE / "buildah", "--runroot", "/run/gantry-buildah", *argv, **options
    ).strip()  # type: ignore[arg-type]


def _exists(image: str) -> bool:
    try:
        _buildah("inspect", "--type", "image", image)
    except ClusterError:
        return False
    return (LAYOUT / "index.json").exists() or image == BASE_IMAGE


def _push(image: str) -> None:
    """Write it into the layout; blobs that are there already are left."""
    LAYOUT.mkdir(parents=True, exist_ok=True)
    tag = image.partition("/")[2].replace(":", "-")
    _buildah("push", "--quiet", "--disable-compression", image, f"oci:{LAYOUT}:{tag}")


def _build_base() -> None:
    """A Debian with Python, as small as it gets: what python:3.11-slim-bookworm is elsewhere.

    This machine's authorities go in, because a build sees neither the machine's files nor its environment,
    and packages may come through a mirror that only they vouch for.
    """
    say("building the base image (1 minute)")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        wanted = "python3,python3-venv,ca-certificates"
        run("debootstrap", "--variant=minbase", f"--include={wanted}", "bookworm", root, log="debootstrap")
        for waste in (
            "usr/share/doc",
            "usr/share/man",
            "usr/share/locale",
            "var/cache/apt",
            "var/lib/apt/lists",
        ):
            shutil.rmtree(root / waste)
        if AUTHORITIES.exists():
            shutil.copy(AUTHORITIES, root / AUTHORITIES.relative_to("/"))
        container = _buildah("from", "scratch")
        _buildah("add", "--quiet", container, root, "/")
        _buildah("config", "--env", f"PIP_CERT={AUTHORITIES}", container)
        _buildah("commit", "--quiet", "--rm", container, BASE_IMAGE)


def _build_pause() -> None:
    """What holds a pod's namespaces: one static binary that sleeps."""
    container = _buildah("from", "scratch")
    busybox = shutil.which("busybox")
    _buildah("add", "--quiet", container, str(busybox), "/busybox")
    _buildah("config", "--entrypoint", '["/busybox","sleep","infinity"]', "--user", "65535:65535", container)
    _buildah("commit", "--quiet", "--rm", container, PAUSE_IMAGE)
    _push(PAUSE_IMAGE)


def _build_trainer(base: str) -> None:
    stamp, key = CACHE / "image.key", _key(base)
    if stamp.exists() and stamp.read_text() == key and _exists(IMAGE):
        return
    say("building the image (3 minutes when the locked packages changed, else seconds)")
    stamp.unlink(missing_ok=True)
    argv = ("build", "--layers", "--pull-never", "--build-arg", f"PYTHON_IMAGE={base}", "--tag", IMAGE)
    _buildah(*argv, REPOSITORY, log="image")
    say("writing the image's new layers")
    _push(IMAGE)
    stamp.write_text(key)


def _key(base: str) -> str:
    """A hash of all that goes into the image."""
    digest = hashlib.sha256(base.encode())
    for name in INPUTS:
        path = REPOSITORY / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(REPOSITORY)}\0".encode() + file.read_bytes())
    return digest.hexdigest()
