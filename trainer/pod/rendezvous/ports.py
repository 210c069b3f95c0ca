"""A port for a trainer, and how its address is written."""

import random
import socket
from contextlib import suppress

from trainer.errors import PeerLost

_PORTS = range(20_000, 32_000)  # below those that Linux gives to outgoing connections (32768 to 60999)


def free_port() -> int:
    """A port that nobody listens on, and that no outgoing connection will be given before it is used."""
    for port in random.sample(_PORTS, 100):
        with suppress(OSError), socket.create_server(("", port)):
            return port
    raise PeerLost(f"no port between {_PORTS.start} and {_PORTS.stop} is free")


def address(host: str, port: int) -> str:
    """``host:port`` as TF_CONFIG has it."""
    host = host.removeprefix("::ffff:")  # an IPv4 address as a socket for both kinds shows it
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
