"""kick, bury, delete and move: of one job, of a list, or of all that match.

Jobs that match are looked up 100 at a time, and a command is sent for each. Another client may
change a job between the two. The result says how many jobs the action was done to, and which failed
and why, also if it breaks off.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from beanstalkd_py.http.api import figures
from beanstalkd_py.http.api.document import STATES
from beanstalkd_py.http.api.errors import (
    OUT_OF_MEMORY,
    ApiError,
    no_job,
    not_available,
    unknown_reply,
)
from beanstalkd_py.http.api.link import Link, Reply, groups, line
from beanstalkd_py.http.api.schemas import U64
from beanstalkd_py.http.api.source import Filter, Source

FAILURES = 100  # that a result names

Values = dict[str, Any]
Found = tuple[int, int]  # id and priority


class Target(NamedTuple):
    """An action. commands: for a job, by its id and priority; the reply to the last of them has the
    word `done`. states: in which a job must be.
    """

    name: str
    commands: Callable[[int, int], list[bytes]]
    done: str
    states: tuple[str, ...]


TARGETS: dict[str, Callable[[str], Target]] = {
    "kick": lambda to: Target(
        "kick", lambda id, pri: [line("kick-job", id)], "KICKED", STATES["kick"]
    ),
    "bury": lambda to: Target(
        "bury", lambda id, pri: [line("reserve-job", id), line("bury", id, pri)],
        "BURIED", STATES["bury"],
    ),
    "delete": lambda to: Target(
        "delete", lambda id, pri: [line("delete", id)], "DELETED", STATES["delete"]
    ),
    "move": lambda to: Target(
        "move", lambda id, pri: [line("move-job", id, to)],
        "MOVED", STATES["move"],
    ),
}  # fmt: skip


class Result:
    def __init__(self, preview: bool) -> None:
        self.preview = preview
        self.matched = 0
        self.done = 0
        self.failed = 0
        self.failures: list[Values] = []

    def fail(self, id: int, error: ApiError) -> None:
        self.failed += 1
        if len(self.failures) < FAILURES:
            self.failures.append({"id": id, "code": error.code, "message": error.message})

    def values(self) -> Values:
        return dict(vars(self))


class Bulk:
    def __init__(self, source: Source) -> None:
        self._source = source

    def one(self, target: Target, id: int) -> Values:
        """Raises ApiError, also if the job is there and its state does not allow it."""
        with self._source.connect() as link:
            found, errors = _look(link, target, [id])
            if errors:
                raise errors[id]
            error = next(_act(link, target, found))
        if error is not None:
            raise error
        return {"id": id}

    def of_list(self, target: Target, ids: Iterable[int], preview: bool) -> Values:
        result = Result(preview)
        distinct = list(dict.fromkeys(ids))
        with self._source.connect() as link:
            for some in groups(distinct):
                with _reported(result):
                    found, errors = _look(link, target, some)
                    result.matched += len(found)
                    for id, error in errors.items():
                        result.fail(id, error)
                    if not preview:
                        _act_and_count(link, target, found, result)
        return result.values()

    def matching(
        self,
        target: Target,
        tube: str,
        state: str,
        wanted: Filter,
        limit: int | None,
        preview: bool,
    ) -> Values:
        result = Result(preview)
        if preview and wanted.is_empty:
            result.matched = min(self._count(tube, state), limit or U64)
            return result.values()
        left = limit
        with _reported(result):
            link = None if preview else self._source.connect()
            try:
                for some in self._source.matching(tube, state, wanted):
                    some = some[:left]
                    result.matched += len(some)
                    if link is not None:
                        _act_and_count(link, target, some, result)
                    if left is not None:
                        left -= len(some)
                        if not left:
                            break
            finally:
                if link is not None:
                    link.close()
        return result.values()

    def _count(self, tube: str, state: str) -> int:
        found = self._source.tube(tube)
        return 0 if found is None else int(found[f"current-jobs-{state}"])


class _reported:
    """An error inside says what was done before."""

    def __init__(self, result: Result) -> None:
        self._result = result

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, ApiError):
            error.result = self._result.values()


def _act_and_count(link: Link, target: Target, found: Sequence[Found], result: Result) -> None:
    for (id, _), error in zip(found, _act(link, target, found), strict=True):
        if error is None:
            result.done += 1
        else:
            result.fail(id, error)


def _look(
    link: Link, target: Target, ids: Sequence[int]
) -> tuple[list[Found], dict[int, ApiError]]:
    """The jobs whose state allows the action, and why the others are not among them."""
    found: list[Found] = []
    errors: dict[int, ApiError] = {}
    replies = link.ask(*(line("stats-job", id) for id in ids))
    for id, reply in zip(ids, replies, strict=True):
        if reply.word != "OK":
            errors[id] = no_job(id)
            continue
        job = figures.parsed(reply.body)
        if "state" not in job or not isinstance(job.get("pri"), int):
            raise ApiError(502, "not_understood", f"The server tells no state of job {id}.")
        if job["state"] in target.states:
            found.append((id, job["pri"]))
        else:
            message = f"Job {id} is {job['state']}: {target.name} needs another state."
            errors[id] = ApiError(409, job["state"], message)
    return found, errors


def _act(link: Link, target: Target, found: Sequence[Found]) -> Iterator[ApiError | None]:
    """For each job None if it was done, else why not: as the replies come, so those before a lost
    connection count.
    """
    commands = [target.commands(id, pri) for id, pri in found]
    link.state = link.state or target.name == "bury"  # a job may stay reserved
    link.send(*(each for some in commands for each in some))
    for (id, _), some in zip(found, commands, strict=True):
        last = [link.reply(keep=0) for _ in some][-1]
        yield None if last.word == target.done else _refused(target, id, last)


def _refused(target: Target, id: int, reply: Reply) -> ApiError:
    if reply.word == "NOT_FOUND":
        message = f"Job {id} was deleted, reserved or changed by another client meanwhile."
        return ApiError(409, "changed", message)
    if reply.word == "OUT_OF_MEMORY":
        return ApiError(*OUT_OF_MEMORY)
    if reply.word in ("UNKNOWN_COMMAND", "BAD_FORMAT"):
        return not_available(target.name)
    return unknown_reply(reply.word)
