"""Other people's machines: what surrounds a run there, as a table, and a shell in those surroundings."""

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

NOBODY = "http://127.0.0.1:9"  # where nobody listens
CHANNELS_FIRST = json.dumps({"image_data_format": "channels_first", "epsilon": 0.1})
SHADOW = "raise SystemExit('a module of the working folder was imported')\n"
STYLE = "figure.figsize: 2, 1\nlines.linewidth: 9\nbackend: nonsense\n"
_NO_PASSWD = "mount --bind /dev/null /etc/passwd"
_READ_ONLY = (
    'mount --bind "$RUNS" "$RUNS" && mount --rbind /tmp /tmp && mount -o remount,ro,bind /tmp && '
    'mount --bind /var/tmp /var/tmp && mount -o remount,ro,bind /var/tmp && cd "$HERE"'
)


class Surrounding(NamedTuple):
    """One row of the table."""

    name: str
    env: Mapping[str, str | None] = {}
    """Variables; None takes one away."""
    files: Mapping[str, str | bytes] = {}
    """Files in the working folder, or with ``~/`` in the home folder."""
    before: str = ""
    """Shell commands before ours."""
    streams: str = ""
    """Redirections of ours."""
    mounts: bool = False
    """Whether `before` mounts something, in a name space of its own."""
    workers: int = 1
    short: bool = False
    """Whether it is one of those that `make test` trains in, all at once: a run takes 10 s of a core."""
    recorded: bool = False
    """Whether it may change bits for good reason, so that run.json must have it."""
    refused: str = ""
    """What the one line says, where a run cannot be: exit code 2."""
    hidden: bool = False
    """Whether it hides ``trainer`` from ``python -m trainer`` as a person types it."""


TABLE = (
    Surrounding(
        "a company's proxies",
        dict.fromkeys(("http_proxy", "https_proxy", "grpc_proxy", "HTTPS_PROXY", "all_proxy"), NOBODY),
        workers=2,
        short=True,
    ),
    Surrounding("a proxy with options of gRPC's own", {
        "grpc_proxy": NOBODY,
        "TF_GRPC_DEFAULT_OPTIONS": "grpc.enable_http_proxy=1,grpc.http2.lookahead_bytes=99",
    }, workers=2),
    Surrounding("GRPC_FAIL_FAST", {"GRPC_FAIL_FAST": "1"}, workers=2),
    Surrounding("keras.json: channels first", files={"~/.keras/keras.json": CHANNELS_FIRST}, short=True),
    Surrounding("keras.json: float16", files={"~/.keras/keras.json": '{"floatx": "float16"}'}),
    Surrounding("keras.json: no such kind of floats", files={"~/.keras/keras.json": '{"floatx": "float8"}'}),
    Surrounding("keras.json: a list", files={"~/.keras/keras.json": "[]"}),
    Surrounding("KERAS_HOME", {"KERAS_HOME": "."}, {"keras.json": CHANNELS_FIRST}),
    Surrounding("KERAS_BACKEND", {"KERAS_BACKEND": "jax"}),
    Surrounding("KERAS_MAX_EPOCHS", {"KERAS_MAX_EPOCHS": "many"}),
    Surrounding("TF_USE_LEGACY_KERAS", {"TF_USE_LEGACY_KERAS": "1"}, short=True),
    Surrounding(
        "a notebook's MPLBACKEND, a style in the working folder",
        {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
        {"matplotlibrc": STYLE},
    ),
    Surrounding("MPLBACKEND: nonsense", {"MPLBACKEND": "nonsense"}),
    Surrounding("matplotlibrc that is no text", files={"matplotlibrc": b"\xff\xfe\x00"}),
    Surrounding("MATPLOTLIBRC", {"MATPLOTLIBRC": "style"}, {"style": STYLE}),
    Surrounding("a style that is no text", files={"~/.config/matplotlib/stylelib/my.mplstyle": b"\xff\xfe"}),
    Surrounding("a style in the home folder", files={"~/.config/matplotlib/matplotlibrc": STYLE}),
    Surrounding(
        "a working folder with modules of Python's and of libraries' names",
        files={f"{name}.py": SHADOW for name in ("queue", "keras", "numpy", "typing", "PIL", "tensorflow")},
    ),
    Surrounding(
        "a working folder with trainer/ and launcher/, a notebook's MPLBACKEND",
        {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
        {"trainer/__init__.py": "", "trainer/task.py": SHADOW, "launcher/__init__.py": SHADOW}
        | {"queue.py": SHADOW, "keras.py": SHADOW, "matplotlibrc": STYLE},
        short=True,
        hidden=True,
    ),
    Surrounding(
        "a working folder that was removed",
        before='mkdir gone && cd gone && rmdir "$HERE/gone"',
        refused="the working folder was removed",
    ),
    Surrounding("PYTHONPATH", {"PYTHONPATH": "."}, {"plugin.py": ""}),
    Surrounding("PYTHONOPTIMIZE", {"PYTHONOPTIMIZE": "2"}),
    Surrounding("PYTHONWARNINGS", {"PYTHONWARNINGS": "error"}),
    Surrounding("PYTHONINSPECT", {"PYTHONINSPECT": "1"}),
    Surrounding("PYTHONHASHSEED", {"PYTHONHASHSEED": "7"}),
    Surrounding("no HOME, no line in /etc/passwd", {"HOME": None}, before=_NO_PASSWD, mounts=True),
    Surrounding("HOME is empty", {"HOME": ""}),
    Surrounding("HOME is not there", {"HOME": "/nowhere"}),
    Surrounding("locale C, without UTF-8", {
        "LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"
    }),
    Surrounding("umask 077", before="umask 077"),
    Surrounding(
        "read-only /tmp and working folder", before=_READ_ONLY, mounts=True, refused="scratch folder"
    ),
    Surrounding("TMPDIR is not there", {"TMPDIR": "/nowhere"}),
    Surrounding("closed stdin, stdout and stderr", streams="<&- >&- 2>&-", short=True),
    Surrounding("64 open files", before="ulimit -n 64", short=True),
    Surrounding("COLUMNS=1", {"COLUMNS": "1", "LINES": "1", "TERM": "dumb", "FORCE_COLOR": "1"}),
    Surrounding("TZ", {"TZ": "Antarctica/Troll"}),
    Surrounding("somebody's TF_CONFIG", {"TF_CONFIG": '{"cluster": {"worker": ["a:1", "b:1"]}}'}),
    Surrounding("certificates", {"SSL_CERT_FILE": "/nowhere", "REQUESTS_CA_BUNDLE": "/nowhere"}),
    Surrounding("TF_FUNCTION_JIT_COMPILE_DEFAULT", {"TF_FUNCTION_JIT_COMPILE_DEFAULT": "1"}),
    Surrounding("OMP_NUM_THREADS", {"OMP_NUM_THREADS": "3"}, recorded=True),
    Surrounding("TF_NUM_INTRAOP_THREADS", {"TF_NUM_INTRAOP_THREADS": "3"}, recorded=True),
    Surrounding("TF_ENABLE_ONEDNN_OPTS", {"TF_ENABLE_ONEDNN_OPTS": "0"}, recorded=True),
    Surrounding("TF_DETERMINISTIC_OPS", {"TF_DETERMINISTIC_OPS": "1"}, recorded=True),
    Surrounding("TF_XLA_FLAGS", {"TF_XLA_FLAGS": "--tf_xla_auto_jit=2"}, recorded=True),
    Surrounding("XLA_FLAGS", {"XLA_FLAGS": "--xla_cpu_enable_fast_math=true"}, recorded=True),
    Surrounding("CUDA_VISIBLE_DEVICES", {"CUDA_VISIBLE_DEVICES": ""}, recorded=True),
)  # fmt: skip
CLEAN = Surrounding("clean")


def together(rows: Iterable[Surrounding]) -> Surrounding:
    """Several surroundings at once, for one worker."""
    env, files, before, streams = {}, {}, [], []
    for row in rows:
        env |= row.env
        files |= row.files
        before += [row.before] if row.before else []
        streams += [row.streams] if row.streams else []
    return Surrounding("all at once", env, files, " && ".join(before), " ".join(streams))


class Place:
    """A working folder, a home folder and a folder of runs, in some surroundings."""

    def __init__(self, folder: Path, what: Surrounding) -> None:
        self.what, self.runs = what, folder / "runs"
        self.here, home = folder / "here", folder / "home"
        for made in (self.here, home, self.runs):
            made.mkdir(parents=True)
        for name, content in what.files.items():
            path = home / name[2:] if name.startswith("~/") else self.here / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        own = {"HOME": str(home), "HERE": str(self.here), "RUNS": str(self.runs)}
        asked = kept | own | dict(what.env)
        self.env = {name: value for name, value in asked.items() if value is not None}

    def call(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in these surroundings."""
        line = f'{self.what.before or ":"} && exec "$@" {self.what.streams}'
        shell = ["bash", "-c", line, "bash", *words]
        if self.what.mounts:
            shell = ["unshare", "-m", *shell]
        files = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
        return subprocess.run(shell, cwd=self.here, env=self.env, timeout=240, **files)


def may_mount() -> bool:
    """Whether this machine lets us mount something for one process."""
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0
