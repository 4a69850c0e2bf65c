"""Commands as templates, and the values that fill them. The job ids are filled in when a command is
sent, so most commands name existing jobs.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import asdict, dataclass

from hypothesis import strategies as st
from simulation.reference.model import ReferenceModel


@dataclass(frozen=True, repr=False)
class Picks:
    job: int  # an index into all jobs, oldest first; beyond the last, a job that does not exist
    mine: int  # an index into the client's reserved jobs; beyond the last, as `job`
    pri: int
    delay: int
    ttr: int
    size: int
    seconds: int
    bound: int
    batch: int
    state: str
    tube: str
    other: str
    attempts: str
    key: str
    expire: int
    at: int
    own_attempts: int

    def __repr__(self) -> str:
        return "..."  # a failure shows the bytes that were sent


PICKS = st.builds(
    Picks,
    job=st.integers(0, 7),
    mine=st.integers(0, 2),
    pri=st.sampled_from([0, 1, 1023, 1024, 4294967295]),
    delay=st.sampled_from([0, 1, 2, 60]),
    ttr=st.sampled_from([0, 1, 2, 3, 120]),
    size=st.sampled_from([0, 1, 7, 300, 600, 601]),
    seconds=st.sampled_from([0, 1, 2, 50]),
    bound=st.sampled_from([0, 1, 2, 100]),
    batch=st.sampled_from([0, 1, 2, 100, 500]),
    state=st.sampled_from(["ready", "reserved", "delayed", "buried"]),
    tube=st.sampled_from(["default", "a", "b", "c", "d", "e", "-none-"]),
    attempts=st.sampled_from(["", "0", "1", "2", "4294967295"]),
    other=st.sampled_from(["default", "a", "b", "x" * 190]),
    key=st.sampled_from(["k", "l", '"\\"', "x" * 120]),
    expire=st.sampled_from([0, 1, 2, 5, 4294967295]),
    at=st.sampled_from([0, 1_700_001_001, 1_700_001_003, 1_700_001_090, 4294967295]),
    own_attempts=st.sampled_from([0, 1, 2]),
)

BY_JOB = [
    "reserve-job {job}",
    "delete {job}",
    "release {job} {pri} {delay}",
    "bury {job} {pri}",
    "touch {job}",
    "kick-job {job}",
]
BY_OWNER = ["delete {mine}", "release {mine} {pri} {delay}", "bury {mine} {pri}", "touch {mine}"]
BY_TUBE = ["use {tube}", "watch {tube}", "ignore {tube}", "pause-tube {tube} {seconds}"]
QUERIES = [
    "peek {job}",
    "peek-ready",
    "peek-delayed",
    "peek-buried",
    "stats",
    "stats-job {job}",
    "stats-tube {tube}",
]
LISTS = ["list-tubes", "list-tube-used", "list-tubes-watched"]
STATES = ("ready", "delayed", "buried")
EXTENSIONS = [
    "capabilities",
    "ping",
    "peek-tube {tube} ready",
    "peek-tube {tube} delayed",
    "peek-tube {tube} buried",
    "kick-tube {tube} {bound}",
    "drain status",
    "drain off",
    "list-jobs {tube} {state}",
    "list-connections",
    "stats-conn",
    "stats-conn {bound}",
    "stats-tube-all",
    "list-jobs {tube} {state} {batch}",
    "list-jobs {tube} ready {batch} {pri}.{job}",
    "set-tube {tube} max-attempts={attempts}",
    "set-tube {tube} max-attempts={attempts} dead-tube={other}",
    "set-tube {tube} dead-tube=",
    "set-tube {tube} max-jobs={bound}",
    "set-tube {tube} max-bytes={size} max-jobs=",
    "set-tube {tube} max-reserved={own_attempts} max-bytes=",
    "set-tube {tube} expire={expire} dead-tube={other}",
    "truncate {tube}",
    *(f"truncate {{tube}} {state}" for state in STATES),
    "move-job {job} {tube}",
    *(f"move-jobs {{tube}} {state} {{other}} {{bound}}" for state in STATES),
]
PUTS = [
    "put {pri} {delay} {ttr} {size}",
    "put 0 0 1 {size}",
    "put-in-tube {tube} {pri} {delay} {ttr} {size}",
    "put-with {pri} {delay} {ttr} {size}",
    "put-with {pri} 0 1 {size} tube={tube} key={key} expire={expire}",
    "put-with {pri} {delay} {ttr} {size} key={key} until=reserve",
    "put-with {pri} 0 {ttr} {size} tube={tube} at={at} attempts={own_attempts} key={key}",
    "put-with 0 {delay} 1 {size} tube={tube} expire={expire} attempts={own_attempts}",
]
RESERVES = [
    "reserve",
    "reserve-with-timeout {seconds}",
    "reserve-job {job}",
    "reserve-batch {batch} {seconds}",
]
TEMPLATES = [
    *PUTS,
    *RESERVES,
    *BY_JOB,
    *BY_OWNER,
    *BY_TUBE,
    *QUERIES,
    *LISTS,
    *EXTENSIONS,
    "kick {bound}",
    "kick {bound}",
    "quit",
]


BODY = bytes(range(97, 97 + 26)) * 25


def fill(template: str, picks: Picks, model: ReferenceModel, client: Hashable) -> bytes:
    """The command's bytes, with its body if it is a put."""
    jobs = sorted(model.jobs)
    job = jobs[picks.job] if picks.job < len(jobs) else model.next_id + picks.job
    mine = [held.id for held in model.held(model.clients[client])]
    own = mine[picks.mine] if picks.mine < len(mine) else job
    line = template.format_map({**asdict(picks), "job": job, "mine": own})
    return f"{line}\r\n".encode() + (
        BODY[: picks.size] + b"\r\n" if template.startswith("put") else b""
    )
