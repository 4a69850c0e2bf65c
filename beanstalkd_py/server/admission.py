"""The limits on connections: --max-connections and --max-connections-per-address.

A client over a limit is closed at once and gets no answer. The protocol has no message that comes
before a command, so a client would take it for the reply to its first command. And a close with
unread input resets the connection, which may destroy the message.

A connection of the server's own process (the HTTP side has them) counts for none of the two. An
address is a whole IPv4 or IPv6 address. Clients of a unix socket have none: they count for
--max-connections only. The number of descriptors is a limit of its own (see `acceptor`): there, new
clients wait.
"""

from beanstalkd_py.server.limit_reports import LimitReports

INSIDE = "inside"  # in place of an address: a connection of the server's own process


class Admission:
    """limit, per_address: 0 without a limit. refused: clients that were closed. A lower limit
    closes no connection that is open.
    """

    def __init__(self, reports: LimitReports) -> None:
        self.limit = 0
        self.per_address = 0
        self.refused = 0
        self._reports = reports
        self._addresses: dict[int, str] = {}  # of the open connections, by descriptor
        self._counts: dict[str, int] = {}  # of open connections, by address

    def admits(self, address: str) -> bool:
        """Whether a client from this address may stay; "" for a unix socket."""
        clients = len(self._addresses) - self._counts.get(INSIDE, 0)
        if self.limit and clients >= self.limit:
            self._refuse("--max-connections", f"{_open(self.limit)} open")
            return False
        if self.per_address and address and self._counts.get(address, 0) >= self.per_address:
            self._refuse(
                "--max-connections-per-address",
                f"{_open(self.per_address, f' from {address}')} open",
            )
            return False
        return True

    def _refuse(self, option: str, why: str) -> None:
        self.refused += 1
        self._reports.reached(option, f"a new client was closed: {why}")

    def address(self, fd: int) -> str:
        """Of an open connection; "" for a unix socket."""
        return self._addresses[fd]

    def opened(self, fd: int, address: str) -> None:
        self._addresses[fd] = address
        self._counts[address] = self._counts.get(address, 0) + 1

    def closed(self, fd: int) -> None:
        address = self._addresses.pop(fd)
        left = self._counts[address] - 1
        if left:
            self._counts[address] = left
        else:
            del self._counts[address]


def _open(count: int, where: str = "") -> str:
    return f"1 connection{where} is" if count == 1 else f"{count} connections{where} are"
