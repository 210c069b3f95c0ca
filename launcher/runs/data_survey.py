"""What a run's data is, said before it is sent, as far as that can be seen from here."""

from launcher.spec.kinds import kind as kind_of
from launcher.spec.runspec import RunSpec
from launcher.time_limit import within
from trainer.config.sources import SOURCES
from trainer.errors import DataError, GantryError
from trainer.survey import blamed, check_installed, survey

_SECONDS = 10.0  # for a bucket, or a folder with a great many files on a network's disk


def data_lines(spec: RunSpec) -> list[str]:
    """How many examples there are, what is left out, and what is hardly meant, a line each.

    Nothing of a path of other machines. What a bucket shows from here, with this machine's rights and
    at this time, refuses no pod.

    Raises:
        DataError: the trainer would refuse the data; nothing was written or sent.
    """
    config = spec.config()
    kind, _, rest = config.data.source.partition(":")
    bucket = rest.startswith("gs://")
    here = kind_of(spec.backend).here
    if not here and SOURCES[kind].path and not bucket:
        return []
    about = f"data.source {config.data.source}"
    try:
        if here:
            check_installed(config.data.source)
        found = within(_SECONDS, lambda: survey(config), about)
    except DataError as error:
        told = blamed(error, spec.preset, spec.overrides)
        if bucket and not here:
            return [f"warning: {told}"]
        raise told from None
    except GantryError as error:
        return [f"note: {about} was not looked at from here: {error}"]
    return found.lines(config) if found else []
