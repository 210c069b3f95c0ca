"""The cluster's binaries, compiled from Go modules.

tests/cluster/go pins Kubernetes and etcd by their hashes. CoreDNS and fake-gcs-server install by version,
which takes the versions of all they need from their own go.mod.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.harness.processes import run
from tests.cluster.harness.settings import CACHE, REPOSITORY, ClusterError, say

KUBERNETES = "1.36.3"
BY_VERSION = ("github.com/fsouza/fake-gcs-server@v1.56.1", "github.com/coredns/coredns@v1.14.7")
KUEUE = "0.17.0"
KWOK = "0.7.0"
MODULE = REPOSITORY / "tests" / "cluster" / "go"
OPTIONS = ("-trimpath", "-buildvcs=false")


def ensure_binaries() -> Path:
    """The folder that holds them, compiled when the cache has none for these versions (11 minutes)."""
    folder = CACHE / f"binaries-{_key()}"
    if folder.exists():
        return folder
    _need_go()
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        _compile(Path(scratch))
        (Path(scratch) / "server").rename(Path(scratch) / "etcd")
        Path(scratch).chmod(0o755)
        shutil.copytree(scratch, folder.with_suffix(".new"))
    folder.with_suffix(".new").rename(folder)
    for other in CACHE.glob("binaries-*"):
        if other != folder:
            shutil.rmtree(other)
    return folder


def ensure_kueue() -> Path:
    """The folder of Kueue's manager and its release's manifests; made when the cache has none (6 minutes).

    Its own test alone wants it.
    """
    folder = _kueue()
    if not folder.exists():
        with _compiled("Kueue", f"sigs.k8s.io/kueue/cmd/kueue@v{KUEUE}") as scratch:
            told = run("go", "mod", "download", "-json", f"sigs.k8s.io/kueue@v{KUEUE}")
            shutil.copytree(Path(json.loads(told)["Dir"]) / "config/components", scratch / "components")
            shutil.copytree(scratch, folder.with_suffix(".new"))
        folder.with_suffix(".new").rename(folder)
    return folder


def find_kueue() -> Path:
    """The same folder, which is not made: a cluster without a way out can fetch nothing.

    Raises:
        ClusterError: the cache has none; the text says what makes one.
    """
    if not _kueue().exists():
        raise ClusterError(f"no Kueue {KUEUE} in {CACHE}; compile it with: python -m tests.cluster kueue")
    return _kueue()


def _kueue() -> Path:
    return CACHE / f"kueue-{KUEUE}"


def ensure_kwok() -> Path:
    """KWOK, which plays nodes and their kubelets; compiled when the cache has none (4 minutes).

    Benchmarks alone want it, so no test waits for it.
    """
    program = CACHE / f"kwok-{KWOK}" / "kwok"
    if not program.exists():
        with _compiled("KWOK", f"sigs.k8s.io/kwok/cmd/kwok@v{KWOK}") as scratch:
            program.parent.mkdir(exist_ok=True)
            shutil.copy(scratch / "kwok", program)
    return program


@contextmanager
def _compiled(name: str, package: str) -> Iterator[Path]:
    """A program in a scratch folder, with the versions of all it needs from its own go.mod."""
    _need_go()
    say(f"compiling {name}: {package}")
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        environment = os.environ | {"GOBIN": scratch, "CGO_ENABLED": "0"}
        run("go", "install", *OPTIONS, "-ldflags=-s -w", package, log=f"go-{name.lower()}", env=environment)
        yield Path(scratch)


def _need_go() -> None:
    if shutil.which("go") is None:
        raise ClusterError("compiling a cluster's parts needs Go 1.26 or newer; or set GANTRY_TEST_CONTEXT")
    CACHE.mkdir(parents=True, exist_ok=True)


def _compile(target: Path) -> None:
    environment = os.environ | {"GOBIN": str(target), "CGO_ENABLED": "0"}
    major, minor, _ = KUBERNETES.split(".")
    stamps = {"gitVersion": f"v{KUBERNETES}", "gitMajor": major, "gitMinor": minor}
    flags = " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in stamps.items())
    say(f"compiling Kubernetes {KUBERNETES} and etcd (8 minutes with nothing cached)")
    install = ("go", "install", *OPTIONS)
    run(*install, f"-ldflags=-s -w {flags}", "tool", log="go-kubernetes", cwd=MODULE, env=environment)
    for package in BY_VERSION:
        say(f"compiling {package}")
        name = package.rpartition("/")[2].partition("@")[0]
        run(*install, "-ldflags=-s -w", package, log=f"go-{name}", cwd=MODULE, env=environment)


def _key() -> str:
    parts = [(MODULE / "go.mod").read_text(), (MODULE / "go.sum").read_text(), KUBERNETES, *BY_VERSION]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
