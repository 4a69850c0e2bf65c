"""Generates the commands that simulated clients send: mostly sensible ones, and some invalid ones.

May know: the reference model, to choose ids of existing jobs. Promises: a command is a function of
the random generator and the state of the model. Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from random import Random

from .recording_model import RecordingModel

TUBES = (b"default", b"a", b"b", b"mail/outgoing")
PRIORITIES = (0, 1, 1023, 1024, 5000, 4294967295)
DELAYS = (0, 0, 0, 1, 3, 100, 100_000)
TTRS = (0, 1, 2, 5, 60, 60)
TIMEOUTS = (0, 0, 1, 2, 30)
PAUSES = (0, 1, 3, 100)
STATES = (b"ready", b"reserved", b"delayed", b"buried")
INVALID = (
    b"", b"put", b"put 1 2 3", b"put x 0 60 1", b"put 0 0 60 1 1", b"reserve now",
    b"reserve-with-timeout -1", b"peek", b"peek 1 ", b"PEEK 1", b"delete 99999999999999999999",
    b"use -tube", b"watch " + b"w" * 201, b"kick", b"kick -1", b"pause-tube default",
    b"pause-tube -x 1", b"x" * 300, b"stats-job 0", b"touch 0", b"list-tubes\r", b"release 1 2",
    b"bury 1", b"quitfoo\0", b"stats\0", b"ping ", b"pingpong", b"capabilities 1",
    b"peek-tube a", b"peek-tube a reserved", b"peek-tube  a ready", b"kick-tube a",
    b"kick-tube a 1 ",
    b"kick-tube a 4294967296", b"put-in-tube", b"put-in-tube a 0 0 60 4294967296",
    b"reserve-batch 1", b"reserve-batch 0 0", b"reserve-batch 501 0", b"drain", b"drain now",
    b"list-jobs a", b"list-jobs a ready 0", b"list-jobs a ready 1 1",
    b"truncate", b"truncate a reserved", b"truncate  a", b"move-job 1", b"move-job a 1",
    b"move-job 1 -a", b"move-jobs a ready b", b"move-jobs a reserved b 1",
    b"set-tube a", b"set-tube", b"set-tube a max-attempts", b"set-tube a dead-tube=-b",
    b"set-tube a max-attempts=1 max-attempts=1", b"set-tube a max-atempts=1", b"set-tube a  ",
    b"put-with 0 0 1", b"put-with 0 0 1 x key=k", b"put-with",
    b"stats-conn ", b"stats-conn x", b"list-connections 1", b"stats-tube-all a",
)  # fmt: skip


class CommandGenerator:
    """Each scenario has a generator with other weights. largest: bytes of the largest body, except
    bodies that are to be refused.
    """

    def __init__(self, rng: Random, max_job_size: int, largest: int) -> None:
        self._rng = rng
        self._max_job_size = max_job_size
        self.largest = largest
        self._sizes = rng.choice(
            ([0, 1, 50, largest // 10, largest // 10, largest], [0, largest, largest, largest])
        )
        self._most_jobs = rng.choice((3, 10, 40))  # above this, more commands are deletes
        kinds: list[tuple[Callable[[RecordingModel, Hashable], bytes], float]] = [
            (self._put, 6),
            (self._reserve, 5),
            (self._reserve_job, 3),
            (self._delete, 3),
            (self._release, 5),
            (self._bury, 2),
            (self._touch, 1),
            (self._kick, 1.5),
            (self._extension, 0.6),
            (self._use, 2),
            (self._pause, 1),
            (self._query, 2),
            (self._invalid, 0.7),
            (self._bad_put, 0.4),
            (lambda model, name: b"quit\r\n", 0.1),
            (self._drain, 0.1),
            (self._run, 0.8),
        ]
        self._kinds = [kind for kind, _ in kinds]
        # A factor for each kind, so that a scenario has some kinds often and some never.
        self._weights = [weight * rng.choice((0, 0.3, 1, 1, 3)) for _, weight in kinds]
        self._weights[0] += 1

    def command(self, model: RecordingModel, name: Hashable) -> bytes:
        """One command with its CRLF."""
        if len(model.jobs) > self._most_jobs and self._rng.random() < 0.3:
            return self._delete(model, name)
        return self._rng.choices(self._kinds, self._weights)[0](model, name)

    def _any_id(self, model: RecordingModel) -> int:
        """Mostly the id of an existing job."""
        return self._rng.choice([*model.jobs, model.next_id, 1])

    def _own_id(self, model: RecordingModel, name: Hashable) -> int:
        """Mostly the id of a job that the client has reserved."""
        client = model.clients.get(name)
        held = [] if client is None else [job.id for job in model.held(client)]
        if held and self._rng.random() < 0.9:
            return self._rng.choice(held)
        return self._any_id(model)

    def _put(self, model: RecordingModel, name: Hashable) -> bytes:
        rng = self._rng
        size = rng.choice(self._sizes)
        body = rng.randbytes(min(size, 30)) * (size // 30 + 1)
        pri, delay, ttr = rng.choice(PRIORITIES), rng.choice(DELAYS), rng.choice(TTRS)
        if rng.random() < 0.15:
            return b"put-with %d %d %d %d%b\r\n%b\r\n" % (
                pri, delay, ttr, size, self._settings(delay), body[:size]
            )  # fmt: skip
        word = b"put-in-tube " + rng.choice(TUBES) if rng.random() < 0.15 else b"put"
        return b"%b %d %d %d %d\r\n%b\r\n" % (word, pri, delay, ttr, size, body[:size])

    def _run(self, model: RecordingModel, name: Hashable) -> bytes:
        """Puts of small jobs at once, which are deleted at once if no other client puts: a segment
        has more puts than usual. There are never 250 jobs: more are moved and cleared in slices,
        which the model does not know.
        """
        if len(model.jobs) > 40:
            return self._delete(model, name)
        count, first = self._rng.choice((3, 10, 20)), model.next_id
        deletes = [b"delete %d\r\n" % id for id in range(first, first + count)]
        return b"put 1 0 60 1\r\nx\r\n" * count + b"".join(deletes)

    def _settings(self, delay: int) -> bytes:
        """Of a put-with."""
        rng = self._rng
        key = b" key=%b" % rng.choice((b"k", b"l", b"m"))
        at = b" at=%d" % rng.choice((1, 1_700_000_100, 4294967295)) if not delay else b""
        found = (
            key,
            key + b" until=reserve",
            b" tube=%b" % rng.choice(TUBES),
            b" expire=%d" % rng.choice((0, 1, 3, 100, 100_000)),
            b" attempts=%d" % rng.choice((0, 1, 2)),
            at,
        )
        first = rng.randrange(2)
        return b"".join(each for each in (found[first], *found[2:]) if rng.random() < 0.6)

    def _bad_put(self, model: RecordingModel, name: Hashable) -> bytes:
        """Too big, without the CRLF after its body, or into no tube."""
        if self._rng.random() < 0.2:
            line = self._rng.choice((b"put-in-tube -a 0 0 60 11", b"put-with 0 0 60 11 kay=k"))
            return line + b"\r\ndelete 1\r\n.\r\n"
        if self._rng.random() < 0.5:
            size = self._max_job_size + self._rng.choice((1, 100))
            return b"put 0 0 60 %d\r\n%b\r\n" % (size, b"b" * size)
        return b"put 0 0 60 4\r\nfour--\r\n"

    def _reserve(self, model: RecordingModel, name: Hashable) -> bytes:
        timeout = self._rng.choice(TIMEOUTS)
        batch = b"reserve-batch %d %d\r\n" % (self._rng.choice((1, 2, 500)), timeout)
        return self._rng.choice((b"reserve\r\n", b"reserve-with-timeout %d\r\n" % timeout, batch))

    def _reserve_job(self, model: RecordingModel, name: Hashable) -> bytes:
        return b"reserve-job %d\r\n" % self._any_id(model)

    def _delete(self, model: RecordingModel, name: Hashable) -> bytes:
        ids = self._any_id(model), self._own_id(model, name)
        return b"delete %d\r\n" % self._rng.choice(ids)

    def _release(self, model: RecordingModel, name: Hashable) -> bytes:
        id = self._own_id(model, name)
        pri, delay = self._rng.choice(PRIORITIES), self._rng.choice(DELAYS)
        return b"release %d %d %d\r\n" % (id, pri, delay)

    def _bury(self, model: RecordingModel, name: Hashable) -> bytes:
        return b"bury %d %d\r\n" % (self._own_id(model, name), self._rng.choice(PRIORITIES))

    def _touch(self, model: RecordingModel, name: Hashable) -> bytes:
        return b"touch %d\r\n" % self._own_id(model, name)

    def _kick(self, model: RecordingModel, name: Hashable) -> bytes:
        kick = b"kick %d\r\n" % self._rng.choice((0, 1, 2, 100))
        kick_tube = b"kick-tube %b %d\r\n" % (self._rng.choice(TUBES), self._rng.choice((1, 100)))
        return self._rng.choice((kick, kick_tube, b"kick-job %d\r\n" % self._any_id(model)))

    def _extension(self, model: RecordingModel, name: Hashable) -> bytes:
        """What only our server has."""
        rng = self._rng
        state = rng.choice((b"ready", b"delayed", b"buried"))
        tube, other = rng.choice(TUBES), rng.choice(TUBES)
        lines = (
            b"move-job %d %b" % (self._any_id(model), other),
            b"move-job %d %b" % (self._any_id(model), other),
            b"move-jobs %b %b %b %d" % (tube, state, other, rng.choice((1, 2, 100))),
            b"set-tube %b max-attempts=%d dead-tube=%b" % (tube, rng.choice((1, 2, 3)), other),
            b"set-tube %b max-attempts=%d" % (tube, rng.choice((0, 1, 2))),
            b"set-tube %b max-attempts= dead-tube= max-jobs= max-bytes= max-reserved=" % tube,
            b"set-tube %b max-jobs=%d max-bytes=%d" % (tube, rng.choice((0, 2, 9)), self.largest),
            b"set-tube %b max-reserved=%d" % (tube, rng.choice((0, 1, 2))),
            b"set-tube %b expire=%d" % (tube, rng.choice((0, 0, 3, 1000))),
            b"truncate %b" % tube,
            b"truncate %b %b" % (tube, state),
        )
        return rng.choice(lines) + b"\r\n"

    def _use(self, model: RecordingModel, name: Hashable) -> bytes:
        command = self._rng.choice((b"use ", b"watch ", b"ignore "))
        return command + self._rng.choice(TUBES) + b"\r\n"

    def _pause(self, model: RecordingModel, name: Hashable) -> bytes:
        return b"pause-tube %b %d\r\n" % (self._rng.choice(TUBES), self._rng.choice(PAUSES))

    def _query(self, model: RecordingModel, name: Hashable) -> bytes:
        id, tube = self._any_id(model), self._rng.choice(TUBES)
        lines = (
            b"peek %d" % id, b"stats-job %d" % id, b"stats-tube %b" % tube, b"stats",
            b"list-tubes", b"list-tube-used", b"list-tubes-watched", b"peek-ready",
            b"peek-delayed", b"peek-buried", b"capabilities", b"ping", b"peek-tube %b ready" % tube,
            b"list-connections", b"stats-conn", b"stats-conn %d" % self._rng.randrange(1, 9),
            b"stats-tube-all",
            b"list-jobs %b %b" % (tube, self._rng.choice(STATES)),
            b"list-jobs %b ready 2 %d.%d" % (tube, self._rng.choice(PRIORITIES), id),
            b"peek-tube %b %b" % (tube, self._rng.choice((b"delayed", b"buried"))),
        )  # fmt: skip
        return self._rng.choice(lines) + b"\r\n"

    def _drain(self, model: RecordingModel, name: Hashable) -> bytes:
        """On, and off again with the next command: without puts nothing happens."""
        return self._rng.choice(
            (b"drain status\r\n", b"drain on\r\nput 0 0 1 1\r\nx\r\ndrain off\r\n")
        )

    def _invalid(self, model: RecordingModel, name: Hashable) -> bytes:
        return self._rng.choice(INVALID) + b"\r\n"
