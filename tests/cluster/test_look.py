"""A run on a real cluster watched in a terminal from its first pod to its end, and looked at afterwards."""

import json
import os

from tests.cluster.flags import on
from tests.launcher.terminal import Terminal
from tests.support.flags import set_flags
from tests.support.teams import PLAIN

SETS = set_flags(PLAIN)


def test_a_run_is_watched_to_its_end_and_shown(launcher, namespace, bucket, cluster, tmp_path):
    flags = on(cluster, namespace, bucket)
    launcher("submit", "--preset", "mlp", "--name", "look", *SETS, *flags, check=True)
    env = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "KUBECONFIG": cluster.kubeconfig or ""}
    env = {name: value for name, value in {**os.environ, **env}.items() if value}
    terminal = Terminal("-m", "launcher", "watch", "look", "--root", bucket, columns=140, env=env)
    try:
        terminal.wait_for("\x1b[?1049h", "gan/look", "workers alive", "look-0-")  # its pod, by name
        assert terminal.leave() == 0
        page = terminal.text.rpartition("\x1b[?1049l")[2]
        for words in ("finished", "60/60", "D loss", "samples of step 60", "log of worker-0"):
            assert words in page
        assert terminal.settings == terminal.settings_before
    finally:
        terminal.close()

    shown = json.loads(launcher("show", "look", "--root", bucket, "-o", "json", check=True).stdout)
    assert shown["submitted"]["job"] == "look"
    assert shown["submitted"]["namespace"] == namespace
    assert shown["submitted"]["settings"]["image"] == cluster.image
    assert shown["status"]["state"] == "finished"
    assert shown["metrics"]["last_step"] == 60
    assert shown["damaged"] == []
    fetched = launcher("samples", "look", "--root", bucket, "--to", "here", "--gif", "all.gif", check=True)
    assert "here/look-60.png" in fetched.stdout
    assert (tmp_path / "here/look-60.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "all.gif").read_bytes().startswith(b"GIF89a")
    same = launcher("compare", "look", f"{bucket}/gan/look", "--root", bucket)
    assert same.returncode == 2
    assert "given 2 times" in same.stderr
