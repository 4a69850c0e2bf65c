"""One client's connection: readiness events in, replies out, and a state machine (`Life`).

For a readable transport, the connection receives once, calls the session once and adds the replies
to the outbox as one piece. From a client that does not read its replies the connection receives
nothing (backpressure). It keeps at most `Context.max_pending` bytes of replies and what one run of
the session makes, and the bytes of one receive.

epoll reports each event once (see `transport`). So a connection that becomes READING again, or that
may have left bytes in its transport, receives in the next iteration without an event.
"""

import errno
import os
from typing import Final

from beanstalkd_py.host.clock import boot_ns
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.server.batchedio import BATCHED_BYTES, Received
from beanstalkd_py.server.context import Context
from beanstalkd_py.server.life import (
    AHEAD,
    CLOSING,
    DRAINING,
    GONE,
    MAY_BECOME,
    PAUSED,
    READING,
    Life,
)
from beanstalkd_py.server.transport import (
    HUNG_UP,
    READABLE,
    RECEIVE_BYTES,
    UNREACHABLE,
    WRITABLE,
    Transport,
)
from beanstalkd_py.server.unsent import Unsent, keep, send_kept

INPUT_LIMIT: Final = 64 * 1024  # bytes that a client may send after a reserve that waits


class Connection:
    """queued: bytes of replies that the transport has not taken. They wait for the end of the
    batch, for the log, or for the transport. active: an event has come. `Timeouts` resets it, and
    has its own notes in idle_since, unfinished and unfinished_since.
    """

    __slots__ = (
        "context", "transport", "fd", "session", "queued", "life", "active", "idle_since",
        "unfinished", "unfinished_since",
        "_batched", "_receive", "_send", "_receive_again_from", "_early", "_large", "_hung_up",
        "_unsent", "_resumes",
    )  # fmt: skip

    def __init__(self, context: Context, transport: Transport) -> None:
        self.context = context
        self.fd = transport.fd
        self.queued = 0
        self.life: Life = READING
        self.active = True
        self.idle_since = self.unfinished = self.unfinished_since = 0
        self._hung_up = False  # the peer closed or shut down its side; input may be left
        self._early: bytes | None = None  # received after an earlier event ended READING
        self._large = False  # the poller received BATCHED_BYTES for this client not long ago
        self._unsent: Unsent = []
        self._resumes = False  # `_resume` is in `Context.later`
        self.use(transport)
        self.session: Session = context.make_session(self, self.fd)  # the last one: see there

    def use(self, transport: Transport) -> None:
        """Reads and writes through this transport from now on."""
        self.transport = transport
        self._receive = transport.receive
        self._send = transport.send
        self._receive_again_from = transport.receive_again_from
        self._batched = transport.batched
        self._set_receivable()

    def _set_receivable(self) -> None:
        """The poller receives only what is executed at once."""
        receivable = (
            self._batched and self.life is READING and self._early is None and not self._large
        )
        self.context.poller.set_receivable(self.fd, receivable)

    @property
    def gone(self) -> bool:
        return self.life is GONE

    @property
    def stalled(self) -> bool:
        """Whether the client must read replies before the transport takes more."""
        return bool(self._unsent)

    # --- input ------------------------------------------------------------------------------------

    def on_event(self, event: int, received: Received) -> None:
        """Handles a readiness event (flags of epoll). received: what `receive_ready` says. Hot,
        therefore flat: it repeats the code of `flush`, `deliver` and `Context.tick_if_due`.
        """
        self.active = True
        if isinstance(received, bytes) and self.life is READING:
            data = received
            if len(data) >= BATCHED_BYTES:
                data = self._receive_rest(data)
        else:
            found = self._receive_alone(event, received)
            if found is None:
                return
            data = found
        context = self.context
        session = self.session
        now = boot_ns()
        queue = context.queue
        timers = queue.timers
        if timers and timers[0][0] <= now:
            context.tick(now)
            if self.life is GONE:
                return
        if data:
            if len(data) >= self._receive_again_from:
                context.later.append(self._receive_more)
            plain = session.receive(data, now)
        else:
            plain = False
            self._end_of_input(now)
        if queue.woken:
            context.settle(now)
        if not plain:
            self.flush(now)
            return
        data = session.take_output()
        if data:
            if self._batched and context.outbox.immediate and not self.queued:
                context.sends.items.append((self.fd, data, self))
            else:
                self.queued += len(data)
                context.outbox.add(self, data)
            if self.queued > context.max_pending or session.output:
                self.flush(now)

    def _receive_alone(self, event: int, received: Received) -> bytes | None:
        """Receives from the transport. None if there is nothing to execute."""
        if isinstance(received, bytes):  # an earlier event of the batch has changed `life`
            self._early = received
            return None
        if received is not None:
            if received != errno.EAGAIN:
                self.lost(OSError(received, os.strerror(received)))
            return None
        if (event != READABLE and not self._on_unusual(event)) or self.life is not READING:
            return None
        if self._early is not None:
            return self._take_early(self._early)
        try:
            data = self._receive(RECEIVE_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            self.lost(error)
            return None
        except MemoryError:
            self._wait_for_memory()
            return None
        if self._large and len(data) < BATCHED_BYTES:
            self._large = False
            self._set_receivable()
        return data

    def _receive_rest(self, data: bytes) -> bytes:
        """The poller received all that it may. Most likely a large body comes, and more of them
        follow. The poller would copy them once more, so this connection receives them itself.
        """
        self._large = True
        rest: bytes | None = None
        try:
            rest = self._receive(RECEIVE_BYTES - len(data))
            data += rest
        except BlockingIOError:
            pass
        except (OSError, MemoryError):
            self._early = rest
            self.context.later.append(self._receive_more)
        self._set_receivable()
        return data

    def _take_early(self, data: bytes) -> bytes:
        self._early = None
        self._set_receivable()
        self.context.later.append(self._receive_more)  # its event came while not READING
        return data

    def _on_unusual(self, event: int) -> bool:
        """Handles any event except READABLE alone. Returns whether there may be input."""
        event = self.transport.translate(event)
        self._receive_again_from = self.transport.receive_again_from
        if event & WRITABLE and self._unsent:
            self._on_writable()
        if not event & ~WRITABLE or self.life is GONE:
            return False
        if event & HUNG_UP:
            self._hung_up = True
            if self.life is AHEAD:
                self._end_wait()
        return True

    def _receive_more(self) -> None:
        self.on_event(READABLE, None)

    def _wait_for_memory(self) -> None:
        """There was no memory to receive. With the memory reserve there is; if that is gone too,
        the connection is given up, because nothing can be received any more.
        """
        memory = self.context.queue.memory
        if memory.short:
            self.context.report(f"connection: {os.strerror(errno.ENOMEM)}", event="connection")
            self.close()
            return
        memory.release()
        self.context.later.append(self._receive_more)

    def _end_of_input(self, now: int) -> None:
        if self.life is not CLOSING:
            self._become(DRAINING)
        self.session.end_of_input(now)

    def _end_wait(self) -> None:
        """The client hung up while it waits in reserve, so the wait ends. The input that the client
        sent before is still in the kernel. It is received, and its commands are executed, before
        the connection closes.
        """
        now = boot_ns()
        self.session.hang_up(now)
        self.context.settle(now)
        self.flush(now)

    # --- life -------------------------------------------------------------------------------------

    def flush(self, now: int) -> None:
        """Passes the session's replies to the outbox. If the session is held (see `Session`), it
        runs again in the next iteration, after the commands of other clients. now: boot time, ns.
        """
        if self.life is GONE:
            return
        session = self.session
        data = session.take_output()
        while data:
            self.queued += len(data)
            self.context.outbox.add(self, data)
            data = session.take_output() if session.output else b""  # long bodies come in pieces
        over = self.queued > self.context.max_pending
        if session.held and not over and not self._resumes:
            self._resumes = True
            self.context.later.append(self._resume)
        unusual = session.closed or session.held or session.client.waiting or over
        if unusual or self.life is not READING:  # `_update` may have something to change
            self._update()

    def _resume(self) -> None:
        self._resumes = False
        if self.life is GONE:
            return
        now = boot_ns()
        self.context.tick_if_due(now)
        self.session.run(now)
        self.context.settle(now)
        self.flush(now)

    def _update(self) -> None:
        """Sets `life` by the state of the session and the replies."""
        if self.session.closed:
            self.context.sends.send()  # some may be of this client
        if self.life is GONE:
            return
        if self.session.closed and not self.queued:
            if not self.context.ending:  # else the server closes it, in `Server._linger`
                self.close()
            return
        life = self._due_life()
        if life is not self.life:
            self._become(life)

    def _due_life(self) -> Life:
        session = self.session
        if session.closed:
            return CLOSING
        if self.life is DRAINING:
            return DRAINING
        if session.client.waiting and session.parser.buffered > INPUT_LIMIT:
            return AHEAD
        return PAUSED if session.held or self.queued > self.context.max_pending else READING

    def _become(self, life: Life) -> None:
        assert life in MAY_BECOME[self.life], f"{self.life.name} to {life.name}"
        self.life = life
        self._set_receivable()
        if life is PAUSED:
            self.context.paused[self.fd] = 0
        elif life is READING:  # input may have arrived: its event came while not READING
            self.context.later.append(self._receive_more)
        elif life is AHEAD and self._hung_up:
            self._end_wait()

    # --- output -----------------------------------------------------------------------------------

    def deliver(self, data: bytes) -> None:
        """Sends a reply whose promise holds, usually with those of other clients at the end of the
        batch.
        """
        if self._batched and self.life is READING and not self._unsent:
            self.queued -= len(data)
            self.context.sends.items.append((self.fd, data, self))
            return
        if self.context.sends.items:  # some may be of this client
            self.context.sends.send()
        self._send_or_keep(data)

    def send_alone(self, data: bytes | memoryview) -> None:
        """Sends what the batch did not send."""
        self.queued += len(data)
        self._send_or_keep(data)

    def _send_or_keep(self, data: bytes | memoryview) -> None:
        """Bytes that the transport does not take are kept in `_unsent`."""
        if self.life is GONE:
            return
        if self._unsent:
            keep(self._unsent, data, self.context.queue.memory)
        else:
            try:
                sent = self._send(data)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self.lost(error)
                return
            self.queued -= sent
            if sent < len(data):
                keep(self._unsent, memoryview(data)[sent:], self.context.queue.memory)
                self.transport.await_writable(True)
        if self.life is not READING or self.queued > self.context.max_pending:
            self.flush(boot_ns())

    def _on_writable(self) -> None:
        try:
            self.queued -= send_kept(self._unsent, self._send)
        except OSError as error:
            self.lost(error)
            return
        if not self._unsent:
            self.transport.await_writable(False)
        self.flush(boot_ns())

    # --- the end ----------------------------------------------------------------------------------

    def lost(self, error: OSError) -> None:
        """The connection is broken. A peer that went away or cannot be reached is not reported."""
        if not isinstance(error, ConnectionError) and error.errno not in UNREACHABLE:
            self.context.report(f"connection: {error.strerror}", event="connection")
        self.close()

    def close(self) -> None:
        """Closes the transport; the jobs that the client had reserved are ready again."""
        if self.life is GONE:
            return
        self.abandon()
        self.context.forget(self.fd)
        if self.context.ending:
            return
        now = boot_ns()
        self.session.lost(now)
        self.context.settle(now)

    def take_no_more(self) -> None:
        """The server stops: no more commands are executed; pending replies are still sent."""
        self.session.take_no_more()
        if self.life is not CLOSING:
            self._become(CLOSING)

    def all_sent(self) -> bool:
        """Whether the client's kernel has all replies. Before that, a close may destroy some of
        them, because a close with unread input resets the connection.
        """
        return not self.queued and not self.transport.undelivered()

    def shutdown(self) -> None:
        """The server ends and everything was sent."""
        self.transport.shutdown()
        self.abandon()

    def abandon(self) -> None:
        """Closes the transport and changes no job."""
        self.life = GONE
        self._set_receivable()
        self.context.sends.send()  # what is left for this descriptor must not reach the next one
        self.transport.close()
        # Breaks the reference cycles of connection, session and client, which frees their memory.
        self.session.owner = None
        self.session.client.session = None
