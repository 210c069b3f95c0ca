"""Training again by a schedule: on the data as it is then, and from the weights of the time before."""

import json

import pytest

from tests.cluster.schedules import NEVER
from trainer.data.shard_writer import prepare
from trainer.storage import open_store


@pytest.fixture
def arrive(bucket):
    """A day's data; every day has the same digits, as only its name tells days apart."""

    def write(day):
        prepare("digits", f"tfrecord:{bucket}/digits/{day}")

    return write


def test_each_firing_takes_the_newest_data_and_the_newest_weights(cron, arrive, bucket):
    def fire():
        run = cron("trigger", "again", "--wait", "--timeout", "5m").stdout.split()[0]
        return run, json.loads(open_store(f"{bucket}/gan/{run}").read("run.json"))

    arrive("2026-11-23")
    refused = cron.create("again", NEVER, "--warm-start", "latest", check=False)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "warm_start.required=false" in refused.stderr
    data = ["--data", f"{bucket}/digits/latest/"]
    warm = ["--warm-start", "latest", "--set", "warm_start.required=false"]
    cron.create("again", NEVER, "--workers", "1", *data, *warm)

    first, begun = fire()
    assert begun["data"]["source"] == f"tfrecord:{bucket}/digits/2026-11-23/"
    assert begun["warm_start"] is None
    arrive("2026-11-24")
    cron("update", "again", "--set", "warm_start.optimizer=kept", "--yes")
    second, begun = fire()
    assert begun["data"]["source"] == f"tfrecord:{bucket}/digits/2026-11-24/"
    started = begun["warm_start"]
    assert (started["run"], started["step"], started["optimizer"]) == (first, 4, "kept")

    told = {each["run"]: each["warm_start"] for each in cron.data("history", "again")}
    assert list(told) == [second, first]
    assert told[first] is None
    assert (told[second]["run"], told[second]["step"]) == (first, 4)
    assert f"{first}@4" in cron("history", "again").stdout
