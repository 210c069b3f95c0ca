import json
import socket

import pytest

from launcher.backends.local import processes
from launcher.backends.local.processes import (
    free_ports,
    share_threads,
    tf_config,
    worker_environment,
)
from launcher.backends.local.supervise import attempt_exit_code
from launcher.wording import ending
from trainer.errors import GantryError


@pytest.mark.parametrize(
    ("workers", "cores", "asked", "threads"),
    [(1, 8, None, 8), (2, 8, None, 4), (3, 8, None, 2), (4, 2, None, 1), (2, 8, 7, 7)],
)
def test_cores_are_shared_evenly(workers, cores, asked, threads):
    assert share_threads(workers, cores, asked) == threads


def test_tf_config_names_every_worker_and_this_one():
    assert json.loads(tf_config([20001, 20002], 1)) == {
        "cluster": {"worker": ["127.0.0.1:20001", "127.0.0.1:20002"]},
        "task": {"type": "worker", "index": 1},
    }


def test_one_worker_sees_no_tf_config_even_if_it_is_inherited():
    inherited = {"TF_CONFIG": "old", "HOME": "/root"}
    assert "TF_CONFIG" not in worker_environment(inherited, [], 0)
    assert json.loads(worker_environment(inherited, [1, 2], 1)["TF_CONFIG"])["task"]["index"] == 1
    assert worker_environment(inherited, [], 0)["HOME"] == "/root"


def test_ports_are_distinct_and_not_in_use(monkeypatch):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        taken = busy.getsockname()[1]
        near = range(taken - 30, taken + 1)
        monkeypatch.setattr(processes, "_PORTS", near)
        ports = free_ports(5)
    assert len(set(ports)) == 5
    assert set(ports) <= set(near) - {taken}


def test_too_many_ports_are_refused_in_words(monkeypatch):
    monkeypatch.setattr(processes, "_PORTS", range(21000, 21002))
    with pytest.raises(GantryError, match="workers is 3"):
        free_ports(3)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (3, "exited with code 3"),
        (-9, "was killed by SIGKILL"),
        (-200, "was killed by signal 200"),
        (None, "ended unseen"),
    ],
)
def test_endings_in_words(code, words):
    assert ending(code) == words


@pytest.mark.parametrize(
    ("codes", "cause", "code"),
    [
        ([0, 0], None, 0),
        ([42, 42], None, 42),
        ([0, 42], None, 42),
        ([42, 2], 1, 2),
        ([2, -9], 1, 2),
        ([42, -9], 1, 42),
        ([-6, -9], 1, 42),
        ([-9, -11], 1, 1),
        ([-15, 1], 1, 1),
        ([42, 42], 0, 42),
        ([], None, 42),
        ([-9, -9], None, 42),
    ],
)
def test_exit_code_of_an_attempt(codes, cause, code):
    assert attempt_exit_code(codes, cause) == code
