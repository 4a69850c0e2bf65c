"""The limits of a server: set at the start and at each reload, and shown."""

from beanstalkd_py.config.options import Options
from beanstalkd_py.queue.snapshot import LimitsSnapshot
from beanstalkd_py.server.server import Server


def set_limits(server: Server, options: Options) -> None:
    admission = server.admission
    admission.limit = options.max_connections
    admission.per_address = options.max_connections_per_address


def limits_snapshot(server: Server) -> LimitsSnapshot:
    admission = server.admission
    return LimitsSnapshot(
        max_connections=admission.limit,
        max_connections_per_address=admission.per_address,
        refused_connections=admission.refused,
    )
