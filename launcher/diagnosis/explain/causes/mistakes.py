"""Exit code 2: a mistake in the configuration or the data, or a run that another process trains."""

import re
from typing import NamedTuple

from launcher.backends.kubernetes.status.pods import variables
from launcher.diagnosis.explain.base import Cause, Evidence, Finding
from launcher.diagnosis.explain.causes import restart
from launcher.diagnosis.explain.causes.words import evidence, find, words
from launcher.diagnosis.explain.evidence import from_field
from launcher.diagnosis.explain.facts import Facts
from launcher.diagnosis.explain.fix import Fix
from launcher.render.labels import CONTAINER
from trainer.config import VARIABLE as SENT
from trainer.config import RunConfig
from trainer.errors import EXIT_USER

_RESUMABLE = ("steps", "recovery", "health")  # what a resumed run may change


class Setting(NamedTuple):
    """One value that a message speaks of."""

    key: str
    flag: str
    """By which submit and rerun set it."""
    seen: Evidence | None
    """Where it stands; None where nothing of the run was written."""


def held(facts: Facts) -> Finding | None:
    """Another process trains the same run."""
    pattern = r"(?:is being trained by (\S+)|: (\S+) (?:\(process .*\) )?has taken the run over)"
    if not (said := find(facts, pattern)):
        return None
    who = said.match[1] or said.match[2]
    sentence = f"{facts.name} is being trained by another process, {who}, and {said.who} leaves it to that"
    return Finding(sentence, evidence(facts, said), facts.command("status"))


def mistake(facts: Facts) -> Finding | None:
    """Exit 2: the configuration's line, and the flag that changes it."""
    found = next((word for word in words(facts) if word.exit_code == EXIT_USER), None)
    workers = [worker.worker for worker in facts.status.workers if worker.exit_code == EXIT_USER]
    if found is None and workers:  # a process of this machine, or a pod whose message nobody kept
        own = [word for word in words(facts) if word.worker in (*workers, None)]
        found = own[0] if own else None
    if found is None:
        return None
    who = "the trainer" if found.worker is None else f"worker {found.worker}"
    setting = _setting(facts, found.text)
    seen = [found.seen, *([setting.seen] if setting and setting.seen else [])]
    return Finding(
        f"{who} refuses its configuration or its data: {found.text}", seen, _change(facts, setting)
    )


def _setting(facts: Facts, text: str) -> Setting | None:
    """The variable, override or value of the configuration with which a message begins."""
    if not (named := re.match(r"(?:--set )?([A-Za-z_]\w*(?:\.\w+)*)", text)):
        return None
    key = named[1]
    for pod in facts.pods:
        for variable in variables(pod, CONTAINER):
            if variable.get("name") == key:
                where = f"spec.containers[{CONTAINER}].env[{key}]"
                return Setting(key, "--env", from_field(pod, "Pod", where, variable.get("value", "")))
    for override in facts.run.get("overrides") or facts.spec.get("overrides") or ():
        if str(override).partition("=")[0] == key:
            return Setting(key, "--set", Evidence("run.json", "overrides", f"--set {override}"))
    if key.partition(".")[0] not in RunConfig.model_fields:
        return None
    value = facts.config(key)
    seen = None if value is None else Evidence("run.json", f"config.{key}", str(value))
    return Setting(key, "--set", seen)


def _change(facts: Facts, setting: Setting | None) -> Fix:
    """The command that says it otherwise; the new value is the person's to know."""
    if setting is None:
        return restart.submit(facts, "--set", "KEY=VALUE")
    if setting.key == SENT:
        return restart.resume(facts, "--image", "NAME:TAG").noting("an image of the launcher's own version")
    resumable = setting.flag == "--set" and setting.key.partition(".")[0] in _RESUMABLE and facts.run
    return (restart.resume if resumable else restart.submit)(facts, setting.flag, f"{setting.key}=VALUE")


MISTAKES = (
    Cause(
        "held",
        "Another process trains the run",
        "Exit code 2 and the name of the process that holds the run's lease",
        "Stop the other process, or let it go on",
        held,
    ),
    Cause(
        "mistake",
        "A mistake in the configuration or the data",
        "Exit code 2; the error begins with the key or the variable, and the Job fails at once",
        "Rerun with another value; `steps` and `recovery` can be set by resume",
        mistake,
    ),
)  # fmt: skip
