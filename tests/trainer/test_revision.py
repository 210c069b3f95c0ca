"""The revision in run.json is that of our own source, in real repositories."""

import os
import shutil
import subprocess

import pytest

from trainer.environment import revision


@pytest.fixture
def git(tmp_path):
    """A function that runs git in a repository of ours with a copy of the package's file."""
    top = tmp_path / "ours"
    (top / "trainer/environment").mkdir(parents=True)
    shutil.copy(revision.__file__, top / "trainer/environment")
    (top / "pyproject.toml").write_text('[project]\nname = "gantry"\n')

    def run(*words, at=top):
        own = ("-c", "user.name=one", "-c", "user.email=one@example.org")
        found = subprocess.run(["git", *own, *words], cwd=at, capture_output=True, text=True, check=True)
        return found.stdout.strip()

    run("init", "-q")
    run("add", ".")
    run("commit", "-q", "-m", "one")
    return run


def said(folder, **environ):
    return revision.revision(dict(os.environ) | environ, folder / "trainer")


@pytest.fixture(autouse=True)
def no_image(monkeypatch):
    monkeypatch.delenv("GANTRY_GIT_REVISION", raising=False)


def test_it_is_the_commit_and_says_when_the_source_was_changed_since(git, tmp_path):
    ours, head = tmp_path / "ours", git("rev-parse", "HEAD")
    assert said(ours) == head and len(head) == 40
    (ours / "notes.txt").write_text("of no matter")
    assert said(ours) == head
    (ours / "trainer" / "losses.py").write_text("new = 1")
    assert said(ours) == f"{head}-dirty"
    git("add", ".")
    git("commit", "-q", "-m", "two")
    (ours / "trainer" / "losses.py").write_text("new = 2")
    assert said(ours) == git("rev-parse", "HEAD") + "-dirty"


def test_a_strangers_repository_around_the_package_says_nothing(git, tmp_path):
    ours = tmp_path / "ours"
    site = tmp_path / "theirs" / "venv"
    shutil.copytree(ours, site, ignore=shutil.ignore_patterns(".git"))
    assert said(site) is None  # no repository at all
    git("init", "-q", at=tmp_path / "theirs")
    git("add", ".", at=tmp_path / "theirs")
    git("commit", "-q", "-m", "theirs", at=tmp_path / "theirs")
    assert said(site) is None
    shutil.rmtree(ours / ".git")
    (ours / "pyproject.toml").write_text('[project]\nname = "theirs"\n')
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "vendored")
    assert said(ours) is None


def test_a_package_that_the_repository_does_not_keep_says_nothing(git, tmp_path):
    git("rm", "-q", "--cached", "-r", "trainer")
    git("commit", "-q", "-m", "without")
    assert said(tmp_path / "ours") is None


def test_git_variables_of_another_repository_count_for_nothing(git, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    git("init", "-q", at=other)
    assert said(tmp_path / "ours", GIT_DIR=str(other / ".git")) == git("rev-parse", "HEAD")


@pytest.mark.parametrize("stated", ["", "unknown"])
def test_what_the_image_says_counts_if_it_says_anything(git, tmp_path, stated):
    assert said(tmp_path / "ours", GANTRY_GIT_REVISION="abc123") == "abc123"
    assert said(tmp_path / "ours", GANTRY_GIT_REVISION=stated) == git("rev-parse", "HEAD")
