"""Puts: of plain jobs, and of jobs with attributes or in tubes with a policy."""

from typing import Final, NamedTuple

from beanstalkd_py.queue.attempts import Attempts
from beanstalkd_py.queue.attributes import NO_ATTRIBUTES, Attributes, cost, id_of_key
from beanstalkd_py.queue.memory import SMALL_BODY
from beanstalkd_py.queue.model import DELAYED, READY, Client, Tube, new_job
from beanstalkd_py.queue.outcome import DRAINING, NO_HEADROOM, NO_MEMORY, TUBE_FULL, Outcome
from beanstalkd_py.queue.policy import Policy
from beanstalkd_py.queue.tubebytes import TubeBytes


class Exists(NamedTuple):
    """The tube has a job with this key."""

    id: int


class Wishes(NamedTuple):
    """What a put asks for, as in `Attributes`. expire: after so many ns; 0: never; -1:
    as the policy of the tube says.
    """

    key: bytes = b""
    until_reserve: bool = False
    expire: int = -1
    attempts: int = 0


SECOND: Final = 1_000_000_000
NO_WISHES: Final = Wishes()


class Puts(Attempts):
    def begin_put(self, client: Client, now: int) -> None:
        """A put whose body is still under way. It takes its id now, as in the C server; the job is
        not visible before `put`.
        """
        self._mark_producer(client)
        client.upload_id = self.next_id
        client.upload_at = now
        self.next_id += 1

    def abort_put(self, client: Client) -> None:
        """The body did not end in CRLF, so there is no job. Its id is not used again."""
        client.upload_id = 0

    def put(
        self, client: Client, tube: Tube, now: int, pri: int, delay: int, ttr: int, body: bytes
    ) -> int | Outcome:
        """A new job in this tube. Returns its id, DRAINING, NO_HEADROOM or NO_MEMORY.

        delay, ttr: ns. The order is journal, then memory (invariant "log before state").
        """
        if tube.guarded:
            return self._put_by_rules(client, tube, now, pri, delay, ttr, body)
        id = client.upload_id
        memory = self.memory
        if id:
            client.upload_id = 0
            created_at = client.upload_at
            probe_at = 0  # ids of later puts may have asked `may_put` already
        else:
            probe_at = memory.probe_at
            if not client.producer:
                self._mark_producer(client)
            id = self.next_id
            self.next_id = id + 1
            created_at = now
        if self.draining:
            return DRAINING
        nbytes = len(body)
        if (id >= probe_at or nbytes > SMALL_BODY) and not memory.may_put(id, nbytes):
            return NO_MEMORY
        state = DELAYED if delay else READY
        deadline_at = now + delay if delay else 0
        segment = None
        if self.journal is not None:
            segment = self.journal.put(
                id, tube.name, state, pri, delay, ttr, body, created_at, deadline_at
            )
            if segment is None:
                return NO_HEADROOM
        try:
            job = self.apply_put(id, tube, state, pri, delay, ttr, body, created_at, deadline_at)
        except MemoryError:
            return self._take_back(id, tube, body, segment)
        job.full_segment = segment
        tube.total_jobs += 1
        self.total_jobs += 1
        if tube.waiting:
            self.offer(tube, now)
        return id

    def put_in(
        self, client: Client, name: bytes, now: int, pri: int, delay: int, ttr: int, body: bytes
    ) -> int | Outcome:
        """As `put`, by the name of the tube. A tube that does not exist is created, unless the put
        is refused.
        """
        tube = self.tube(name)
        outcome = self.put(client, tube, now, pri, delay, ttr, body)
        if not tube.jobs:
            self.remove_if_unused(tube)
        return outcome

    def put_with(
        self,
        client: Client,
        name: bytes,
        now: int,
        pri: int,
        delay: int,
        ttr: int,
        body: bytes,
        wishes: Wishes,
    ) -> int | Outcome | Exists:
        """As `put_in`, with attributes. Exists: the key is taken, and there is no new job."""
        tube = self.tube(name)
        existing = id_of_key(tube, wishes.key)
        if existing and not self.draining:
            self._take_id(client, now)
            return Exists(existing)
        outcome = self._put_by_rules(client, tube, now, pri, delay, ttr, body, wishes)
        if not tube.jobs:
            self.remove_if_unused(tube)
        return outcome

    def _take_id(self, client: Client, now: int) -> tuple[int, int]:
        """The id of a put, and when its line came (boot time, ns)."""
        self._mark_producer(client)
        if client.upload_id:
            id = client.upload_id
            client.upload_id = 0
            return id, client.upload_at
        self.next_id += 1
        return self.next_id - 1, now

    def _put_by_rules(
        self,
        client: Client,
        tube: Tube,
        now: int,
        pri: int,
        delay: int,
        ttr: int,
        body: bytes,
        wishes: Wishes = NO_WISHES,
    ) -> int | Outcome:
        """A put with attributes, or into a guarded tube."""
        memory = self.memory
        probe_at = 0 if client.upload_id else memory.probe_at
        id, created_at = self._take_id(client, now)
        if self.draining:
            return DRAINING
        nbytes = len(body)
        policy = tube.policy
        expire = wishes.expire
        if isinstance(policy, Policy):
            if _is_full(tube, policy, nbytes):
                return TUBE_FULL
            expire = policy.expire * SECOND if expire < 0 else expire
        state = DELAYED if delay else READY
        deadline_at = now + delay if delay else 0
        expires_at = now + expire if expire > 0 else 0
        attributes = Attributes(wishes.key, wishes.until_reserve, expires_at, wishes.attempts)
        extra = cost(attributes)
        is_probed = id >= probe_at or nbytes > SMALL_BODY or extra > 0
        if is_probed and not memory.may_put(id, nbytes + extra):
            return NO_MEMORY
        segment = None
        if self.journal is not None:
            if attributes == NO_ATTRIBUTES:
                segment = self.journal.put(
                    id, tube.name, state, pri, delay, ttr, body, created_at, deadline_at
                )
            else:
                segment = self.journal.put_with(
                    id, tube.name, state, pri, delay, ttr, body, created_at, deadline_at, attributes
                )
            if segment is None:
                return NO_HEADROOM
        try:
            job = self.apply_put(id, tube, state, pri, delay, ttr, body, created_at, deadline_at)
        except MemoryError:
            return self._take_back(id, tube, body, segment)
        job.full_segment = segment
        self.set_attributes(job, attributes)
        if isinstance(tube.counted, TubeBytes):
            tube.counted.add(job)
        tube.total_jobs += 1
        self.total_jobs += 1
        self.offer(tube, now)
        return id

    def _take_back(self, id: int, tube: Tube, body: bytes, segment: object) -> Outcome:
        """Memory ran out between the record of a put and the job. A DELETE record follows, so that
        a start does not find the job. Entries in heaps and buckets are stale and do no harm.
        """
        self.memory.refuse()
        if id in self.jobs:
            self.jobs.remove(id)
        if self.journal is not None:
            job = new_job(id, tube, READY, 0, 0, 0, body, 0, 0)
            job.full_segment = segment
            if not self.journal.take_back(job):
                raise MemoryError
        return NO_MEMORY

    def _mark_producer(self, client: Client) -> None:
        if not client.producer:
            client.producer = True
            self.producers += 1


def _is_full(tube: Tube, policy: Policy, nbytes: int) -> bool:
    """Whether the policy allows no more jobs, or no body of nbytes more."""
    if 0 < policy.max_jobs <= tube.jobs:
        return True
    counted = tube.counted
    if not policy.max_bytes or not isinstance(counted, TubeBytes):
        return False
    counted.count()
    return counted.nbytes + nbytes > policy.max_bytes
