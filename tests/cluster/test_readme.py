"""README.md's blocks of commands about a cluster, pasted one after another into a shell."""

import os
import sys
from pathlib import Path

import yaml

from tests.support.readme import blocks, paste


def test_every_block_can_be_pasted(own_cluster, namespace, bucket, kubectl, tmp_path):
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
