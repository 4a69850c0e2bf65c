"""Mutants of the JSON API: what it shows and does, and when it answers."""

from __future__ import annotations

from .invariants import Invariant
from .mutant import Mutant

_SEARCH = ("tests/http/api/test_api_search.py --timeout 60",)
_DURABLE = ("tests/http/api/test_api_durable.py",)
_TURNS = ("tests/http/api/test_api_turns.py --timeout 60",)
_REMOTE = ("tests/http/api/test_api_remote.py",)
_HTTP = "beanstalkd_py/http/api/"


def _mutant(
    name: str, broken: str, module: str, piece: str, replacement: str, caught_by: tuple[str, ...],
    invariant: Invariant = Invariant.C_PROTOCOL_FIRST,
) -> Mutant:  # fmt: skip
    return Mutant(
        invariant, f"api-{name}", broken, f"{_HTTP}{module}.py", piece, replacement, caught_by
    )


HTTP_API = (
    _mutant(
        "shows-what-is-not-durable",
        "the API shows a job before its put is on disk",
        "local",
        '            link.one(b"ping\\r\\n")\n',
        "            pass\n",
        _DURABLE,
        Invariant.REPLY_IS_A_PROMISE,
    ),
    _mutant(
        "answers-before-the-reply",
        "the API answers an action before the server has replied to its commands",
        "bulk",
        "            error = next(_act(link, target, found))\n",
        "            link.send(*target.commands(*found[0]))\n            error = None\n",
        ("tests/http/api/test_api_bulk.py -k waits_for",),
        Invariant.REPLY_IS_A_PROMISE,
    ),
    _mutant(
        "body-keeps-its-connection",
        "a HEAD for a body takes one of the console's connections for ever",
        "reads",
        "            response.call_on_close(pieces.close)  # for HEAD, no piece is taken\n",
        "            pass\n",
        ("tests/http/api/test_api_remote.py -k gives_its_connection",),
    ),
    _mutant(
        "lost-server-is-our-error",
        "a server that is lost in the middle of a body is reported as an error of ours",
        "remote",
        "            raise ConnectionResetError(errno.ECONNRESET, error.message) from error\n",
        "            raise\n",
        ("tests/http/api/test_api_remote.py -k lost_server",),
    ),
    _mutant(
        "reply-without-end-kept",
        "the reply of a hostile server fills the memory of the console",
        "link",
        "        if keep is None and head.size > BODY_MOST:\n",
        "        if False:\n",
        ("tests/http/api/test_api_remote.py -k without_end",),
    ),
    _mutant(
        "reply-of-negative-length",
        "the reply of a hostile server lets the console spin for ever",
        "link",
        "        if not 0 <= size <= SIZE_MOST:\n",
        "        if size > SIZE_MOST:\n",
        ("tests/http/api/test_api_bulk.py -k not_understood --timeout 20",),
    ),
    _mutant(
        "infinity-in-an-answer",
        "an answer is not JSON, because a body has a number that Python cannot hold",
        "bodies",
        "    return value if isfinite(value) else _refuse(text)\n",
        "    return value\n",
        ("tests/http/api/test_api_reads.py -k body_is_shown",),
    ),
    _mutant(
        "replies-before-the-end-lost",
        "an action on many jobs that breaks off does not count the last jobs that were done",
        "bulk",
        "    for (id, _), error in zip(found, _act(link, target, found), strict=True):\n",
        "    for (id, _), error in zip(found, list(_act(link, target, found)), strict=True):\n",
        ("tests/http/api/test_api_bulk.py -k end_of_a_connection",),
    ),
    _mutant(
        "history-runs-the-working-directory",
        "a file in the working directory of the server is run for the history of a job",
        "history",
        "sys.path[:] = filter(None, sys.path); ",
        "",
        ("tests/http/api/test_api_reads.py -k runs_nothing",),
    ),
    _mutant(
        "history-failed-in-silence",
        "a log that cannot be read looks as if it had no records of a job",
        "history",
        "    if at_end and process.returncode and not found:\n",
        "    if False:\n",
        ("tests/http/api/test_api_reads.py -k cannot_be_read",),
    ),
    _mutant(
        "broken-action-says-nothing",
        "an action on many jobs that breaks off does not say what was done",
        "bulk",
        "        if isinstance(error, ApiError):\n            error.result",
        "        if isinstance(error, str):\n            error.result",
        ("tests/http/api/test_api_bulk.py -k broken_action",),
    ),
    _mutant(
        "preview-acts",
        "a preview of all that match acts on them",
        "bulk",
        "            link = None if preview else self._source.connect()\n",
        "            link = self._source.connect()\n",
        _SEARCH,
    ),
    _mutant(
        "preview-of-a-list-acts",
        "a preview of a list acts on its jobs",
        "bulk",
        "                    if not preview:\n",
        "                    if True:\n",
        ("tests/http/api/test_api_actions.py -k long_list",),
    ),
    _mutant(
        "truncate-preview-acts",
        "a preview of truncate deletes",
        "actions",
        '        if values["preview"]:\n',
        '        if "state" in values and values["preview"]:\n',
        ("tests/http/api/test_api_actions.py -k truncate_counts",),
    ),
    _mutant(
        "misspelt-filter-selects-all",
        "a name that the document does not have is ignored in the body of a request",
        "check",
        "        if name not in wanted:\n"
        '            raise invalid(f"{where} has an unknown name {name[:100]!r}.")\n',
        "        if name not in wanted:\n            continue\n",
        ("tests/http/api/test_api_actions.py -k wrong_value",),
    ),
    _mutant(
        "misspelt-parameter-selects-all",
        "a parameter that the document does not have is ignored",
        "api",
        '            raise invalid(f"There is no parameter {name[:100]!r}.")\n',
        "            continue\n",
        ("tests/http/api/test_api_reads.py -k wrong_request",),
    ),
    _mutant(
        "body-becomes-commands",
        "the server takes the body behind a line that is too long for commands",
        "link",
        "    if len(text) > COMMAND_MOST:\n",
        "    if len(text) > COMMAND_MOST * 9:\n",
        ("tests/http/api/test_api_actions.py -k taken_for_commands --timeout 60",),
    ),
    _mutant(
        "search-repeats-jobs",
        "a page with a filter begins with the last job of the page before",
        "search",
        "                if job.id <= self.seen:\n",
        "                if job.id < self.seen:\n",
        ("tests/http/api/test_api_reads.py -k pages_skip",),
    ),
    _mutant(
        "search-skips-jobs",
        "a search that stops in time has the cursor behind a job that it did not look at",
        "search",
        "                    if self._now() > self._until:\n                        return\n",
        "                    if self._now() > self._until:\n"
        "                        self.seen = job.id\n                        return\n",
        _SEARCH,
    ),
    _mutant(
        "search-never-ends",
        "an action on all that match goes on with the jobs that are put meanwhile",
        "search",
        "                if job.id >= highest:\n",
        "                if job.id < 0:\n",
        _SEARCH,
    ),
    _mutant(
        "acts-on-changed-jobs",
        "a job that changed while its body was searched still matches",
        "search",
        "        if not self._is_wanted(job) or self._state.jobs.get(job.id) is not job:\n",
        "        if self._state is None:\n",
        _SEARCH,
    ),
    _mutant(
        "search-stops-the-loop",
        "the loop does not turn while jobs are searched",
        "search",
        "                    self._check()\n                    if self._now",
        "                    if self._now",
        _SEARCH,
    ),
    _mutant(
        "long-body-stops-the-loop",
        "the loop does not turn while a long body is searched",
        "search",
        "        if begin + PIECE < end:\n            check()\n",
        "",
        _SEARCH,
    ),
    _mutant(
        "bytes-between-pieces-are-not-found",
        "a search does not find bytes that lie in two pieces of a long body",
        "search",
        "begin + PIECE + overlap)",
        "begin + PIECE)",
        _SEARCH,
    ),
    _mutant(
        "requests-share-a-turn",
        "each of many requests works for a slice between two turns of the loop",
        "turns",
        "            self._turn()\n            self._lock.release()\n",
        "            self._lock.release()\n            self._turn()\n",
        _TURNS,
    ),
    _mutant(
        "stale-connection-is-reused",
        "a connection on which a job stays reserved is used for the next request",
        "local",
        "        if self._kept is not None or not link.is_clean:\n",
        "        if self._kept is not None:\n",
        ("tests/http/api/test_api_actions.py -k leave_nothing",),
    ),
    _mutant(
        "works-during-replay",
        "the API shows and changes a queue of which only a part is read",
        "local",
        "    def _check_ready(self) -> None:\n        if self._health.phase:\n",
        "    def _check_ready(self) -> None:\n        if False:\n",
        ("tests/http/api/test_api_replay.py --timeout 60",),
    ),
    _mutant(
        "listeners-without-bound",
        "listeners take all HTTP connections",
        "events",
        "        if self._listeners >= LISTENERS:\n",
        "        if self._listeners < 0:\n",
        ("tests/http/api/test_api_events.py -k listeners_are_bounded",),
    ),
    _mutant(
        "samples-without-listeners",
        "the sampler goes on after the last listener has gone",
        "events",
        "            while self._listeners:\n",
        "            while True:\n",
        ("tests/http/api/test_api_events.py -k nothing_is_sampled",),
    ),
    _mutant(
        "old-message-is-sent",
        "a slow listener gets an old message",
        "events",
        "                yield self._message\n",
        "                message = self._message\n                yield message\n"
        "                yield message\n",
        ("tests/http/api/test_api_events.py -k newest",),
    ),
    _mutant(
        "c-server-is-asked-for-more",
        "the API takes the C server for one with extensions",
        "remote",
        '        if said.get("server") == OURS:\n',
        '        if said.get("server") != "":\n',
        _REMOTE,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "api-takes-places-of-clients",
        "the API's connections count for --max-connections",
        "beanstalkd_py/server/admission.py",
        "len(self._addresses) - self._counts.get(INSIDE, 0)",
        "len(self._addresses)",
        ("tests/server/test_admission.py",),
    ),
)
