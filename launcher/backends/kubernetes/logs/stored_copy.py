"""The copy of a worker's log in the run's folder, which stands in for pods that are gone."""

from collections.abc import Sequence

from launcher.backends.kubernetes.logs.exact_lines import Section, sections
from launcher.records.follow import LogReader, first_line, newest_lines, pod_of
from trainer.errors import GantryError
from trainer.storage import Store


class Copy:
    """What the pods that were one worker in one attempt left there; read anew each time it is asked for.

    A copy that cannot be read is none: what the pods themselves say is worth having without it.
    """

    def __init__(self, store: Store, attempt: int, worker: int) -> None:
        self._store, self._attempt, self._worker = store, attempt, worker

    def of(self, pod: str) -> list[str]:
        """What one pod wrote, as far as it was copied."""
        return next((section.lines for section in self._sections() if section.pod == pod), [])

    def ends_with(self, lines: Sequence[str]) -> bool:
        """Whether these are its last lines, as they are unless a node lost some; saves reading all of it."""
        try:
            newest = newest_lines(self._store, self._attempt, self._worker)
        except GantryError:
            return True
        common = min(len(newest), len(lines))
        return common > 0 and newest[-common:] == list(lines)[-common:]

    def between(self, first: str | None, last: str | None) -> list[Section]:
        """What pods wrote of which nobody knows any more: after one pod, or from the beginning, and up to
        another, or to the end."""
        if first is None and last is not None and self._begins_with(last):
            return []
        found = self._sections()
        names = [section.pod for section in found]
        if first is not None and first not in names:
            return []
        begin = 0 if first is None else names.index(first) + 1
        return found[begin : names.index(last) if last in names else None]

    def _begins_with(self, pod: str) -> bool:
        """As it does as long as no pod was replaced; saves reading all of it."""
        try:
            return pod_of(first_line(self._store, self._attempt, self._worker)) == pod
        except GantryError:
            return True

    def _sections(self) -> list[Section]:
        reader = LogReader(self._store, self._attempt, self._worker)
        try:
            return sections(line.text for line in reader.read(last=True))
        except GantryError:
            return []
