"""A one-node Kubernetes of its own, made of the real parts, without a container engine and without a way out.

Everything that runs (etcd, API server, controllers, kubelet, containerd, CoreDNS, a Cloud Storage server,
the pods and the tests) lives in one network namespace: no address clashes with the machine's, and no packet
leaves it.
"""
