"""One client's dialogue: bytes in, commands to the queue, replies out, in order. No I/O, no clock.

The owner feeds what the socket gave (`receive`, `end_of_input`, `lost`), takes what is owed
(`take_output`) and calls `settle` after anything that may have woken other clients. A session stops
taking commands while its client waits in reserve, and while more than OUTPUT_LIMIT bytes of replies
are owed: `run` goes on when they were taken. So a client that never reads costs bounded memory. A
kick of many jobs is held back likewise.
"""

from beanstalkd_py.protocol.commands import QUIT
from beanstalkd_py.protocol.dispatch import Dispatcher, reserved
from beanstalkd_py.protocol.parser import Parser
from beanstalkd_py.queue.model import Client

OUTPUT_LIMIT = 256 * 1024  # bytes of replies owed; one reply may exceed it


class Session:
    """The dialogue of one connection."""

    __slots__ = (
        "_ended",
        "_next_command",
        "_output",
        "_owed",
        "client",
        "closed",
        "dispatcher",
        "held",
        "owner",
        "parser",
    )

    def __init__(self, dispatcher: Dispatcher, owner: object = None) -> None:
        self.dispatcher = dispatcher
        self.owner = owner  # whoever sends the output; means nothing here
        self.parser = Parser(dispatcher.max_job_size)
        self._next_command = self.parser.next_command
        self.client: Client = dispatcher.queue.connect()
        self.client.session = self
        self.closed = False  # nothing more will be answered: close when the output is sent
        self.held = (
            False  # commands are held back until replies were taken: `run` goes on with them
        )
        self._output: list[bytes] = []
        self._owed = 0  # bytes in _output
        self._ended = False  # the client sent its last byte

    def receive(self, data: bytes, now: int) -> bool:
        """Bytes from the client, in any pieces. `now`: monotonic ns. Returns what `run` does."""
        self.parser.feed(data)
        return self.run(now)

    def hang_up(self, now: int) -> None:
        """The client will send no more, though all of it may not be here yet: it waits for nothing
        any longer.
        """
        outcome = self.dispatcher.queue.half_close(self.client, now)
        if outcome is not None:
            self._say(reserved(outcome))
        self.run(now)

    def end_of_input(self, now: int) -> None:
        """The client shut down its writing side; what it sent before is still answered."""
        self._ended = True
        self.hang_up(now)

    def take_no_more(self) -> None:
        """The server ends: nothing more is answered."""
        self.closed = True
        self.held = False

    def lost(self, now: int) -> None:
        """The connection is gone; the jobs it held are ready again."""
        self.closed = True
        self._output = []
        self._owed = 0
        self.dispatcher.queue.disconnect(self.client, now)

    def answer(self, reply: bytes, now: int) -> None:
        """A reply that the client waited for; what it sent behind its reserve goes on."""
        self._say(reply)
        self.run(now)

    def run(self, now: int) -> bool:
        """Takes commands until there is none, the client waits, or too much is owed. True if there
        was none, and more may come.
        """
        if self.closed or self.client.waiting:
            return False
        next_command = self._next_command
        handlers = self.dispatcher.handlers
        counts = self.dispatcher.counts
        client = self.client
        output = self._output
        owed = self._owed
        if self.held:
            self.held = False
            if client.kick is not None:
                reply = self.dispatcher.kick_on(client, now)
                if reply is None:
                    self.held = True
                    return False
                output.append(reply)
                owed += len(reply)
        while True:
            if owed > OUTPUT_LIMIT:
                self.held = True
                break
            command = next_command()
            if command is None:
                self.closed = self._ended
                self._owed = owed
                return not self._ended
            operation = command[0]
            counts[operation] += 1
            reply = handlers[operation](client, now, command)
            if reply is None:
                self.closed = operation == QUIT
                self.held = client.kick is not None
                break
            if reply:
                output.append(reply)
                owed += len(reply)
        self._owed = owed
        return False

    def _say(self, reply: bytes) -> None:
        self._output.append(reply)
        self._owed += len(reply)

    def take_output(self) -> bytes:
        """The replies owed, joined; b"" if there are none. A session that held commands back can
        run again.
        """
        output = self._output
        if not output:
            return b""
        data = output[0] if len(output) == 1 else b"".join(output)
        output.clear()
        self._owed = 0
        return data

    @staticmethod
    def settle(dispatcher: Dispatcher, now: int) -> "list[Session]":
        """Hands the replies of woken clients to their sessions, until nobody is woken any more.
        Returns who was.
        """
        touched = []
        queue = dispatcher.queue
        while queue.woken:
            woken, queue.woken = queue.woken, []
            for client, outcome in woken:
                session = client.session
                if isinstance(session, Session) and not session.closed:
                    session.answer(reserved(outcome), now)
                    touched.append(session)
        return touched
