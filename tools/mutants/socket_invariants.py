"""Mutants of the sockets: input and replies of one poll batch."""

from __future__ import annotations

from .invariants import Invariant
from .mutant import Mutant

_BATCHED = ("tests/server/test_connection_batched.py",)

SOCKETS = (
    Mutant(
        Invariant.REPLY_IS_A_PROMISE,
        "reply-overtakes-batch",
        "a reply that is sent alone overtakes replies that wait for the end of the batch",
        "beanstalkd_py/server/connection.py",
        "        if self.context.sends.items:  # some may be of this client\n"
        "            self.context.sends.send()\n",
        "",
        _BATCHED,
    ),
    Mutant(
        Invariant.REPLY_IS_A_PROMISE,
        "cut-reply-sent-twice",
        "a reply of which the socket took a part is sent again from its first byte",
        "beanstalkd_py/server/sends.py",
        "memoryview(piece)[taken:] if taken else piece",
        "piece",
        _BATCHED,
    ),
    Mutant(
        Invariant.REPLY_IS_A_PROMISE,
        "rest-of-batch-lost",
        "after a full socket, the other replies of the batch are lost",
        "beanstalkd_py/server/sends.py",
        "        rest = items[index:]\n",
        "        rest = items[index : index + 1]\n",
        _BATCHED,
    ),
    Mutant(
        Invariant.LACK_OF_MEMORY_REFUSES_PUTS,
        "batch-lost-without-memory",
        "if memory runs out while a batch is received, its input is lost",
        "beanstalkd_py/server/poller.py",
        "            self._memory.release()\n"
        "            return receive_ready(self.epoll, timeout_ms, polls, self.receivable)\n",
        "            self._memory.release()\n            return []\n",
        _BATCHED,
    ),
    Mutant(
        Invariant.REPLY_IS_A_PROMISE,
        "reply-overtakes-its-client",
        "without a log a reply overtakes an earlier one of its client that waits in the outbox",
        "beanstalkd_py/server/connection.py",
        "context.outbox.immediate and not self.queued:\n",
        "context.outbox.immediate:\n",
        _BATCHED,
    ),
    Mutant(
        Invariant.REPLY_IS_A_PROMISE,
        "closes-before-its-batch-is-sent",
        "a connection closes before the reply of the same batch is sent",
        "beanstalkd_py/server/connection.py",
        "            self.context.sends.send()  # some may be of this client\n        if",
        "            pass\n        if",
        _BATCHED,
    ),
    Mutant(
        Invariant.REPLY_IS_A_PROMISE,
        "reply-for-the-next-descriptor",
        "a reply is sent to whatever has the descriptor of its closed connection",
        "beanstalkd_py/server/connection.py",
        "        self.context.sends.send()  # what is left for this descriptor must not reach"
        " the next one\n",
        "",
        _BATCHED,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "early-input-lost",
        "input is lost if an earlier event of its batch paused the connection",
        "beanstalkd_py/server/connection.py",
        "            self._early = received\n",
        "",
        _BATCHED,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "receives-while-paused",
        "a client that does not read its replies is still received from",
        "beanstalkd_py/server/connection.py",
        "            self._batched and self.life is READING and self._early is None and not "
        "self._large\n",
        "            self._batched\n",
        _BATCHED,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "rest-of-large-input-lost",
        "what follows the first 16 kB of a large body is lost if there is no memory to join them",
        "beanstalkd_py/server/connection.py",
        "            self._early = rest\n",
        "            pass\n",
        _BATCHED,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "job-of-broken-client-waits",
        "a job that a broken connection gave back is not delivered before the next event",
        "beanstalkd_py/server/sends.py",
        "            taken = 0\n        return True\n",
        "            taken = 0\n        return False\n",
        _BATCHED,
    ),
)
