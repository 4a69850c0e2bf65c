"""The operations that change something. Each is done by commands of the protocol, as a client does
it, so its answer has the promise of their replies.
"""

from base64 import b64decode
from typing import Any

from beanstalkd_py.http.api.bulk import TARGETS, Bulk
from beanstalkd_py.http.api.document import STATES
from beanstalkd_py.http.api.errors import (
    OUT_OF_MEMORY,
    ApiError,
    no_tube,
    not_available,
    unknown_reply,
)
from beanstalkd_py.http.api.link import Reply, line
from beanstalkd_py.http.api.reads import filter_of
from beanstalkd_py.http.api.source import Source

Values = dict[str, Any]

# Replies that are not what was wanted: status, code, message.
_REFUSALS = {
    "BAD_FORMAT": (422, "bad_format", "The server does not accept a value."),
    "BURIED": (503, "buried", "The server had no memory for the job, and has buried it."),
    "DRAINING": (503, "draining", "The server drains: it takes no jobs."),
    "JOB_TOO_BIG": (413, "job_too_big", "The body is larger than the server's max-job-size."),
    "OUT_OF_MEMORY": OUT_OF_MEMORY,
    "TUBE_FULL": (409, "tube_full", "The tube has as much as its policy allows."),
    "UNKNOWN_COMMAND": (501, "not_available", "The server does not have this command."),
}
_SETTINGS = ("key", "expire", "attempts", "at")


class Actions:
    """Each method except `bulk` is an operation of the OpenAPI document. Its values are checked."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._bulk = Bulk(source)

    def put(self, values: Values) -> tuple[int, Values]:
        body = values.get("body", "").encode() or b64decode(values.get("body_base64", ""))
        begin = (values.get("pri", 1024), values.get("delay", 0), values.get("ttr", 60), len(body))
        settings = [f"{name}={values[name]}" for name in _SETTINGS if name in values]
        if values.get("until_reserve"):
            settings.append("until=reserve")
        if settings and "put-with" not in self._source.about().available:
            raise not_available("put-with")
        command = line("put-with", *begin, *settings) if settings else line("put", *begin)
        with self._source.connect() as link:
            link.state = True
            link.one(line("use", values["tube"]))
            reply = link.one(command + body + b"\r\n")
        if reply.word in ("INSERTED", "EXISTS"):
            created = reply.word == "INSERTED"
            return 201 if created else 200, {"id": reply.number(), "created": created}
        raise refusal(reply)

    def bulk(self, action: str, form: str, values: Values) -> Values:
        """form: job, list or matching."""
        target = TARGETS[action](values.get("to", ""))
        if form == "job":
            return self._bulk.one(target, values["id"])
        if form == "list":
            return self._bulk.of_list(target, values["ids"], values["preview"])
        tube, state = values["tube"], values["state"]
        if self._source.tube(tube) is None:
            raise no_tube(tube)
        assert state in STATES[action]
        return self._bulk.matching(
            target, tube, state, filter_of(values), values.get("limit"), values["preview"]
        )

    def truncate(self, values: Values) -> Values:
        tube = values["tube"]
        states = [values["state"]] if "state" in values else ["ready", "delayed", "buried"]
        figures = self._source.tube(tube)
        if figures is None:
            raise no_tube(tube)
        matched = sum(figures[f"current-jobs-{state}"] for state in states)
        result = {"preview": True, "matched": matched, "done": 0, "failed": 0, "failures": []}
        if values["preview"]:
            return result
        with self._source.connect() as link:
            link.wait_longer()
            reply = link.one(line("truncate", tube, *states[: "state" in values]))
        done = _expected(reply, "TRUNCATED", tube).number()
        return {**result, "preview": False, "matched": done, "done": done}

    def pause(self, values: Values) -> Values:
        return self._pause(values["tube"], values["seconds"])

    def resume(self, values: Values) -> Values:
        return self._pause(values["tube"], 0)

    def _pause(self, tube: str, seconds: int) -> Values:
        with self._source.connect() as link:
            _expected(link.one(line("pause-tube", tube, seconds)), "PAUSED", tube)
        return {"tube": tube, "pause": seconds}

    def policy(self, values: Values) -> Values:
        tube = values.pop("tube")
        settings = [f"{name}={value}" for name, value in values.items()]
        with self._source.connect() as link:
            _expected(link.one(line("set-tube", tube, *settings)), "TUBE_SET", tube)
        return {"tube": tube, "set": values}

    def drain(self, values: Values) -> Values:
        with self._source.connect() as link:
            reply = link.one(line("drain", "on" if values["on"] else "off"))
        if reply.word != "DRAIN":
            raise refusal(reply)
        return {"draining": reply.words[1] == b"on"}


def _expected(reply: Reply, word: str, tube: str) -> Reply:
    if reply.word == word:
        return reply
    if reply.word == "NOT_FOUND":
        raise no_tube(tube)
    raise refusal(reply)


def refusal(reply: Reply) -> ApiError:
    known = _REFUSALS.get(reply.word)
    return unknown_reply(reply.word) if known is None else ApiError(*known)
