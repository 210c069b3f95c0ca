"""docs/troubleshooting.md is the causes themselves, and no cause is there that no test makes happen."""

import re
from pathlib import Path

import pytest

from launcher.diagnosis.explain.causes import CAUSES, SCHEDULE_CAUSES
from launcher.diagnosis.explain.table import COMMAND, page

ROOT = Path(__file__).parents[2]
ALL = (*CAUSES, *SCHEDULE_CAUSES)


def test_the_page_is_current():
    written = (ROOT / "docs/troubleshooting.md").read_text()
    assert written == page(), f"docs/troubleshooting.md is not what the causes say: run `{COMMAND}`"


def test_every_cause_has_a_key_of_its_own_and_says_all():
    keys = [cause.key for cause in ALL]
    assert sorted(set(keys)) == sorted(keys)
    assert "unknown" not in keys
    for cause in ALL:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", cause.key)
        assert cause.title and cause.seen and cause.mend, cause.key


@pytest.mark.parametrize("key", [cause.key for cause in ALL])
def test_a_test_makes_it_happen(key):
    folders = (ROOT / "tests/cluster", ROOT / "tests/launcher")
    texts = [path.read_text() for folder in folders for path in folder.glob("test_explain_*.py")]
    assert any(f'"{key}"' in text for text in texts), f"no test of explain names the cause {key}"
