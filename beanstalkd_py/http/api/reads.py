"""The operations that change nothing."""

from base64 import b64decode
from time import time
from typing import Any

from werkzeug.wrappers import Response

from beanstalkd_py.http.api import bodies
from beanstalkd_py.http.api.errors import no_job, no_tube
from beanstalkd_py.http.api.events import Events
from beanstalkd_py.http.api.source import Filter, Source

Values = dict[str, Any]

LISTED_BYTES = 200  # of each body in a list


class Reads:
    """Each method is an operation of the OpenAPI document. Its values are checked."""

    def __init__(self, source: Source, events: Events) -> None:
        self._source = source
        self._events = events

    def server(self, values: Values) -> Values:
        about = self._source.about()
        return {
            "at": time(),
            "server": about.server,
            "version": about.version,
            "extensions": about.extensions,
            "available": sorted(about.available),
            "stats": self._source.stats(),
        }

    def tubes(self, values: Values) -> Values:
        tubes, left_out = self._source.tubes()
        return {"tubes": tubes, "left_out": left_out}

    def tube(self, values: Values) -> Values:
        found = self._source.tube(values["tube"])
        if found is None:
            raise no_tube(values["tube"])
        return found

    def jobs(self, values: Values) -> Values:
        page = self._source.jobs(
            values["tube"], values["state"], values["limit"], values.get("cursor"),
            filter_of(values), LISTED_BYTES,
        )  # fmt: skip
        if page is None:
            raise no_tube(values["tube"])
        return {"jobs": [bodies.shown(job) for job in page.jobs], "cursor": page.cursor}

    def job(self, values: Values) -> Values:
        job = self._source.job(values["id"], values["bytes"])
        if job is None:
            raise no_job(values["id"])
        return bodies.shown(job, values["as"])

    def body(self, values: Values) -> Response:
        pieces = self._source.body(values["id"])
        if pieces is None:
            raise no_job(values["id"])
        disposition = f'attachment; filename="job-{values["id"]}"'
        headers = {"Content-Disposition": disposition}
        response = Response(pieces, mimetype="application/octet-stream", headers=headers)
        if hasattr(pieces, "close"):
            response.call_on_close(pieces.close)  # for HEAD, no piece is taken
        return response

    def history(self, values: Values) -> Values:
        return {"records": self._source.history(values["id"])}

    def connections(self, values: Values) -> Values:
        return {"connections": self._source.connections()}

    def segments(self, values: Values) -> Values:
        return self._source.segments()

    def events(self, values: Values) -> Response:
        return Response(self._events.listen(), mimetype="text/event-stream")


def filter_of(values: Values) -> Filter:
    needles = []
    if "contains" in values:
        needles.append(values["contains"].encode())
    if "contains_base64" in values:
        needles.append(b64decode(values["contains_base64"]))
    return Filter(
        tuple(needles), values.get("min_age"), values.get("max_age"),
        values.get("min_attempts"), values.get("max_attempts"),
    )  # fmt: skip
