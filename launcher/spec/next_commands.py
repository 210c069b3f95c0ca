"""The commands that messages tell a person to type next."""

import os
import shlex

from trainer.errors import UserError
from trainer.run.layout import RunPath

DEFAULT_ROOT = "runs"


_typed: dict[str, str] = {}  # by flag; of the process and not of a thread, since a process is one command


def remember(context: str | None = None, namespace: str | None = None) -> None:
    """Have the commands that are printed from now on say these again, which were typed for this one."""
    given = {"--context": context, "--namespace": namespace}
    _typed.clear()
    _typed.update({flag: value for flag, value in given.items() if value is not None})


def command_words(verb: str, path: RunPath, *more: str) -> list[str]:
    """A command about a run, word by word, such as ``launcher resume gan/demo-1 --root /data``.

    It names the run's experiment, since by the name alone a namesake may be what is found, its root unless
    that is the usual one, and the cluster where that had to be typed for this command too.
    """
    words = ["launcher", *verb.split(), f"{path.experiment}/{path.name}", *more]
    if path.root.rstrip("/") != usual_root().rstrip("/"):
        words += ["--root", path.root]
    for flag, value in _typed.items():
        if flag not in words and not (flag == "--namespace" and "-n" in words):
            words += [flag, value]
    return words


def command_line(verb: str, path: RunPath, *more: str) -> str:
    """The same as it can be pasted."""
    return shlex.join(command_words(verb, path, *more))


def usual_root() -> str:
    """The root that commands go by when none is named, as the environment or a settings' file has it."""
    # Which imports pydantic: not before there is a run to speak of.
    from launcher.spec.settings import ROOT_VARIABLE, defaults

    try:
        return str(defaults().values.get("root") or DEFAULT_ROOT)
    except UserError:  # a damaged file is the next command's to complain of
        return os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT


def schedule_line(verb: str, name: str, *more: str, context: str, namespace: str) -> str:
    """A command about a schedule as it can be pasted, such as ``launcher cron trigger nightly -n team``."""
    from launcher.spec.kubeconfig import current
    from launcher.spec.settings import defaults

    words = ["launcher", "cron", verb, name, *more]
    try:
        found = defaults().values
        here = current(found.get("context"))
    except UserError:
        found, here = {}, None
    if here is None or here.name != context:
        words += ["--context", context]
    if namespace != found.get("namespace", here.namespace if here and here.name == context else None):
        words += ["-n", namespace]
    return shlex.join(words)


def kubectl_line(context: str, *words: str) -> str:
    """A command of kubectl as it can be pasted, with the context where it would not go by that one anyway."""
    from launcher.spec.kubeconfig import current

    try:
        here = current()
    except UserError:
        here = None
    where = [] if here is not None and here.name == context else ["--context", context]
    return shlex.join(["kubectl", *where, *words])
