"""``launcher cron`` without a cluster: bad input in one line, dry runs, times, and a bucket's memory."""

import json
from datetime import datetime
from itertools import pairwise

import pytest
import yaml

from launcher.cli import main
from trainer.run import index
from trainer.run.index import Entry, Source
from trainer.storage import LocalStore

FLAGS = ("--preset", "mlp", "--root", "gs://bucket/gan", "--image", "registry/gantry:0.1.0", "-n", "gan")
MONDAYS = ("--schedule", "0 3 * * 1")


@pytest.fixture
def command(desk, capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            main(["cron", *arguments])
        out, err = capsys.readouterr()
        return left.value.code, out, err

    return call


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("a", "--schedule", "0 3 * *"), "schedule is '0 3 * *': expected five fields"),
        (("a", "--schedule", "0 0 30 2 *"), "schedule is '0 0 30 2 *': expected a line that fires some day"),
        (("a", *MONDAYS, "--time-zone", "Europe/Berlim"), "did you mean 'Europe/Berlin'"),
        (("a" * 42, *MONDAYS), "has 42 characters: expected at most 41 for a schedule"),
        (("a" * 41, *MONDAYS, "--workers", "16"), "expected at most 40 for a schedule"),
        (("1a", *MONDAYS), "name is '1a': expected a letter at its beginning"),
        (("A_b", *MONDAYS), "A_b"),
        (("a", *MONDAYS, "--starting-deadline", "5"), "starting_deadline is '5': expected at least 10"),
        (("a", *MONDAYS, "--concurrency-policy", "Never"), "--concurrency-policy"),
        (("a", *MONDAYS, "--failed-history", "-1"), "--failed-history"),
        (("a", *MONDAYS, "--backend", "local"), "a schedule is the cluster's"),
        (("a", *MONDAYS, "--env", "GANTRY_RECORD=1"), "GANTRY_RECORD"),
        (("a", *MONDAYS, "--set", "stepz=1"), "stepz"),
        (("a",), "--schedule"),
        ((*MONDAYS,), "NAME"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_sent(command, words, told):
    code, out, err = command("create", *words, *FLAGS, "--dry-run", "client")
    assert (code, out) == (2, "")
    assert (err.startswith("error: "), err.count("\n")) == (True, 1), err
    assert told in err


def test_the_longest_name_leaves_room_for_every_host_name(command):
    code, out, err = command("create", "a" * 41, *MONDAYS, *FLAGS, "--workers", "2", "--dry-run", "client")
    assert (code, err) == (0, "")
    cron = next(yaml.safe_load_all(out))
    assert len(f"{'a' * 41}-20260102-030405-r99-1") == 63
    assert cron["metadata"]["name"] == "a" * 41


def test_a_dry_run_shows_what_would_be_sent_with_safe_defaults(command):
    code, out, err = command("create", "nightly", *MONDAYS, *FLAGS, "--dry-run", "client", "-o", "json")
    assert (code, err) == (0, "")
    cron, service = json.loads(out)["items"]
    assert (service["kind"], service["metadata"]["name"]) == ("Service", "nightly")
    said = {key: value for key, value in cron["spec"].items() if key != "jobTemplate"}
    assert said == {
        "schedule": "0 3 * * 1",
        "timeZone": "Etc/UTC",
        "suspend": False,
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": 3600,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 3,
    }
    job = cron["spec"]["jobTemplate"]["spec"]
    assert (job["activeDeadlineSeconds"], job["ttlSecondsAfterFinished"]) == (86400, 604800)
    _, out, _ = command(
        "create", "nightly", *MONDAYS, *FLAGS, "--deadline", "60", "--dry-run", "client", "-o", "json"
    )
    assert json.loads(out)["items"][0]["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 60


def test_a_file_has_the_settings_of_the_firings(command, desk):
    (desk / "run.yaml").write_text(
        "preset: mlp\nname: other\nimage: reg/gantry:1\nroot: gs://bucket/gan\nworkers: 2\nset: {steps: 9}\n"
    )
    code, out, _ = command(
        "create", "nightly", *MONDAYS, "-f", "run.yaml", "--dry-run", "client", "-o", "json"
    )
    assert code == 0
    cron = json.loads(out)["items"][0]
    assert cron["metadata"]["name"] == "nightly"
    assert cron["spec"]["jobTemplate"]["spec"]["completions"] == 2


def test_next_prints_both_zones(command, monkeypatch):
    line = ("--schedule", "30 2 * * *", "--time-zone", "Europe/Paris")
    code, out, err = command("next", *line, "-o", "json", "--count", "400")
    assert (code, err) == (0, "")
    times = [datetime.fromisoformat(each["schedule"]) for each in json.loads(out)]
    assert len(times) == 400
    assert len({time.utcoffset() for time in times}) == 2  # summer and winter
    assert all(a.timestamp() < b.timestamp() for a, b in pairwise(times))
    assert [time.timestamp() for time in times] == [
        datetime.fromisoformat(each["here"]).timestamp() for each in json.loads(out)
    ]
    code, out, _ = command("next", *line)
    assert (code, len(out.splitlines())) == (0, 6)
    assert out.startswith("in Europe/Paris")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("next",), "expected the NAME of a schedule, or --schedule"),
        (("next", "a", "--schedule", "@daily"), "expected the NAME of a schedule, or --schedule"),
        (("next", "--schedule", "@dayly"), "@dayly"),
        (("trigger", "a", "--timeout", "5m"), "expected --wait too"),
        (("suspend", "A/b"), "name is 'A/b'"),
        (("show", "a"), "no cluster reachable"),
        (("delete", "../pods"), "name is '../pods'"),
    ],
)
def test_a_mistake_about_a_schedule_is_one_line(command, words, told):
    code, out, err = command(*words)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert told in err


def test_the_bucket_remembers_a_schedule_that_the_cluster_does_not(command, tmp_path):
    store = LocalStore(tmp_path / "runs/gan")
    about = {"preset": "mlp", "steps": 9, "step": 9, "backend": "kubernetes"}
    for name, schedule, due in (
        ("nightly-20261124-0300", "nightly", 24),
        ("nightly-20261125-0300", "nightly", 25),
    ):
        index.update(
            store,
            Entry(
                run=name,
                created=f"2026-11-{due}T03:00:20+00:00",
                ended=f"2026-11-{due}T03:10:20+00:00",
                state="finished",
                metrics={"d_loss": 0.25, "g_loss": 1.5},
                schedule=schedule,
                scheduled=f"2026-11-{due}T03:00:00+00:00",
                warm_start=Source(run="nightly-20261124-0300", step=9) if due == 25 else None,
                **about,
            ),
        )
    index.update(store, Entry(run="weekly-20261125-0300", schedule="weekly", **about))
    index.update(store, Entry(run="nightly", **about))
    root = ("--root", str(tmp_path / "runs"))
    code, out, _ = command("history", "nightly", *root, "-o", "json")
    assert code == 0
    new, old = json.loads(out)
    assert (new["run"], new["scheduled"]) == ("nightly-20261125-0300", "2026-11-25T03:00:00+00:00")
    assert (new["duration_seconds"], new["metrics"]["g_loss"], new["state"]) == (600, 1.5, "finished")
    assert (new["warm_start"], old["warm_start"]) == ({"run": "nightly-20261124-0300", "step": 9}, None)
    code, out, _ = command("history", "nightly", *root, "--limit", "1")
    assert (code, len(out.splitlines())) == (0, 2)
    assert "nightly-20261124-0300@9" in out
    code, out, err = command("history", "absent", *root)
    assert (code, out, err.count("\n")) == (2, "", 1)  # no cluster to ask, and no run either
