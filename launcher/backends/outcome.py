"""How an attempt ended, for people and for exit codes, and the way on from there."""

from dataclasses import dataclass

from launcher.records.states import COLLAPSED, FINISHED, STOPPED
from launcher.records.status import RunStatus
from launcher.spec.next_commands import command_line
from trainer.errors import EXIT_DONE, EXIT_FAILED, EXIT_RESTART, EXIT_USER
from trainer.run.layout import RunPath

REGARDLESS = ("--set", "health.on_collapse=warn")
"""What a resume takes to go on with a run that has collapsed; as it is, it would stop again at once."""


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended."""

    status: RunStatus
    exit_code: int
    """0 done, 2 the user's mistake, 42 resume me, 1 anything else."""
    text: str
    """One line for a person, with the command to type next."""


def outcome(path: RunPath, now: RunStatus) -> Outcome:
    """How an attempt that is over ended, by where its run stands."""
    if now.state == FINISHED:
        home = command_line("artifacts download", path, "--to", path.name)
        text = f"run '{path.name}' is finished at step {now.step}: `{home}` brings it"
        return Outcome(now, EXIT_DONE, text + (f"; {now.explanation}" if now.explanation else ""))
    if now.state == STOPPED:
        return Outcome(now, EXIT_RESTART, f"run '{path.name}' stopped; {way_on(now)}")
    code = EXIT_USER if any(worker.exit_code == EXIT_USER for worker in now.workers) else EXIT_FAILED
    return Outcome(now, code, f"run '{path.name}' {now.state}: {now.explanation}; {way_on(now)}")


def way_on(now: RunStatus) -> str:
    """What is saved of a run that has not finished, and the command that goes on from there."""
    more = REGARDLESS if now.state == COLLAPSED else ()
    again = command_line("resume", RunPath(now.root, now.experiment, now.run), *more)
    saved = "nothing is saved" if now.checkpoint_step is None else f"saved at step {now.checkpoint_step}"
    return f"{saved}; go on with `{again}`"
