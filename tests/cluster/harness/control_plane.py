"""etcd, API server, controller manager, scheduler; and for pods CoreDNS and a Cloud Storage server."""

import subprocess
from pathlib import Path

import yaml

from tests.cluster.harness.certificates import self_signed
from tests.cluster.harness.processes import IN_NETWORK, Service, run, wait_until
from tests.cluster.harness.settings import NODE_ADDRESS, SERVICE_SUBNET, STATE, STORAGE_URL
from tests.cluster.harness.users import CERTIFICATE, TOKENS, kubeconfig

AUDIT_LOG = STATE / "audit.jsonl"
ETCD_URL = "http://127.0.0.1:2379"

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "RequestResponse",
            "verbs": ["create", "update", "patch", "delete", "deletecollection"],
            "resources": [
                {"group": "", "resources": ["services", "configmaps", "serviceaccounts"]},
                {"group": "batch"},
                {"group": "networking.k8s.io"},
                {"group": "policy"},
            ],
        },
        {"level": "None"},
    ],
}

COREFILE = f"""
.:53 {{
  bind {NODE_ADDRESS}
  errors
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {kubeconfig("admin")}
    ttl 1
  }}
}}
"""


def start_etcd(binaries: Path) -> Service:
    """Start it with no promise to keep anything over a power cut."""
    options = (f"--data-dir={STATE}/etcd", "--unsafe-no-fsync", "--log-level=warn")
    clients = (f"--listen-client-urls={ETCD_URL}", f"--advertise-client-urls={ETCD_URL}")
    peers = ("--listen-peer-urls=http://127.0.0.1:2380",)
    return Service("etcd", (str(binaries / "etcd"), *options, *clients, *peers)).start()


def start_api_server(binaries: Path) -> Service:
    """Start it and return when it is ready, after some 4 s."""
    policy, key = STATE / "audit-policy.yaml", STATE / "service-accounts.key"
    policy.write_text(yaml.safe_dump(AUDIT_POLICY))
    run("openssl", "genrsa", "-out", key, "2048")
    argv = (
        str(binaries / "kube-apiserver"),
        f"--etcd-servers={ETCD_URL}",
        f"--bind-address={NODE_ADDRESS}",
        f"--advertise-address={NODE_ADDRESS}",
        "--endpoint-reconciler-type=none",
        f"--service-cluster-ip-range={SERVICE_SUBNET}",
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",  # or it refuses by itself what Pod Security is to refuse
        f"--token-auth-file={TOKENS}",
        f"--cert-dir={CERTIFICATE.parent}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        f"--audit-policy-file={policy}",
        f"--audit-log-path={AUDIT_LOG}",
        *_front_proxy(),
    )
    service = Service("api-server", argv).start()
    wait_until("API server", lambda: api_server_ready(binaries), 60, service)
    return service


def _front_proxy() -> list[str]:
    """Options by which API servers behind this one learn from it who asks, such as Kueue's."""
    key, certificate = STATE / "front-proxy.key", STATE / "front-proxy.crt"
    self_signed("front-proxy", key, certificate)
    return [
        f"--requestheader-client-ca-file={certificate}",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={certificate}",
        f"--proxy-client-key-file={key}",
    ]


def api_server_ready(binaries: Path) -> bool:
    """Whether it says so itself."""
    if not CERTIFICATE.exists():
        return False
    command = (str(binaries / "kubectl"), f"--kubeconfig={kubeconfig('admin')}", "get", "--raw=/readyz")
    return subprocess.run([*IN_NETWORK, *command], capture_output=True, check=False).returncode == 0


def start_controllers(binaries: Path) -> list[Service]:
    """Start controller manager and scheduler; their default rates throttle 100 pods to half a minute."""
    common = ("--leader-elect=false", "--kube-api-qps=200", "--kube-api-burst=400")
    manager = (
        "--use-service-account-credentials=true",
        f"--root-ca-file={CERTIFICATE}",
        f"--service-account-private-key-file={STATE}/service-accounts.key",
    )
    started = []
    for name, options in (("controller-manager", manager), ("scheduler", ())):
        argv = (str(binaries / f"kube-{name}"), f"--kubeconfig={kubeconfig(name)}", *common, *options)
        started.append(Service(name, argv).start())
    return started


def start_coredns(binaries: Path) -> Service:
    """Start it on the node's address; it keeps an answer for 1 s, so that a pod's new name is soon found."""
    corefile = STATE / "Corefile"
    corefile.write_text(COREFILE)
    return Service("coredns", (str(binaries / "coredns"), "-conf", str(corefile))).start()


def start_storage(binaries: Path) -> Service:
    """Start fake-gcs-server, its objects in memory, and return when it answers."""
    host, port = STORAGE_URL.removeprefix("http://").split(":")
    where = ("-scheme", "http", "-host", host, "-port", port)
    names = (
        "-external-url",
        STORAGE_URL,
        "-public-host",
        f"{host}:{port}",
    )  # in its links, such as an upload's
    command = (str(binaries / "fake-gcs-server"), "-backend", "memory", "-log-level", "error")
    service = Service("storage", (*command, *where, *names)).start()
    wait_until("Cloud Storage server", _storage_answers, 20, service)
    return service


def _storage_answers() -> bool:
    program = f"import urllib.request; urllib.request.urlopen({STORAGE_URL + '/storage/v1/b'!r}, timeout=2)"
    argv = [*IN_NETWORK, "python3", "-c", program]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0
