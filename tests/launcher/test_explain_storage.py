"""Buckets and disks that refuse, are not there or are full."""

import dataclasses
import errno
import os
import resource
import subprocess
import sys
import time

import pytest

from tests.launcher.explaining import (
    MISTAKE,
    TOO_MANY,
    answer,
    facts,
    failed,
    local,
    with_env,
)
from tests.launcher.kubernetes_objects import job, pod, said
from tests.support.refusing import Metadata, Refusing
from trainer import errors
from trainer.data.registry import open_source
from trainer.errors import AccessError, StorageAway, StorageError
from trainer.storage import open_store
from trainer.storage.limits import told
from trainer.storage.retrying import Outage


@pytest.mark.parametrize("status", [403, 404])
def test_a_bucket_that_refuses_or_is_not_there(status, monkeypatch):
    with Refusing(status) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        with pytest.raises(AccessError) as failure:
            open_store("gs://runs/gan/gan/one").check()
    pods = [failed(0, 2, f"error: {failure.value}")]
    cause, sentence, fix, objects = answer(facts(job(1, MISTAKE), pods))
    if status == 404:
        assert (cause, sentence) == (
            "bucket-missing",
            "bucket 'runs' of the root gs://runs/gan does not exist",
        )
        assert fix.startswith("gcloud storage buckets create gs://runs && launcher resume gan/one")
        return
    assert cause == "storage-denied"
    which = "bucket 'runs' of the root gs://runs/gan"
    assert sentence == f"{which} refuses worker 0 to list: its account needs storage.objects.list"
    assert "--member=principal://" in fix and "/subject/ns/team/sa/default" in fix
    bound = answer(facts(job(1, MISTAKE), pods, others=account()))
    assert "--member=serviceAccount:t@p.iam.gserviceaccount.com" in bound[2]
    assert objects == ["Pod/one-0-abcde"]  # nobody looked at the account
    assert "ServiceAccount/default" in bound[3]


@pytest.mark.parametrize("status", [403, 404])
def test_the_bucket_of_the_data_is_not_the_root_s(status, monkeypatch):
    source = "tfrecord:gs://faces/2026/*.tfrecord"
    with Refusing(status) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        with pytest.raises(AccessError) as failure:
            open_source(source, (28, 28, 1))
    one = with_env(failed(0, 2, f"error: {failure.value}"), STORAGE_EMULATOR_HOST="http://gcs")
    here = facts(job(1, MISTAKE), [one], overrides=[f"data.source={source}"])
    cause, sentence, fix, _ = answer(here)
    if status == 404:
        assert cause == "bucket-missing"
        assert sentence == f"bucket 'faces' of data.source '{source}' does not exist"
        assert "--set data.source=VALUE" in fix and source not in fix and "buckets create" not in fix
        return
    assert cause == "storage-denied"
    assert sentence.startswith(f"bucket 'faces' of data.source '{source}' refuses worker 0 to list")
    assert "gs://faces --role=roles/storage.objectViewer" in fix


def account(google="t@p.iam.gserviceaccount.com"):
    """The service account of the pods, bound to a Google one."""
    metadata = {"name": "default", "annotations": {"iam.gke.io/gcp-service-account": google}}
    return {"ServiceAccount/default": {"metadata": metadata}}


ASK = "from trainer.storage import open_store; open_store('gs://runs/gan/one').check()"


def asked(folder, **environment):
    """What Google's own library says of this environment, which it reads when it is imported."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    kept |= {"CLOUDSDK_CONFIG": str(folder), "HOME": str(folder), **environment}
    done = subprocess.run([sys.executable, "-c", ASK], env=kept, capture_output=True, text=True, check=False)
    return done.stderr.splitlines()[-1].removeprefix("trainer.errors.AccessError: ")


def refused(folder):
    """A metadata server that hands out no token."""
    with Metadata() as server:
        return asked(folder, GCE_METADATA_HOST=server.address, GCE_METADATA_IP=server.address)


def without(folder):
    """No credentials, and no metadata server."""
    return asked(folder, NO_GCE_CHECK="true")


@pytest.mark.parametrize(
    ("trouble", "words"),
    [(refused, "iam.serviceAccounts.getAccessToken"), (without, "no Google credentials")],
)
def test_a_service_account_without_identity(trouble, words, tmp_path):
    text = f"error: {trouble(tmp_path)}"
    assert words in text
    pods = [failed(0, 2, text)]
    cause, sentence, fix, _ = answer(facts(job(1, MISTAKE), pods))
    assert cause == "no-identity"
    assert "service account 'default' of worker 0's pod has no Google identity" in sentence
    assert fix == (
        "launcher rerun gan/one --google-service-account NAME@PROJECT.iam.gserviceaccount.com --root gs://runs/gan"
    )
    cause, sentence, fix, _ = answer(facts(job(1, MISTAKE), pods, others=account()))
    assert (cause, "may not act as 't@p.iam" in sentence) == ("no-identity", True)
    assert "'--member=serviceAccount:p.svc.id.goog[team/default]'" in fix
    mine = local("failed", [2], {0: [text]})
    assert answer(mine)[2] == "gcloud auth application-default login && launcher resume gan/one"


def test_storage_that_is_away():
    outage = Outage(0.0, lambda text: None)
    with pytest.raises(StorageAway) as failure:
        outage.failed(StorageError("gs://runs/gan/one: 503 Backend Error"), time.monotonic() - 700)
    pods = [
        failed(0, 42, f"error: {failure.value}"),
        failed(1, 42, "error: worker 0, the chief, is gone or does not answer"),
    ]
    cause, sentence, _, _ = answer(facts(job(2, TOO_MANY), pods))
    assert cause == "storage-away"
    assert "700 s" in sentence and "storage_patience_seconds=600" in sentence and "503" in sentence
    now = facts(job(2), [pod(0), pod(1)], said=said("running", storage=outage.line))
    assert answer(now)[0] == "storage-away"
    assert "training goes on" in answer(now)[1]


def test_storage_that_a_pod_alone_does_not_reach_and_which_knows_of_nothing_since():
    lines = []
    outage = Outage(60.0, lines.append)
    outage.failed(StorageError("gs://runs/gan/one: 503 Backend Error"), time.monotonic())
    before = said("running", step=7)
    cause, sentence, fix, _ = answer(facts(job(1), [pod(0)], said=before, logs={0: lines}, seconds=300))
    assert (cause, "worker 0 gets no answer from storage" in sentence) == ("storage-away", True)
    assert "503 Backend Error" in sentence and fix.startswith("launcher logs gan/one --follow")
    outage.answered()
    assert answer(facts(job(1), [pod(0)], said=before, logs={0: lines}, seconds=300))[0] == "stalled"


def test_a_full_disk_of_this_machine():
    text = "error: runs/gan/one/checkpoints/20/state.index: no space left on device"
    cause, sentence, fix, _ = answer(local("failed", [1], {0: [text]}))
    assert cause == "disk-full"
    assert "worker 0" in sentence
    assert fix == "df -h runs && launcher resume gan/one  # when there is room again"


@pytest.mark.parametrize(
    ("disk", "cause", "fix"),
    [
        (errors.DiskFull, "disk-full", "df -h runs && launcher resume gan/one"),
        (errors.DiskReadOnly, "disk-read-only", "findmnt --target runs && launcher resume gan/one"),
    ],
)
def test_a_disk_that_took_no_last_word_tells_it_itself(disk, cause, fix):
    now = dataclasses.replace(local("interrupted", [None], {}), disk=disk("runs: as the system has it"))
    found = answer(now)
    assert found[0] == cause and found[2].startswith(fix)


def test_a_read_only_disk_and_too_many_files_have_causes_of_their_own():
    def of(number):
        error = told(OSError(number, os.strerror(number)), "runs/gan/one/checkpoints/20/state.index")
        return answer(local("failed", [1], {0: [f"error: {error}"]}))

    cause, sentence, fix, _ = of(errno.EROFS)
    assert cause == "disk-read-only" and sentence.startswith("runs/gan/one/checkpoints/20/state.index cannot")
    assert fix.startswith("findmnt --target runs && launcher resume gan/one")
    cause, sentence, fix, _ = of(errno.EMFILE)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert (cause, sentence) == (
        "too-many-files",
        f"worker 0 ran out of open files: it may have {limit} open",
    )
    assert fix.startswith("ulimit -n 4096 && launcher resume gan/one")
    assert of(errno.ENFILE)[0] == "too-many-files" and of(errno.ENFILE)[2].startswith("sysctl fs.file-nr")
    assert of(errno.EDQUOT)[0] == of(errno.ENOSPC)[0] == "disk-full"
