"""A schedule that an earlier revision made, under the launcher and the image of now."""

import json
from pathlib import Path

import pytest
import yaml

from trainer.config import resolve
from trainer.storage import open_store

REVISIONS = Path(__file__).parents[1] / "revisions"


@pytest.mark.parametrize("revision", [path.name for path in REVISIONS.iterdir() if path.is_dir()])
def test_a_schedule_of_before_is_listed_fires_and_is_updated(
    revision, cron, launcher, kubectl, own_cluster, namespace, bucket
):
    text = (REVISIONS / revision / "cronjob.yaml").read_text()
    here = {"registry/gantry:0.1.0": own_cluster.image, "gs://bucket": bucket}
    here |= {"namespace: team": f"namespace: {namespace}", '"namespace":"team"': f'"namespace":"{namespace}"'}
    for old, new in here.items():
        assert old in text
        text = text.replace(old, new)
    objects = list(yaml.safe_load_all(text))
    container = objects[0]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    container["env"].append({"name": "STORAGE_EMULATOR_HOST", "value": own_cluster.storage_url})
    kubectl.apply(*objects)
    assert [each["name"] for each in cron.data("list")] == ["nightly"]

    def fires():
        run = cron("trigger", "nightly").stdout.strip()
        done = launcher("wait", run, *cron.where, "--root", bucket, "--timeout", "5m")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(open_store(f"{bucket}/gan/{run}").read("run.json"))["config"]

    before = fires()
    assert before["steps"] == 20
    told = cron("diff", "nightly", check=False)
    assert (told.returncode, "GANTRY_CONFIG" in told.stdout) == (1, True)
    cron("update", "nightly", "--env", f"STORAGE_EMULATOR_HOST={own_cluster.storage_url}", "--yes")
    assert cron("diff", "nightly", check=False).returncode == 0
    (job,) = kubectl.get("cronjobs")["items"]
    container = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    sent = json.loads({each["name"]: each.get("value") for each in container["env"]}["GANTRY_CONFIG"])
    assert resolve("mlp", sent["overrides"]).model_dump(mode="json") == sent["config"] == before
    assert fires() == before
    assert sorted(each["state"] for each in cron.data("history", "nightly")) == ["finished"] * 2
