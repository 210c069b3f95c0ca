"""Which of the places that a run names an error is about: its root, or its data."""

from typing import NamedTuple

from launcher.diagnosis.explain.causes.needs import config_of
from launcher.diagnosis.explain.facts import Facts


class Named(NamedTuple):
    """A place in a bucket as the run's settings name it."""

    setting: str
    """``root`` or ``data.source``."""
    value: str

    @property
    def is_data(self) -> bool:
        """Whether it is the data's, which a run reads and never writes."""
        return self.setting == "data.source"


def named(facts: Facts, url: str) -> Named | None:
    """The setting that an address in an error is of; None where it is neither root nor data."""
    root, config = facts.status.root.rstrip("/"), config_of(facts)
    if _is_in(url, root):
        return Named("root", root)
    source = "" if config is None else config.data.source
    begin = source.find("gs://")
    if begin >= 0 and _bucket(source[begin:]) == _bucket(url):
        return Named("data.source", source)
    return None


def _is_in(url: str, folder: str) -> bool:
    return url == folder or url.startswith(folder + "/")


def _bucket(url: str) -> str:
    return url.removeprefix("gs://").partition("/")[0]
