"""A store behaves like a dictionary of (content, generation) under any sequence of calls."""

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from trainer.errors import ObjectMissing, PreconditionFailed
from trainer.storage import open_store

# No object lies below another one's name: a folder cannot hold that, and a run's layout never asks for it.
names = st.sampled_from(["a", "b", "x/a", "x/b", "x/y/c", "z/a"])
prefixes = st.sampled_from(["", "a", "x", "x/", "x/y/", "x/b", "no/", "z"])
folders = st.sampled_from(["", "x/", "x/y/", "no/", "z/"])
when = st.sampled_from(["always", "absent", "present", "stale"])


class AgainstDictionary(RuleBasedStateMachine):
    """Every call is made on the store and on a dictionary."""

    root = ""
    numbers = itertools.count()

    def __init__(self):
        super().__init__()
        self.store = open_store(f"{self.root}/{next(self.numbers)}")
        self.objects: dict[str, tuple[bytes, int]] = {}
        self.past: list[int] = []
        self.folder = tempfile.TemporaryDirectory()

    def teardown(self):
        self.folder.cleanup()

    @rule(name=names, content=st.binary(max_size=40), if_generation=when, from_file=st.booleans())
    def put(self, name, content, if_generation, from_file):
        # Two writes never carry the same content: a conditional write that finds its own is a success.
        content = b"%d:" % next(self.numbers) + content
        there = self.objects.get(name, (b"", 0))[1]
        stale = next((old for old in reversed(self.past) if old != there), 12345)
        expected = {"always": None, "absent": 0, "present": there, "stale": stale}[if_generation]
        if expected in (None, there):
            generation = self._put(name, content, expected, from_file)
            assert generation not in self.past
            self.objects[name] = content, generation
            self.past.append(generation)
        else:
            with pytest.raises(PreconditionFailed):
                self._put(name, content, expected, from_file)

    @rule(name=names)
    def delete(self, name):
        self.store.delete(name)
        self.objects.pop(name, None)

    @rule(name=names, start=st.integers(0, 50), length=st.none() | st.integers(0, 50))
    def read(self, name, start, length):
        if name in self.objects:
            content = self.objects[name][0][start:]
            assert self.store.read(name, start, length) == content[:length]
        else:
            with pytest.raises(ObjectMissing):
                self.store.read(name, start)

    @rule(name=names)
    def download(self, name):
        target = Path(self.folder.name) / "target"
        if name in self.objects:
            self.store.download(name, target)
            assert target.read_bytes() == self.objects[name][0]
        else:
            with pytest.raises(ObjectMissing):
                self.store.download(name, target)

    @rule(prefix=prefixes)
    def list(self, prefix):
        expected = sorted(name for name in self.objects if name.startswith(prefix))
        assert [found.name for found in self.store.list(prefix)] == expected

    @rule(prefix=folders)
    def list_folders(self, prefix):
        below = (name.removeprefix(prefix) for name in self.objects if name.startswith(prefix))
        assert [*self.store.folders(prefix)] == sorted({rest.split("/")[0] for rest in below if "/" in rest})

    @invariant()
    def holds_what_the_dictionary_holds(self):
        found = {item.name: (item.size, item.generation) for item in self.store.list()}
        assert found == {name: (len(content), made) for name, (content, made) in self.objects.items()}

    def _put(self, name, content, if_generation, from_file):
        if not from_file:
            return self.store.write(name, content, if_generation)
        source = Path(self.folder.name) / "source"
        source.write_bytes(content)
        return self.store.upload(name, source, if_generation)


def _run(root: str, examples: int, steps: int) -> None:
    machine = type("Bound", (AgainstDictionary,), {"root": root})
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=examples, stateful_step_count=steps),
    )


def test_a_folder_behaves_like_a_dictionary(tmp_path):
    _run(str(tmp_path), examples=30, steps=20)


def test_a_bucket_behaves_like_a_dictionary(gcs_root):
    _run(gcs_root, examples=6, steps=12)
