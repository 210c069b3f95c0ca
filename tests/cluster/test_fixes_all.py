"""The command of every cause that keeps workers from starting, run as it stands by `make test-fixes`."""

import json

import pytest

from tests.cluster.explain_stage import command_line
from tests.cluster.fixing import Fixing
from tests.cluster.test_explain_before import CASES, explained, stage

__all__ = ["explained", "stage"]
pytestmark = pytest.mark.fixes


@pytest.mark.parametrize("name", CASES)
def test_as_it_stands(stage, explained, cluster, tmp_path, name):
    cause = CASES[name][0]
    fixing = Fixing(cluster, stage.where, tmp_path)
    before = runs(stage)
    commands = fixing(name, cause)
    if not all(word[0] in ("launcher", "kubectl") for word in commands):
        pytest.skip("another program's")
    known = blanks(stage, tmp_path)
    try:
        fixing.run(commands, **known)
        fixing.tell(commands, there(stage, name, commands, before))
    finally:
        stage.kubectl("label", "node", known["NODE"], "disk-")  # which a fix has set
    for left in {name, *runs(stage) - before}:  # what is mended trains
        command_line("cancel", left, "--now", *stage.where)


def blanks(stage, folder):
    """What a person would fill in, where it is not the same everywhere."""
    (own,) = stage.kubectl.get("nodes", "-l", "!gantry.test/node")["items"]
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "absent"}}
    size = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    (folder / "claim.yaml").write_text(json.dumps({**claim, "spec": size}))
    known = {"NODE": own["metadata"]["name"], "SIZE": "128Mi", "USER": "me", "PASSWORD": "mine"}
    return {**known, "CLAIM.yaml": str(folder / "claim.yaml")}


def runs(stage):
    done = command_line("list", *stage.where, "-o", "json")
    return {each["run"] for each in json.loads(done.stdout)}


def there(stage, name, commands, before):
    """What the last of the launcher's commands promised, looked for."""
    said = ["it left with 0"]
    verbs = [command[1] for command in commands if command[0] == "launcher"]
    if "rerun" in verbs:
        (new,) = runs(stage) - before
        assert stage.kubectl.get("job", new)["spec"]["suspend"] is False
        old = stage.kubectl.get("job", name)
        assert old["spec"]["suspend"] is True or "--replace" not in commands[-1]
        said.append("the new run's Job is there, the old one is suspended")
    if "resume" in verbs and "cron" not in verbs:
        assert stage.kubectl.get("job", f"{name}-r2")["spec"]["suspend"] is False
        said.append("the next attempt's Job is there")
    return "; ".join(said)
