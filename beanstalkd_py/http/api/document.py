"""The OpenAPI document, and the only list of routes: `api` makes its routes and its checks of
requests from it. Each operation is done by the method of its `operationId`.

`x-role` says who may: `read` or `full`, or everybody (`open`). `x-needs` names the entry of
`available` in /api/server without which an operation is answered with 501.
"""

from typing import Any

from beanstalkd_py import __version__
from beanstalkd_py.config.passwords import FULL, READ, ROLES
from beanstalkd_py.http.api.schemas import (
    BODY_MOST,
    BODY_SHOWN,
    BOOL,
    COMPONENTS,
    FILTER,
    ID,
    LIST_MOST,
    PAGE_JOBS,
    PAGE_MOST,
    PREVIEW,
    SETTINGS,
    TEXT,
    TUBE_NAME,
    U32,
    U64,
    Schema,
    closed,
    figures,
    listed,
    number,
    one_of,
    ref,
)

Operation = dict[str, Any]

OPEN = "open"
LOGINS = ("me", "login", "logout")
# What an action can be done to.
STATES = {
    "kick": ("delayed", "buried"),
    "bury": ("ready", "delayed"),
    "delete": ("ready", "delayed", "buried"),
    "move": ("ready", "delayed", "buried"),
}
_ERRORS = {
    400: "The request is malformed.",
    401: "A login is needed, or the name or the password is wrong.",
    403: "This client may not do that.",
    404: "There is no such tube or job.",
    409: "The state of the job or tube does not allow it.",
    413: "The body is too large.",
    415: "The request is not JSON.",
    422: "A value is not allowed. Nothing was done.",
    429: "Too many failed logins from this address. See Retry-After.",
    501: "The server has no command for it.",
    502: "The server cannot be reached, or the connection was lost.",
    503: "Not now: the server starts, stops, drains or is full, or too many requests wait.",
    504: "The server did not answer in time. What was asked may still be done.",
}
_TUBE = {"name": "tube", "in": "path", "required": True, "schema": TUBE_NAME}
_ID = {"name": "id", "in": "path", "required": True, "schema": ID}
_STATE = one_of("ready", "reserved", "delayed", "buried")


def _operation(
    id: str,
    summary: str,
    answer: Schema | None,
    *errors: int,
    parameters: tuple[Operation, ...] = (),
    body: Schema | None = None,
    role: str = READ,
    needs: str = "",
    status: str = "200",
    content: str = "application/json",
) -> Operation:
    found: Operation = {"operationId": id, "summary": summary, "x-role": role}
    if needs:
        found["x-needs"] = needs
    if parameters:
        found["parameters"] = list(parameters)
    codes = {*errors, 401, 403, 422, 429, 502, 503, 504}
    if needs:
        codes.add(501)
    if body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
        codes |= {400, 413, 415}
    done: Operation = {"description": "Done."}
    done["content"] = {content: {"schema": answer} if answer is not None else {}}
    found["responses"] = {status: done}
    for code in sorted(codes):
        found["responses"][str(code)] = {"$ref": f"#/components/responses/{code}"}
    return found


def _query(name: str, schema: Schema, required: bool = False) -> Operation:
    return {"name": name, "in": "query", "required": required, "schema": schema}


def _reads() -> dict[str, Operation]:
    return {
        "/api/openapi.json": _operation("openapi", "This document", {"type": "object"}),
        "/api/me": _operation("me", "The user, and what it may do", _user()),
        "/api/server": _operation("server", "The server and its figures", ref("Server")),
        "/api/tubes": _operation(
            "tubes", "All tubes", figures({"tubes": listed(ref("Tube")), "left_out": number(U64)})
        ),
        "/api/tubes/{tube}": _operation("tube", "A tube", ref("Tube"), 404, parameters=(_TUBE,)),
        "/api/tubes/{tube}/jobs": _operation(
            "jobs",
            "Jobs of a tube in one state, page by page. In the order in which they would be "
            "served; in that of their ids, if a filter is given",
            figures(
                {
                    "jobs": listed(ref("ListedJob")),
                    "cursor": {
                        "type": ["string", "null"],
                        "description": "Of the next page, which may be empty; null at the end.",
                    },
                }
            ),
            404,
            parameters=(
                _TUBE,
                _query("state", _STATE, required=True),
                _query("limit", number(PAGE_MOST, 1, default=PAGE_JOBS)),
                _query("cursor", {"type": "string", "pattern": "^[0-9]{1,20}([.][0-9]{1,20})?$"}),
                *(_query(name, schema) for name, schema in FILTER.items()),
            ),
            needs="jobs",
        ),
        "/api/jobs/{id}": _operation(
            "job",
            "A job with its body",
            ref("WholeJob"),
            404,
            409,
            parameters=(
                _ID,
                _query("as", one_of("auto", "text", "json", "base64", default="auto")),
                _query("bytes", number(BODY_MOST, 1, default=BODY_SHOWN)),
            ),
        ),
        "/api/jobs/{id}/body": _operation(
            "body",
            "All bytes of its body",
            None,
            404,
            parameters=(_ID,),
            content="application/octet-stream",
        ),
        "/api/jobs/{id}/history": _operation(
            "history",
            "Its records in the log, as `beanstalkd-binlog history` shows them",
            figures({"records": listed({"type": "object"})}),
            parameters=(_ID,),
            needs="history",
        ),
        "/api/connections": _operation(
            "connections",
            "The clients of the server",
            figures({"connections": listed(ref("Connection"))}),
            needs="connections",
        ),
        "/api/segments": _operation(
            "segments", "The files of the log", ref("Segments"), needs="segments"
        ),
        "/api/events": _operation(
            "events",
            "Server-sent events: about once a second an event `sample`, whose data has `at` and "
            "`stats` as in /api/server, and `tubes` and `left_out` as in /api/tubes",
            None,
            content="text/event-stream",
        ),
    }


def _one_job(action: str) -> Operation:
    more = {"to": TUBE_NAME} if action == "move" else {}
    return _operation(
        f"{action}_job", f"Does it to one job: {action}", figures({"id": ID}), 404, 409,
        parameters=(_ID,), body=closed(more, *more), role=FULL, needs=_needs(action),
    )  # fmt: skip


def _needs(action: str) -> str:
    return "move" if action == "move" else ""


def _listed_jobs(action: str) -> Operation:
    more = {"to": TUBE_NAME} if action == "move" else {}
    ids = listed(ID, minItems=1, maxItems=LIST_MOST)
    body = closed({"ids": ids, "preview": PREVIEW, **more}, "ids", *more)
    return _operation(
        f"{action}_list", f"Does it to the jobs of a list: {action}", ref("Result"),
        body=body, role=FULL, needs=_needs(action),
    )  # fmt: skip


def _matching_jobs(action: str) -> Operation:
    more = {"to": TUBE_NAME} if action == "move" else {}
    body = closed(
        {
            "state": one_of(*STATES[action]),
            **FILTER,
            "preview": PREVIEW,
            "limit": number(U32, 1, description="No more jobs than so many."),
            **more,
        },
        "state",
        *more,
    )
    return _operation(
        f"{action}_matching",
        f"Does it to all jobs of a tube that match: {action}. Jobs that are put meanwhile stay",
        ref("Result"), 404, parameters=(_TUBE,), body=body, role=FULL, needs="matching",
    )  # fmt: skip


def _actions() -> dict[str, Operation]:
    paths = {
        "/api/jobs": _operation(
            "put", "Puts a job", ref("Inserted"), 409, body=ref("Put"), role=FULL, status="201"
        ),
    }
    put = paths["/api/jobs"]["responses"]
    put["200"] = {**put["201"], "description": "A job with this key is there: no new job."}
    for action in STATES:
        paths[f"/api/jobs/{{id}}/{action}"] = _one_job(action)
        paths[f"/api/actions/{action}"] = _listed_jobs(action)
        paths[f"/api/tubes/{{tube}}/jobs/{action}"] = _matching_jobs(action)
    paths["/api/tubes/{tube}/truncate"] = _operation(
        "truncate", "Deletes all jobs of a tube that are not reserved", ref("Result"), 404,
        parameters=(_TUBE,),
        body=closed({"state": one_of("ready", "delayed", "buried"), "preview": PREVIEW}),
        role=FULL, needs="truncate",
    )  # fmt: skip
    paths["/api/tubes/{tube}/pause"] = _operation(
        "pause", "No job of the tube is reserved for so long", _paused(), 404,
        parameters=(_TUBE,), body=closed({"seconds": number(U32, 1)}, "seconds"), role=FULL,
    )  # fmt: skip
    paths["/api/tubes/{tube}/resume"] = _operation(
        "resume", "Ends a pause", _paused(), 404,
        parameters=(_TUBE,), body=closed({}), role=FULL,
    )  # fmt: skip
    paths["/api/tubes/{tube}/policy"] = _operation(
        "policy", "Sets the policy of a tube name. Other settings stay; 0 or \"\" removes one",
        figures({"tube": TEXT, "set": {"type": "object"}}),
        parameters=(_TUBE,), body=closed(SETTINGS, minProperties=1), role=FULL, needs="policy",
    )  # fmt: skip
    paths.update(_logins())
    paths["/api/drain"] = _operation(
        "drain", "Refuses puts, or accepts them again", figures({"draining": BOOL}),
        body=closed({"on": BOOL}, "on"), role=FULL, needs="drain",
    )  # fmt: skip
    return paths


def _logins() -> dict[str, Operation]:
    """They are done before the API is asked; see `beanstalkd_py.http.access`."""
    body = closed({"name": TEXT, "password": TEXT}, "name", "password")
    paths = {
        "/api/login": _operation("login", "Begins a session", _user(), 404, body=body, role=OPEN),
        "/api/logout": _operation("logout", "Ends the session", None, role=OPEN),
    }
    paths["/api/logout"]["responses"] = {"204": {"description": "Done."}} | {
        code: answer for code, answer in paths["/api/logout"]["responses"].items() if code != "200"
    }
    return paths


def _user() -> Schema:
    name = {"type": ["string", "null"], "description": "null: the server has no login."}
    return figures({"name": name, "role": one_of(*ROLES), "read_only": BOOL})


def _paused() -> Schema:
    return figures({"tube": TEXT, "pause": number(U32)})


def document() -> dict[str, Any]:
    paths: dict[str, dict[str, Operation]] = {}
    for method, operations in (("get", _reads()), ("post", _actions())):
        for path, operation in operations.items():
            paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "beanstalkd-py",
            "version": __version__,
            "description": "What a server has, and actions on it. See docs/api.md.",
        },
        "security": [{"basic": []}, {"bearer": []}, {"session": []}, {}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "NAME.PASSWORD",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "beanstalkd_session",
                    "description": "With _PORT if the Host has a port.",
                },
            },
            "schemas": COMPONENTS,
            "responses": {
                str(code): {
                    "description": text,
                    "content": {"application/json": {"schema": ref("Error")}},
                }
                for code, text in _ERRORS.items()
            },
        },
    }
