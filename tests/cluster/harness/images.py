"""The images: the project's own Dockerfile on a Debian made here, and what holds a pod's namespaces.

They lie in a storage of buildah's in the cache, so that a change of the code rebuilds the last layer alone.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.cluster.harness.processes import run
from tests.cluster.harness.settings import (
    BASE_IMAGE,
    CACHE,
    IMAGE,
    NAME,
    PAUSE_IMAGE,
    REPOSITORY,
    ClusterError,
    say,
)

STORAGE = ("buildah", "--root", str(CACHE / "buildah"), "--runroot", f"/run/{NAME}-buildah")
ENVIRONMENT = {"BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "overlay"}
INPUTS = ("Dockerfile", ".dockerignore", "pyproject.toml", "README.md", "requirements", "launcher", "trainer")
WASTE = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists")
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def ensure_images() -> None:
    """Build what is not up to date, in this order: base, pause, the project's."""
    base = os.environ.get("PYTHON_IMAGE", BASE_IMAGE)
    if base == BASE_IMAGE and not _exists(BASE_IMAGE):
        _build_base()
    if not _exists(PAUSE_IMAGE):
        _build_pause()
    _build_trainer(base)


def image_id(image: str) -> str:
    """What identifies an image's content.

    Raises:
        ClusterError: there is none of the name.
    """
    return _buildah("inspect", "--type", "image", "--format", "{{.FromImageID}}", image)


def export(image: str) -> "subprocess.Popen[bytes]":
    """A process that writes the image to its standard output, as a docker archive."""
    argv = [*STORAGE, "push", "--quiet", image, "docker-archive:/dev/stdout"]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, env=os.environ | ENVIRONMENT)


def _buildah(*argv: str | Path, log: str | None = None) -> str:
    return run(*STORAGE, *argv, log=log, env=os.environ | ENVIRONMENT).strip()


def _exists(image: str) -> bool:
    try:
        return bool(image_id(image))
    except ClusterError:
        return False


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
        for waste in WASTE:
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


def _build_trainer(base: str) -> None:
    stamp, key = CACHE / "image.key", _key(base)
    if stamp.exists() and stamp.read_text() == key and _exists(IMAGE):
        return
    say("building the image (3 minutes when the locked packages changed, else seconds)")
    stamp.unlink(missing_ok=True)
    source = ("--pull-never",) if base == BASE_IMAGE else ()
    argv = ("build", "--layers", *source, "--build-arg", f"PYTHON_IMAGE={base}", "--tag", IMAGE)
    _buildah(*argv, REPOSITORY, log="image")
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
