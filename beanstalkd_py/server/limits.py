"""The limits of a server: set at the start and at each reload, and shown."""

from beanstalkd_py.config.options import Options
from beanstalkd_py.host.clock import clock_offset_ns
from beanstalkd_py.host.memory import automatic_limit
from beanstalkd_py.protocol.dispatch import OUTPUT_LIMIT
from beanstalkd_py.queue.memory import NO_LIMIT
from beanstalkd_py.queue.snapshot import LimitsSnapshot
from beanstalkd_py.server.peers import peer_snapshot
from beanstalkd_py.server.server import Server


def set_limits(server: Server, options: Options) -> None:
    admission = server.admission
    admission.limit = options.max_connections
    admission.per_address = options.max_connections_per_address
    server.timeouts.set(options.idle_timeout, options.input_timeout)
    server.context.max_pending = options.max_pending
    server.dispatcher.output_limit = min(options.max_pending, OUTPUT_LIMIT)
    memory = server.queue.memory
    limit = options.max_memory
    if isinstance(limit, str):
        limit = automatic_limit(memory.used + memory.receiving)
    memory.set_limit(min(limit, NO_LIMIT) if limit else NO_LIMIT)


def limits_snapshot(server: Server) -> LimitsSnapshot:
    admission = server.admission
    timeouts = server.timeouts
    memory = server.queue.memory
    return LimitsSnapshot(
        max_memory_bytes=0 if memory.limit == NO_LIMIT else memory.limit,
        max_memory_reached=memory.over_limit,
        max_connections=admission.limit,
        max_connections_per_address=admission.per_address,
        max_connections_reached=admission.refused,
        idle_timeout_s=timeouts.idle_s,
        idle_timeout_reached=timeouts.idle_closed,
        input_timeout_s=timeouts.input_s,
        input_timeout_reached=timeouts.input_closed,
        max_pending_bytes=server.context.max_pending,
        max_pending_reached=timeouts.stalled,
    )


def give_figures(server: Server) -> None:
    """Passes to the dispatcher what it cannot know: limits, clients, and the wall clock."""
    dispatcher = server.dispatcher
    dispatcher.limits = lambda: limits_snapshot(server)
    dispatcher.peer = peer_snapshot
    dispatcher.clock_offset = clock_offset_ns
