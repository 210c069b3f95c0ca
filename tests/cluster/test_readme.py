"""README.md's blocks of commands, pasted one after another into a shell: of this machine, of a cluster."""

import os
import sys
from pathlib import Path

import yaml

from tests.support.readme import blocks, paste


def test_every_block_of_this_machine_can_be_pasted(tmp_path):
    (tmp_path / ".venv").symlink_to(sys.prefix)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GANTRY_")}
    environment |= {"XDG_CONFIG_HOME": str(tmp_path / "config"), "KUBECONFIG": str(tmp_path / "none")}
    script = "\n".join(blocks(cluster=False))
    paste(script, tmp_path, environment)
    made = {"learning.gif", "both.svg", "first.html", "sweep.yaml", "grid.png", "way.png", "examples.png"}
    assert made <= {path.name for path in tmp_path.iterdir()}
    assert (tmp_path / "out/samples/150.png").exists()
    for run in ("gan/first", "gan/second", "gan/lr-1", "gan/lr-2", "digits/first"):
        assert '"state": "finished"' in (tmp_path / "runs" / run / "status.json").read_text()


def test_every_block_of_a_cluster_can_be_pasted(own_cluster, namespace, bucket, kubectl, tmp_path):
    """With what the first line asks for filled in, and this cluster's place in a settings' file."""
    settings = {
        "context": own_cluster.context,
        "namespace": namespace,
        "memory": "1400Mi",
        "cpu": "300m",
        "env": {"STORAGE_EMULATOR_HOST": own_cluster.storage_url},
    }
    (tmp_path / "gantry.yaml").write_text(yaml.safe_dump(settings))
    asked = "export IMAGE=REG/gantry:0.1.0 GANTRY_ROOT=gs://bucket/gan\n"
    script = "\n".join(blocks(cluster=True))
    assert script.startswith(asked)
    script = script.replace(asked, f"export IMAGE={own_cluster.image} GANTRY_ROOT={bucket}\n")
    environment = os.environ | {
        "KUBECONFIG": own_cluster.kubeconfig,
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}",
    }
    said = paste(script, tmp_path, environment)
    assert [*(tmp_path / "out/samples").iterdir()]
    assert kubectl("get", "cronjobs", "-o=name").stdout == ""
    assert "run 'first'" in said
