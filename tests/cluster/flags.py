"""The words of a submit that a cluster under test needs."""

from tests.cluster.harness.access import Cluster


def on(cluster: Cluster, namespace: str, bucket: str) -> list[str]:
    """Flags that send a run to a namespace of the cluster and its files to a bucket that pods reach."""
    flags = ["--context", cluster.context, "-n", namespace, "--root", bucket, "--image", cluster.image]
    flags += ["--cpu", "100m"]  # a node of two cores then has room for the workers of several tests at once
    if cluster.storage_url:
        flags += ["--env", f"STORAGE_EMULATOR_HOST={cluster.storage_url}"]
    return flags
