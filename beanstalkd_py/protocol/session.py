"""One client's session: bytes in, commands to the dispatcher, replies out, in order. No I/O, no
clock.

The owner passes input and its end to the session (`receive`, `end_of_input`, `lost`), and takes the
replies (`take_output`). It calls `settle` after each call that may have woken other clients.

A session executes no commands while its client waits in reserve, while its output exceeds the
output limit of the dispatcher, or while a command is unfinished. `run` continues afterwards. So a
client that never reads its replies uses bounded memory.
"""

from beanstalkd_py.protocol import replies
from beanstalkd_py.protocol.answers import LONG_BODY
from beanstalkd_py.protocol.commands import QUIT
from beanstalkd_py.protocol.dispatch import OUTPUT_LIMIT, Dispatcher
from beanstalkd_py.protocol.parser import Parser
from beanstalkd_py.queue.model import Client, Job
from beanstalkd_py.queue.outcome import Outcome


class Session:
    """The session of one connection."""

    __slots__ = (
        "_ended",
        "_next_command",
        "_pending",
        "client",
        "closed",
        "dispatcher",
        "held",
        "output",
        "owner",
        "parser",
    )

    def __init__(self, dispatcher: Dispatcher, owner: object = None) -> None:
        self.dispatcher = dispatcher
        self.owner = owner  # takes the output; a `SessionOwner` in the server
        self.parser = Parser(dispatcher.max_job_size, dispatcher.queue.memory, runs=True)
        self._next_command = self.parser.next_command
        self.closed = False  # no more commands are executed: close when the output is sent
        self.held = False  # `run` must be called after `take_output`: commands are left
        self.output: list[bytes] = []  # only `take_output` takes from it
        self._pending = 0  # bytes in `output`
        self._ended = False  # the client sent its last byte
        # The last one: a client that was counted is not forgotten for lack of memory.
        self.client: Client = dispatcher.queue.connect()
        self.client.session = self
        self.client.id = dispatcher.queue.total_connections
        try:
            dispatcher.clients[self.client.id] = self.client
        except MemoryError:
            dispatcher.queue.disconnect(self.client, 0)
            raise

    def receive(self, data: bytes, now: int) -> bool:
        """Bytes from the client, in any pieces. `now`: boot time, ns. Returns what `run` does.

        Without memory for the bytes, the session ends: the commands in them are lost.
        """
        try:
            self.parser.feed(data)
        except MemoryError:
            self._feed_again(data)
        return self.run(now)

    def _feed_again(self, data: bytes) -> None:
        """There was no memory for the bytes. With the memory reserve there may be."""
        self.dispatcher.queue.memory.release()
        try:
            self.parser.feed(data)
        except MemoryError:
            self._add(replies.OUT_OF_MEMORY)
            self.closed = True

    def hang_up(self, now: int) -> None:
        """The client will send no more, so a wait in reserve ends. Input that it sent before may
        still arrive.
        """
        outcome = self.dispatcher.queue.half_close(self.client, now)
        if outcome is not None:
            self.answer(outcome, now)
        else:
            self.run(now)

    def end_of_input(self, now: int) -> None:
        """The client shut down its writing side. The commands that it sent before are still
        executed.
        """
        self._ended = True
        self.hang_up(now)

    def take_no_more(self) -> None:
        """The server stops: no more commands are taken."""
        self.closed = True
        self.held = False

    def lost(self, now: int) -> None:
        """The connection is lost. Its reserved jobs become ready."""
        self.closed = True
        self.parser.drop_body()
        self.client.unfinished = None
        self.dispatcher.clients.pop(self.client.id, None)
        self.output = []
        self._pending = 0
        self.dispatcher.queue.disconnect(self.client, now)

    def answer(self, outcome: Job | Outcome, now: int) -> None:
        """The reply to a waiting reserve; then the commands that the client sent after it."""
        reply = self.dispatcher.reserved(self.client, now, outcome)
        if reply is None:
            self._pending += self._add_pieces()
        else:
            self._add(reply)
        self.run(now)

    def run(self, now: int) -> bool:
        """Executes commands until no whole command is left, the client waits, or the output exceeds
        output limit. Returns True if no whole command is left and more input may come.
        """
        if self.closed or self.client.waiting:
            return False
        next_command = self._next_command
        parser = self.parser
        handlers = self.dispatcher.handlers
        counts = self.dispatcher.counts
        client = self.client
        output = self.output
        pending = self._pending
        output_limit = self.dispatcher.output_limit
        if self.held:
            self.held = False
            if client.unfinished is not None:
                reply = client.unfinished(now)
                if reply is None:
                    self.held = True
                    return False
                client.unfinished = None
                output.append(reply)
                pending += len(reply)
        while pending <= output_limit:
            for command in parser.ahead:
                operation = command[0]
                counts[operation] += 1
                reply = handlers[operation](client, now, command)
                if not reply:
                    break
                output.append(reply)
                pending += len(reply)
                if pending > output_limit:
                    break
            else:
                single = next_command()
                if single is None:
                    self.closed = self._ended
                    self._pending = pending
                    return not self._ended
                operation = single[0]
                counts[operation] += 1
                reply = handlers[operation](client, now, single)
                if reply:
                    output.append(reply)
                    pending += len(reply)
            if reply is None:
                if not self.dispatcher.pieces:
                    self.closed = operation == QUIT
                    self.held = client.unfinished is not None
                    self._pending = pending
                    return False
                pending += self._add_pieces()
        self.held = True
        self._pending = pending
        return False

    def _add(self, reply: bytes) -> None:
        self.output.append(reply)
        self._pending += len(reply)

    def _add_pieces(self) -> int:
        """Adds a reply that the dispatcher has in pieces. Returns its bytes."""
        pieces = self.dispatcher.pieces
        self.dispatcher.pieces = []
        self.output += pieces
        return sum(map(len, pieces))

    def take_output(self) -> bytes:
        """Returns the replies, joined, and forgets them; b"" if there are none.

        Long bodies are not joined. If there is one, this returns what comes before it, or the body
        itself, and must be called again while there is `output`.
        """
        output = self.output
        if not output:
            return b""
        if self._pending > OUTPUT_LIMIT:
            return self._take_some()
        try:
            data = output[0] if len(output) == 1 else b"".join(output)
        except MemoryError:
            self.dispatcher.queue.memory.release()
            return self._take_first()
        output.clear()
        self._pending = 0
        return data

    def _take_some(self) -> bytes:
        output = self.output
        count = next((n for n, piece in enumerate(output) if len(piece) > LONG_BODY), len(output))
        if count < 2:
            return self._take_first()
        try:
            data = b"".join(output[:count])
        except MemoryError:
            return self._take_first()
        del output[:count]
        self._pending -= len(data)
        return data

    def _take_first(self) -> bytes:
        data = self.output.pop(0)
        self._pending -= len(data)
        return data

    @staticmethod
    def settle(dispatcher: Dispatcher, now: int) -> "list[Session]":
        """Passes the outcomes of woken clients to their sessions, until no more clients are woken.
        Returns these sessions.
        """
        touched = []
        queue = dispatcher.queue
        while queue.woken:
            woken, queue.woken = queue.woken, []
            for client, outcome in woken:
                session = client.session
                if isinstance(session, Session) and not session.closed:
                    session.answer(outcome, now)
                    touched.append(session)
        return touched
