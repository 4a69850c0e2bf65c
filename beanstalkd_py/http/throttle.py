"""Failed logins are slowed down by address: after FREE of them, each further one doubles the wait.

An IPv6 address counts by its /64 network, because a host can have as many addresses as it likes. An
address that has not failed for FORGET_S is forgotten. At most ADDRESSES are kept.
"""

import ipaddress
from collections.abc import Callable

FREE = 5
LONGEST_S = 300
FORGET_S = 900
ADDRESSES = 1000
_NS = 1_000_000_000


class Throttle:
    """now: returns boot time, ns. throttled: called when an address must wait for the first time,
    with the address.
    """

    def __init__(self, now: Callable[[], int], throttled: Callable[[str], None]) -> None:
        self._now = now
        self._throttled = throttled
        self._failures: dict[str, tuple[int, int]] = {}  # how many, and when the last; oldest first

    def __len__(self) -> int:
        return len(self._failures)

    def wait_s(self, address: str) -> int:
        """How long the address must wait until it may try again."""
        count, at = self._found(_network(address))
        if count < FREE:
            return 0
        wait = min(1 << (count - FREE), LONGEST_S) * _NS
        return max(-(-(at + wait - self._now()) // _NS), 0)

    def begin(self, address: str) -> None:
        """A try begins: it counts as a failure until it succeeds. So tries at the same time count
        too.
        """
        network = _network(address)
        count, _ = self._found(network)
        self._failures.pop(network, None)
        if len(self._failures) >= ADDRESSES:
            del self._failures[next(iter(self._failures))]
        count = min(count + 1, 60)
        self._failures[network] = (count, self._now())
        if count == FREE:
            self._throttled(address)

    def succeeded(self, address: str) -> None:
        self._failures.pop(_network(address), None)

    def _found(self, network: str) -> tuple[int, int]:
        count, at = self._failures.get(network, (0, 0))
        return (0, 0) if self._now() - at >= FORGET_S * _NS else (count, at)


def _network(address: str) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""  # a unix socket
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))
