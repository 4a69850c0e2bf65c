"""Loopback addresses, and loopback names in a Host header. `access` says why they are checked."""

import ipaddress
import re

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::[0-9]{0,5})?", re.ASCII | re.IGNORECASE)


def is_loopback_name(host: str) -> bool:
    """host: the value of a Host header: a name or an address, and perhaps a port."""
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = (match[1] or match[2]).lower()
    return name == "localhost" or is_loopback_address(name)


def is_loopback_address(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
