"""A run of the real trainer on this machine whose game is over, from submit to going on regardless."""

import json

from tests.support.flags import set_flags
from tests.support.runs import TINY
from tests.trainer.test_rollback import STOP


def test_a_run_that_collapses_says_what_to_change_and_goes_on_when_it_is_told_to(launcher, root, tmp_path):
    def ask(*words, code=0):
        done = launcher(*words, "--root", root, "-o", "json")
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    over = "G has collapsed since step 20: the spread of its grid's pixels is 0."
    sets = set_flags((*TINY, *STOP))
    done = launcher("submit", "--preset", "mlp", "--workers", 2, "--root", root, "--name", "one", *sets)
    assert done.returncode == 1, done.stdout + done.stderr  # 3 is "no such run" here
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: run 'one' has collapsed: ") and over in last
    assert "saved at step 40; go on with `launcher resume" in last and "health.on_collapse=warn" in last
    (listed,) = ask("list", "--state", "collapsed")
    found = ask("status", "one")
    assert listed["state"] == found["state"] == "collapsed" and found["conditions"] == ["collapse"]
    assert [worker["exit_code"] for worker in found["workers"]] == [3, 3]
    said = ask("explain", "one", code=1)
    assert (said["cause"], said["evidence"][0]["field"]) == ("collapsed", "conditions[collapse]")
    assert said["commands"][0][-2:] != [] and "packing=2" in said["fix"]
    assert ask("wait", "one", code=1)["explanation"].startswith("its game was over")
    page = tmp_path / "page.html"
    assert launcher("report", "one", "--root", root, "--out", page).returncode == 0
    assert over.replace("'", "&#39;") in page.read_text()

    refused = launcher("resume", "one", "--root", root)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "has collapsed at step 40, and would stop there again at once" in refused.stderr
    latest = launcher(
        "submit", "--preset", "mlp", "--root", root, "--name", "two", "--set", "warm_start.run=latest", *sets
    )
    assert latest.returncode == 2 and "is finished" in latest.stderr  # none is
    on = launcher("resume", "one", "--root", root, "--set", "health.on_collapse=warn")
    assert on.returncode == 0, on.stderr
    assert ask("status", "one")["state"] == "finished"
    again = launcher("resume", "one", "--root", root, "--set", "health.window_steps=0")
    assert again.returncode == 2 and "health.window_steps" in again.stderr
