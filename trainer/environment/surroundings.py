"""What surrounds a run and could reach its mathematics, hang it or stop it: decided here, with reasons.

Local processes, pods, ``sample``, ``describe``, ``data`` and the tests all pass through this module: whoever
starts a process of ours gives it `environment`, and each begins with `settle`, before TensorFlow is imported.

`RULES` is the list. What is not on it passes: plugins of devices and networks, certificates, credentials and
proxies come by the environment too. What passes and may change bits is `recorded` in run.json. A variable
that was typed for this run (``launcher submit --env``) wins over its rule, and a line says so.
"""

import contextlib
import errno
import io
import os
import re
import stat
import sys
import warnings
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from trainer.errors import AccessError

PLAIN = Path(__file__).parent / "plain"
"""Folder of settings' files that say nothing but defaults."""
KERAS_HOME = "GANTRY_KERAS_HOME"
"""Variable that keeps a person's KERAS_HOME, where Keras' data sets are cached."""
TYPED = "GANTRY_TYPED"
"""Variable with the names, separated by commas, of those for which there is a rule and which were typed."""

_PEERS = "TF_GRPC_DEFAULT_OPTIONS"
_NO_PROXY = "grpc.enable_http_proxy"
_DECIDES = "the run's configuration decides what is compiled, by xla"
_DEBUGS = "it limits Keras' own training for debugging, or is no number and stops its import"
_GRAPHS = "it switches TensorFlow's graphs to kinds that nothing here was tried with"


class Rule(NamedTuple):
    """What is done with a variable of the environment."""

    name: str
    value: str | None
    """What it is set to; None takes it away."""
    why: str


RULES = (
    Rule(
        _PEERS,
        f"{_NO_PROXY}=0",
        "gRPC hands what is for the other workers to http_proxy or https_proxy, which are for the bucket",
    ),
    Rule("GRPC_FAIL_FAST", None, "TensorFlow's servers abort at their start with it"),
    Rule("KERAS_HOME", str(PLAIN), "keras.json in it changes the order of channels and the kind of floats"),
    Rule("KERAS_BACKEND", "tensorflow", "the networks are built of Keras on TensorFlow"),
    Rule("KERAS_MAX_EPOCHS", None, _DEBUGS),
    Rule("KERAS_MAX_STEPS_PER_EPOCH", None, _DEBUGS),
    Rule("KERAS_NNX_ENABLED", None, "it is for Keras on JAX"),
    Rule("TF_USE_LEGACY_KERAS", None, "it puts Keras 2 in the place of the one that the networks are of"),
    Rule("TF_FUNCTION_JIT_COMPILE_DEFAULT", None, _DECIDES),
    Rule("TF_JIT_COMPILE_REWRITE", None, _DECIDES),
    Rule("TF_ENABLE_CONTROL_FLOW_V2", None, _GRAPHS),
    Rule("TF_ENABLE_COND_V2", None, _GRAPHS),
    Rule("TF_ENABLE_WHILE_V2", None, _GRAPHS),
    Rule("TF_ENABLE_TENSOR_ARRAY_V2", None, _GRAPHS),
    Rule("MPLBACKEND", "agg", "a notebook names a backend that is only there in its own kernel"),
    Rule("MATPLOTLIBRC", str(PLAIN), "a person's style is not a run's"),
    Rule("PYTHONSAFEPATH", "1", "a folder with a trainer/ or a queue.py in it would hide ours, or Python's"),
    Rule("PYTHONOPTIMIZE", None, "libraries build functions out of docstrings, which it takes away"),
    Rule("PYTHONWARNINGS", None, "'error' ends the import of TensorFlow"),
    Rule("PYTHONINSPECT", None, "a process would wait for somebody to type"),
)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_FILES = 65_536  # open at once
_SPECIAL = {_PEERS, "KERAS_HOME"}  # what a person says there goes on to count beside ours

# What may change bits, or the kind of device. Left out: what only tells more, Terraform's, a Service's
# address that Kubernetes gives to pods, and what may be secret.
_MATTERS = re.compile(r"(TF|XLA|ONEDNN|DNNL|OMP|KMP|MKL|CUDA|CUDNN|CUBLAS|NCCL|NVIDIA|ROCM|HIP|OPENBLAS)_\w+")
_MATTERS_NOT = re.compile(
    r"TF_(CONFIG|CPP_\w+|(CLI|VAR)_\w+|DATA_DIR|INPUT|WORKSPACE)|\w*(DEBUG|LOG|DUMP|VERBOS|_SERVICE_|_PORT|TOKEN|SECRET|KEY)\w*"
)


def rules(names: Iterable[str]) -> list[Rule]:
    """The rules that are for variables of these names and that a typed value would win over."""
    wanted = set(names) - {"KERAS_HOME"}
    return [rule for rule in RULES if rule.name in wanted]


def environment(base: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process of ours, started from one whose environment is `base`."""
    found, typed = dict(base), _typed(base)
    for rule in RULES:
        if rule.name in _SPECIAL or rule.name in typed:
            continue
        if rule.value is None:
            found.pop(rule.name, None)
        else:
            found[rule.name] = rule.value
    if _PEERS not in typed:
        found[_PEERS] = _without_proxy(found.get(_PEERS, ""))
    if found.get("KERAS_HOME", str(PLAIN)) != str(PLAIN):
        found[KERAS_HOME] = found["KERAS_HOME"]
    found["KERAS_HOME"] = str(PLAIN)
    return found


def settle() -> None:
    """Make this process what `environment` would have made it; call before anything large is imported."""
    settle_streams()
    _settle_warnings()
    _raise_limit_of_files()
    _replace(os.environ, environment(os.environ))
    # Keras would import it, and with it somebody's styles, one of which may be no text; what is drawn with it
    # is drawn by a process of its own.
    sys.modules["matplotlib"] = None  # type: ignore[assignment]


def check_folder() -> None:
    """Refuse to work in a folder that was removed, where no relative path means anything.

    Raises:
        AccessError: it was.
    """
    try:
        os.getcwd()  # noqa: PTH109 - Path.cwd() is the same
    except FileNotFoundError:
        raise AccessError("the working folder was removed: change to one that is there") from None


def typed_lines(environ: Mapping[str, str]) -> list[str]:
    """What there is to say of variables that were typed for this run although there is a rule for them."""
    return [f"note: {told(rule, environ.get(rule.name))}" for rule in rules(_typed(environ))]


def told(rule: Rule, value: str | None) -> str:
    """In a line that somebody typed a variable, None for one whose value is secret, against a rule."""
    usual = "taken away" if rule.value is None else f"set to {rule.value}"
    shown = rule.name if value is None else f"{rule.name}={value}"
    return f"{shown} was typed for this run and counts; it would be {usual}, as {rule.why}"


def settle_streams() -> None:
    """Open what was closed of stdin, stdout and stderr, and have no character end a program that prints.

    The next file that is opened would get a closed one's number, and what libraries print would go there.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            encoding = (stream.encoding or "").lower()
            if not encoding.startswith("utf"):
                stream.reconfigure(errors="replace")


def output_failed(error: OSError) -> bool:
    """Whether it is standard output that failed; what still waits to be written there is dropped then."""
    if error.filename is not None or error.errno not in _FULL or not _goes_to_a_file(1):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return True


def _goes_to_a_file(number: int) -> bool:
    """Whether a descriptor is a file's or a device's, which may be full, and no pipe's or terminal's."""
    mode = os.fstat(number).st_mode
    return stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not os.isatty(number))


def recorded(environ: Mapping[str, str], threads: int | None) -> dict[str, object]:
    """What run.json says of what may change bits: `threads` (None: one for each core), and variables."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    own = {rule.name for rule in RULES} - _typed(environ)
    variables = {
        name: value
        for name, value in sorted(environ.items())
        if _MATTERS.fullmatch(name) and not _MATTERS_NOT.fullmatch(name) and name not in own
    }
    return {"threads": threads or cores, "variables": variables}


def changes(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """What differs between two `recorded`, one text for each: ``threads was 2, now 4``."""
    old, new = _flat(before), _flat(now)
    return [
        f"{name} was {old.get(name, 'not set')}, now {new.get(name, 'not set')}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def data_sets_home(environ: Mapping[str, str]) -> str:
    """Where Keras keeps the data sets that it downloads, as the person who started us has it."""
    own = environ.get("KERAS_HOME", "")
    return environ.get(KERAS_HOME) or (own if own != str(PLAIN) else "") or "~/.keras"


def import_matplotlib() -> ModuleType:
    """matplotlib with its own defaults, whatever lies in the working folder or the home folder.

    It looks for ``matplotlibrc`` in the working folder first, which is therefore another one meanwhile: not
    for a process whose other threads open files by relative paths.
    """
    before = dict(os.environ)
    _replace(os.environ, environment(os.environ))
    back = os.open(".", os.O_RDONLY)  # which may have been removed, and has no path then
    try:
        os.chdir(PLAIN)
        import matplotlib.figure

        return matplotlib
    finally:
        os.fchdir(back)
        os.close(back)
        _replace(os.environ, before)


def _typed(environ: Mapping[str, str]) -> set[str]:
    return set(filter(None, environ.get(TYPED, "").split(",")))


def _without_proxy(options: str) -> str:
    """gRPC's options for the connections to peers, with what others ask for there kept."""
    kept = [option for option in options.split(",") if option and not option.startswith(_NO_PROXY)]
    return ",".join([*kept, f"{_NO_PROXY}=0"])


def _settle_warnings() -> None:
    """Leave warnings as Python has them; ``-W error`` would end the import of TensorFlow."""
    if sys.warnoptions:
        sys.warnoptions.clear()
        warnings.resetwarnings()
        for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", kind)


def _raise_limit_of_files() -> None:
    """As many open files as this user may have: peers, data and uploads take some hundreds."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _FILES if most == resource.RLIM_INFINITY else min(_FILES, most)
        if resource.RLIM_INFINITY != now < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _replace(environ: MutableMapping[str, str], by: Mapping[str, str]) -> None:
    for name in [name for name in environ if name not in by]:
        del environ[name]
    for name, value in by.items():
        if environ.get(name) != value:
            environ[name] = value


def _flat(found: Mapping[str, object]) -> dict[str, object]:
    variables = found.get("variables")
    return {"threads": found.get("threads"), **(variables if isinstance(variables, dict) else {})}
