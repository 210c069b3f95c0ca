"""A reader that looks at a run all along and believes every manifest it sees.

A checkpoint is torn when its manifest stands and a file that it names is missing or another one. An empty
manifest is a writer's claim and no checkpoint. What changes while the reader looks is not held against the
run: a mismatch counts only if the same manifest is there before and after a second look at the files.
"""

import json
import threading
from collections.abc import Mapping
from contextlib import suppress

from trainer.errors import ObjectMissing
from trainer.run import layout
from trainer.storage import Stat, Store

_PAUSE_SECONDS = 0.05
_LAST_LOOK_SECONDS = 20.0
_FINDINGS = 20  # are enough


class Reader:
    """Looks at the checkpoints of a run from its own thread, inside a ``with``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._manifests: dict[tuple[str, int], list[dict[str, object]] | None] = {}
        self._newest = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="reader", daemon=True)
        self.looks = 0
        self.findings: list[str] = []
        """What must not be, one line each."""

    def __enter__(self) -> "Reader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(_LAST_LOOK_SECONDS)
        if self._thread.is_alive():
            self._find("the reader cannot end its last look")

    @property
    def seen(self) -> set[int]:
        """Steps of all checkpoints that were ever complete."""
        return {step for name, _ in self._manifests if (step := layout.checkpoint_step(name)) is not None}

    def look(self) -> None:
        """Look once at everything."""
        found = {stat.name: stat for stat in self._store.list("checkpoints/")}
        complete = [stat for stat in found.values() if layout.is_complete(stat.name, stat.size)]
        for manifest in complete:
            if fault := self._fault(manifest, found):
                self._find(fault)
        newest = max((layout.checkpoint_step(stat.name) or 0 for stat in complete), default=0)
        if newest < self._newest:
            self._find(f"the newest complete checkpoint was {self._newest} and is {newest}")
        self._newest = newest
        self.looks += 1

    def _look_on(self) -> None:
        try:
            while not self._done.wait(_PAUSE_SECONDS):
                self.look()
            self.look()
        except Exception as error:
            self._find(f"the reader failed: {error!r}")

    def _fault(self, manifest: Stat, found: Mapping[str, Stat]) -> str | None:
        """What is wrong with a checkpoint, for certain."""
        entries = self._entries(manifest)
        if entries is None or not (wrong := _wrong(manifest, entries, found)):
            return None
        folder = layout.checkpoint_folder(layout.checkpoint_step(manifest.name) or 0)
        again = {stat.name: stat for stat in self._store.list(folder)}
        wrong = _wrong(manifest, entries, again)
        return wrong if wrong and self._stands(manifest) else None

    def _entries(self, manifest: Stat) -> list[dict[str, object]] | None:
        """What a manifest lists, read once; None if it was replaced before it could be read."""
        key = manifest.name, manifest.generation
        if key not in self._manifests:
            with suppress(ObjectMissing):
                self._manifests[key] = json.loads(b"".join(self._store.parts(manifest)))["files"]
        return self._manifests.get(key)

    def _stands(self, manifest: Stat) -> bool:
        now = self._store.stat(manifest.name)
        return now is not None and now.generation == manifest.generation

    def _find(self, what: str) -> None:
        if what not in self.findings and len(self.findings) < _FINDINGS:
            self.findings.append(what)


def _wrong(manifest: Stat, entries: list[dict[str, object]], found: Mapping[str, Stat]) -> str | None:
    """The first file that is not as the manifest says."""
    folder = layout.checkpoint_folder(layout.checkpoint_step(manifest.name) or 0)
    for entry in entries:
        stat = found.get(f"{folder}{entry['name']}")
        there = (stat.size, stat.crc32c) if stat else None
        if there != (entry["size"], entry["crc32c"]):
            expected = entry["size"], entry["crc32c"]
            return f"torn checkpoint {folder}: {entry['name']} is {there}, its manifest says {expected}"
    return None
