"""The schemas of the OpenAPI document: what requests must look like, and what responses have.

Figures have the names that the protocol gives them in `stats`, `stats-tube`, `stats-job` and
`list-connections`. Schemas of requests have only the keywords that `check` knows.
"""

from typing import Any

Schema = dict[str, Any]

U32 = 0xFFFFFFFF
U64 = 0xFFFFFFFFFFFFFFFF
PAGE_JOBS = 50
PAGE_MOST = 200
LIST_MOST = 1000  # ids of one request
BODY_SHOWN = 64 << 10  # bytes of a body, if the request names no number
BODY_MOST = 256 << 10
PATTERN_MOST = 200  # characters of a filter
BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
NAME = "^[A-Za-z0-9+/;.$_()][A-Za-z0-9+/;.$_()-]{0,199}$"


def number(most: int, least: int = 0, **more: Any) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most, **more}


def one_of(*words: str, **more: Any) -> Schema:
    return {"type": "string", "enum": list(words), **more}


def listed(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def closed(properties: dict[str, Schema], *required: str, **more: Any) -> Schema:
    """An object with these properties and no others."""
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        found["required"] = list(required)
    return {**found, **more}


def figures(properties: dict[str, Schema], **more: Any) -> Schema:
    """All of these, and perhaps more: other servers and other versions have others."""
    return {"type": "object", "properties": properties, "required": list(properties), **more}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


COUNT = number(U64)
TEXT = {"type": "string"}
BOOL = {"type": "boolean"}
TUBE_NAME = {"type": "string", "pattern": NAME}
ID = number(U64, 1)
ATTEMPTS = number(U32)
SECONDS = number(U32)
BYTES_IN_BASE64 = {"type": "string", "pattern": BASE64, "minLength": 4, "maxLength": PATTERN_MOST}

# Which jobs: all of these must be true of a job.
FILTER: dict[str, Schema] = {
    "contains": {
        "type": "string", "minLength": 1, "maxLength": PATTERN_MOST,
        "description": "The body has these bytes somewhere: the text in UTF-8.",
    },
    "contains_base64": {
        **BYTES_IN_BASE64, "description": "The body has these bytes somewhere.",
    },
    "min_age": {**SECONDS, "description": "Seconds since the put, at least."},
    "max_age": {**SECONDS, "description": "Seconds since the put, at most."},
    "min_attempts": {**ATTEMPTS, "description": "Reserves of the job, at least."},
    "max_attempts": {**ATTEMPTS, "description": "Reserves of the job, at most."},
}  # fmt: skip

SETTINGS: dict[str, Schema] = {
    "max-attempts": ATTEMPTS,
    "dead-tube": {"type": "string", "pattern": f"^$|{NAME}"},
    "max-jobs": ATTEMPTS,
    "max-bytes": COUNT,
    "max-reserved": ATTEMPTS,
    "expire": SECONDS,
}

PUT = closed(
    {
        "tube": TUBE_NAME,
        "body": {**TEXT, "description": "Becomes UTF-8."},
        "body_base64": {"type": "string", "pattern": BASE64},
        "pri": {**SECONDS, "default": 1024},
        "delay": {**SECONDS, "default": 0},
        "ttr": {**number(U32, 1), "default": 60},
        "key": {
            "type": "string", "pattern": "^[!-~]{1,200}$",
            "description": "Unique in the tube. A repeated request with the key puts no second "
            "job: the answer has the id of the job that is there.",
        },
        "until_reserve": {**BOOL, "description": "The key ends with the first reserve."},
        "expire": SECONDS,
        "attempts": ATTEMPTS,
        "at": {**number(U32), "description": "Unix time at which the job is ready."},
    },
    "tube",
    dependentRequired={"until_reserve": ["key"]},
    allOf=[
        {"not": {"required": ["body", "body_base64"]}},
        {"not": {"required": ["delay", "at"]}},
    ],
)  # fmt: skip

PREVIEW = {**BOOL, "default": False, "description": "Counts, and changes nothing."}

_JOB = {
    "id": ID, "tube": TEXT, "state": one_of("ready", "reserved", "delayed", "buried"),
    "pri": COUNT, "age": COUNT, "delay": COUNT, "ttr": COUNT, "time-left": COUNT,
    "file": COUNT, "reserves": COUNT, "timeouts": COUNT, "releases": COUNT, "buries": COUNT,
    "kicks": COUNT,
}  # fmt: skip
_TUBE = {
    "name": TEXT, "current-jobs-urgent": COUNT, "current-jobs-ready": COUNT,
    "current-jobs-reserved": COUNT, "current-jobs-delayed": COUNT, "current-jobs-buried": COUNT,
    "total-jobs": COUNT, "current-using": COUNT, "current-watching": COUNT,
    "current-waiting": COUNT, "cmd-delete": COUNT, "cmd-pause-tube": COUNT, "pause": COUNT,
    "pause-time-left": COUNT,
}  # fmt: skip
_BODY = {
    "size": {**COUNT, "description": "Bytes of the whole body."},
    "body": {"description": "Its beginning, as `encoding` says."},
    "encoding": one_of("text", "json", "base64"),
    "truncated": {**BOOL, "description": "Whether `body` is not all of it."},
    "is_json": {**BOOL, "description": "Whether the body is JSON, as far as it was looked at."},
}

COMPONENTS: dict[str, Schema] = {
    "Error": closed(
        {
            "error": figures({"code": TEXT, "message": TEXT}),
            "result": ref("Result"),
        },
        "error",
        description="`result` is there if an action on many jobs failed on its way.",
    ),
    "Server": figures(
        {
            "at": {"type": "number", "description": "Unix time."},
            "server": one_of("beanstalkd-py", "beanstalkd"),
            "version": TEXT,
            "extensions": listed(TEXT, description="As `capabilities` lists them."),
            "available": listed(TEXT, description="What this API can do with the server."),
            "stats": ref("Stats"),
        }
    ),
    "Stats": {
        "type": "object",
        "description": "The keys of `stats`.",
        "additionalProperties": {"type": ["integer", "number", "string", "boolean"]},
    },
    "Tube": figures(
        _TUBE,
        description="The keys of `stats-tube`. With `capabilities` also the oldest ready job and "
        "the settings of `set-tube`. In a list of tubes only its age, and only of our server.",
    ),
    "Job": figures(_JOB, description="The keys of `stats-job`."),
    "ListedJob": figures({**_JOB, **_BODY}, description="With the first bytes of its body."),
    "WholeJob": figures({**_JOB, **_BODY}),
    "Connection": figures(
        {
            "id": ID, "address": TEXT, "user": TEXT, "age": COUNT, "tube": TEXT,
            "watching": COUNT, "reserved": COUNT, "waiting": BOOL, "waiting-time": COUNT,
            "pending-bytes": COUNT,
        },
        description="The keys of `list-connections`.",
    ),
    "Segments": figures(
        {
            "log": {**BOOL, "description": "False: a server without a log."},
            "segments": listed(
                figures({"number": COUNT, "bytes": COUNT, "live_bytes": COUNT, "active": BOOL})
            ),
            "spare_bytes": {**COUNT, "description": "Preallocated, for later segments."},
            "total_bytes": {**COUNT, "description": "Of all files."},
            "live_bytes": COUNT,
            "full": {**BOOL, "description": "Puts are refused, because the disk is full."},
        }
    ),
    "Result": figures(
        {
            "preview": BOOL,
            "matched": {**COUNT, "description": "Jobs that the action was meant for."},
            "done": COUNT,
            "failed": COUNT,
            "failures": listed(
                figures({"id": ID, "code": TEXT, "message": TEXT}),
                description="The first of them.",
            ),
        }
    ),
    "Put": PUT,
    "Inserted": figures({"id": ID, "created": BOOL}),
}  # fmt: skip
