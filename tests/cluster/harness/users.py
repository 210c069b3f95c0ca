"""Who may talk to the API server: a token and a kubeconfig for each.

`limited` and `nobody` may do nothing but what a test grants to them by a RoleBinding.
"""

from pathlib import Path

import yaml

from tests.cluster.harness.settings import API_URL, CONTEXT, NODE, STATE

USERS = {
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
    "limited": ("limited", ""),
    "nobody": ("nobody", ""),
}
"""Our name: the user's name for the API server, and its group."""

TOKENS = STATE / "tokens.csv"
CERTIFICATE = STATE / "api-server" / "apiserver.crt"


def kubeconfig(user: str) -> Path:
    """Where the kubeconfig of one of USERS lies."""
    return STATE / "kubeconfigs" / f"{user}.yaml"


def write_users() -> None:
    """Write tokens and kubeconfigs; the certificate they name is made by the API server's first start."""
    TOKENS.parent.mkdir(parents=True, exist_ok=True)
    TOKENS.write_text("".join(f'{us}-token,{name},{us},"{group}"\n' for us, (name, group) in USERS.items()))
    for user in USERS:
        path = kubeconfig(user)
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(_kubeconfig(user)))
        path.chmod(0o600)


def _kubeconfig(user: str) -> dict[str, object]:
    cluster = {"server": API_URL, "certificate-authority": str(CERTIFICATE)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": cluster}],
        "users": [{"name": user, "user": {"token": f"{user}-token"}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user}}],
        "current-context": CONTEXT,
    }
