"""Certificates that vouch for themselves."""

from pathlib import Path

from tests.cluster.harness.processes import run


def self_signed(name: str, key: Path, certificate: Path, *addresses: str) -> None:
    """Make a key and a certificate that is its own authority, for servers at some IP addresses."""
    more = [f"-addext=subjectAltName={','.join(f'IP:{each}' for each in addresses)}"] if addresses else []
    new = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}")
    run(*new, *more, "-keyout", key, "-out", certificate)
