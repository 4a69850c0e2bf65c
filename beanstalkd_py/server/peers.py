"""What the server knows of a client's connection, for `list-connections` and `stats-conn`."""

from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.snapshot import PeerSnapshot
from beanstalkd_py.server.connection import Connection


def peer_snapshot(session: object, now: int) -> PeerSnapshot:
    """now: boot time, ns."""
    connection = session.owner if isinstance(session, Session) else None
    if not isinstance(connection, Connection):  # it is being closed
        return PeerSnapshot()
    address, user = connection.transport.peer()
    age = now - connection.transport.opened_at
    return PeerSnapshot(address, user, age, connection.queued)
