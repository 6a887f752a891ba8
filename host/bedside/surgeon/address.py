"""Network addresses as people write them."""

from __future__ import annotations

import ipaddress
import socket

from bedside.errors import SurgeonError

# Host and port; behind a relay also the number by which it knows the other end.
Address = tuple[str, int] | tuple[str, int, int]
Endpoint = tuple[str, int]


def parse_address(text: str) -> Endpoint:
    """Return ``HOST:PORT``, the host an IPv4 address or ``localhost``. Raises SurgeonError."""
    host, port = split(text)
    try:
        return str(ipaddress.IPv4Address("127.0.0.1" if host == "localhost" else host)), port
    except ValueError:
        raise SurgeonError(f"address '{text}': expected HOST:PORT, such as 127.0.0.1:36010") from None


def parse_loopback(text: str) -> Endpoint:
    """Return ``HOST:PORT`` on this computer. Raises SurgeonError for any other: what goes there is not encrypted."""
    address = parse_address(text)
    if not ipaddress.IPv4Address(address[0]).is_loopback:
        raise SurgeonError(f"address '{text}': only 127.0.0.1 is allowed, because what goes there is not encrypted")
    return address


def resolve(text: str) -> Endpoint:
    """Return the IPv4 address of ``HOST:PORT``, whose host may be a name. Raises SurgeonError."""
    host, port = split(text)
    try:
        found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no such name"
        raise SurgeonError(f"address '{text}': {why}; check the name and the network") from None
    return str(found[0][4][0]), port


def split(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``, whatever the host is. Raises SurgeonError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise SurgeonError(f"address '{text}': expected HOST:PORT, such as 127.0.0.1:36010, the port 0 to 65535")
    return host, int(port)
