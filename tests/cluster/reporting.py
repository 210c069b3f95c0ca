"""What a person would look at first when a test on the cluster failed."""

from tests.cluster.kubectl import Kubectl


def describe(kubectl: Kubectl) -> str:
    """Jobs, pods, the ends of their logs and the namespace's events, as far as the API server answers."""
    questions: list[tuple[str, ...]] = [
        ("get", "jobs,pods,services", "-o=wide"),
        ("get", "events", "--sort-by=.lastTimestamp"),
    ]
    pods = kubectl("get", "pods", "-o=name", check=False).stdout.split()
    for pod in pods[:8]:
        questions += [("describe", pod), ("logs", pod, "--all-containers", "--tail=40")]
    parts = []
    for question in questions:
        done = kubectl(*question, check=False)
        parts.append(f"$ kubectl {' '.join(question)}\n{done.stdout}{done.stderr}")
    return "\n".join(parts)
