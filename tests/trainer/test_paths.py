"""``~`` in what people type, with and without a home folder."""

import pytest

from trainer.environment.paths import at_home, expanded
from trainer.errors import UserError


def test_only_a_leading_tilde_is_a_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/runs/") == "/home/me/runs/"
    assert expanded("~") == "/home/me"
    for text in ("gs://bucket/~x", "a/~/b", "./~", "", "/x"):
        assert expanded(text) == text
    assert str(at_home("~/.kube/config")) == "/home/me/.kube/config"


@pytest.mark.parametrize(
    ("text", "home", "part"), [("~nosuch/x", "/home/me", "no user 'nosuch'"), ("~/x", "", "set HOME")]
)
def test_a_home_folder_that_nobody_knows_of_is_one_sentence(monkeypatch, text, home, part):
    monkeypatch.setenv("HOME", home)
    with pytest.raises(UserError, match=rf"^root {text}: .*{part}") as error:
        expanded(text, "root")
    assert "\n" not in str(error.value)
    assert at_home(text) is None
