"""Where a socket is, as people write it: HOST:PORT, with a number for a host, so that no name server is asked."""

from __future__ import annotations

import ipaddress

from bedside.errors import SurgeonError

Address = tuple[str, int]


def parse(text: str) -> Address:
    """Return ``HOST:PORT`` as an IPv4 address and a port. Raises SurgeonError."""
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.IPv4Address("127.0.0.1" if host == "localhost" else host)
        number = int(port)
    except ValueError:
        raise SurgeonError(f"address '{text}': expected HOST:PORT in numbers, such as 127.0.0.1:36010") from None
    if not 0 <= number <= 65535:
        raise SurgeonError(f"address '{text}': the port must be 0 to 65535")
    return str(address), number


def parse_loopback(text: str) -> Address:
    """Return ``HOST:PORT`` if it is on this computer's loopback interface. Raises SurgeonError."""
    address = parse(text)
    if not ipaddress.IPv4Address(address[0]).is_loopback:
        raise SurgeonError(f"address '{text}': only addresses of this computer, such as 127.0.0.1, are allowed here")
    return address
