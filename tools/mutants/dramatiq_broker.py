"""Mutants of the broker for dramatiq."""

from __future__ import annotations

from .invariants import Invariant
from .mutant import Mutant

_BROKER = "beanstalkd_py/dramatiq/broker.py"
_CONSUMER = "beanstalkd_py/dramatiq/consumer.py"
_TESTS = "tests/dramatiq/test_dramatiq_"


def _mutant(name: str, broken: str, file: str, piece: str, replacement: str, test: str) -> Mutant:
    return Mutant(
        Invariant.MESSAGE_IS_NOT_LOST, name, broken, file, piece, replacement, (f"{_TESTS}{test}",)
    )


DRAMATIQ_BROKER = (
    _mutant(
        "refused-retry-acked",
        "a message is deleted although its retry was refused",
        _CONSUMER,
        "        if message.put_back_s is None:\n",
        "        if True:\n",
        "consumer.py -k cannot_be_enqueued",
    ),
    _mutant(
        "other-job-acked",
        "an ack after a restart deletes whatever job has the id",
        _CONSUMER,
        "        if client.peek(delivery.job.id).body != delivery.job.body:\n",
        "        if not client.peek(delivery.job.id).body:\n",
        "restarts.py -k same_id",
    ),
    _mutant(
        "unfinished-message-returned-again",
        "a message that is being processed is returned again after a restart of the server",
        _CONSUMER,
        "        if known and known.job.body == job.body and",
        "        if False and known and known.job.body == job.body and",
        "restarts.py -k not_returned_twice",
    ),
    _mutant(
        "forgotten-eta-kept",
        "a message that dramatiq has forgotten is never returned again",
        _CONSUMER,
        ' and "eta" not in known.options:\n',
        ":\n",
        "restarts.py -k eta",
    ),
    _mutant(
        "jobs-not-touched",
        "a message that takes longer than the TTR is delivered again",
        _CONSUMER,
        "                    client.touch(delivery.job)\n",
        "                    pass\n",
        "consumer.py -k begins_the_ttr",
    ),
    _mutant(
        "lost-job-acked-as-held",
        "an ack after a lost connection does not look for its job",
        _CONSUMER,
        "                    holder._take_back(client, delivery)\n",
        "                    raise greenstalk.NotFoundError\n",
        "restarts.py -k message_ends",
    ),
    _mutant(
        "arrived-kept-at-close",
        "a closed consumer keeps messages that it has not returned",
        _CONSUMER,
        "        self.requeue([*self._arrived, *(",
        "        self.requeue([*(",
        "consumer.py -k was_not_returned",
    ),
    _mutant(
        "close-drops-unfinished",
        "a pause of the worker gives its unfinished messages to another one",
        _CONSUMER,
        "        if self._closing and not self.held():\n",
        "        if self._closing:\n",
        "worker.py -k paused",
    ),
    _mutant(
        "nack-deletes",
        "a rejected message is deleted",
        _CONSUMER,
        "        client.bury(job, priority)\n",
        "        client.delete(job)\n",
        "consumer.py -k nack_makes",
    ),
    _mutant(
        "endless-attempts",
        "a message that ends its workers is delivered without end",
        _BROKER,
        "max_attempts=self.max_attempts, dead_tube",
        "max_attempts=0, dead_tube",
        "consumer.py -k ends_its_workers",
    ),
    _mutant(
        "stale-connection-fails-send",
        "the first message after a restart of the server is not sent",
        _BROKER,
        "                self.close()  # the others are as old\n",
        "                raise\n",
        "restarts.py -k enqueue_goes_on",
    ),
    _mutant(
        "fork-shares-connection",
        "after a fork, two processes read the replies of one connection",
        _BROKER,
        "        if self._pid != os.getpid():",
        "        if False:",
        "broker.py -k child_process",
    ),
    _mutant(
        "reply-left-unread",
        "the next command takes a reply that an interrupted one has not read",
        "beanstalkd_py/dramatiq/client.py",
        "anywhere in a worker's thread\n            self.close()\n",
        "anywhere in a worker's thread\n",
        "client.py -k interrupted",
    ),
)
