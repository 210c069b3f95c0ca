"""`make test-pythons`: which Pythons it finds, what it says of the others, and that it can fail."""

import sys
from pathlib import Path

import pytest

from tests import pythons

OWN = f"3.{sys.version_info.minor}"


def test_what_is_not_here_is_said_and_fails_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert pythons.main() == 0
    told = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert list(told) == ["3.11", "3.12", "3.13"]
    assert told.pop(OWN) == "the Python of make test, which has these tests too"
    assert set(told.values()) == {"not here: not run"}


def test_a_shim_without_its_python_is_passed_over(tmp_path, monkeypatch):
    shims, installed = tmp_path / "shims", tmp_path / f"versions/{OWN}.0/bin"
    shims.mkdir()
    installed.mkdir(parents=True)
    (shims / f"python{OWN}").write_text("#!/bin/sh\nexit 127\n")
    (shims / f"python{OWN}").chmod(0o755)
    (installed / f"python{OWN}").symlink_to(Path(sys.base_prefix) / "bin" / f"python{OWN}")
    monkeypatch.setenv("PATH", str(shims))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    found = pythons.find(OWN)
    assert found is not None
    assert found.program == installed / f"python{OWN}"
    assert found.version == ".".join(map(str, sys.version_info[:3]))


@pytest.mark.parametrize(("holds", "last"), [(True, "1 passed"), (False, "1 failed")])
def test_a_lane_passes_or_fails_with_its_tests(tmp_path, capsys, holds, last):
    (tmp_path / "test_it.py").write_text(f"def test_it():\n    assert {holds}\n")
    passed, told = pythons.lane(Path(sys.executable), "-q", f"--rootdir={tmp_path}", str(tmp_path))
    assert passed is holds
    assert told.startswith(last)
    assert ("test_it.py:2" in capsys.readouterr().out) is not holds
