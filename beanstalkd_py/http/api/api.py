"""A request under /api/: its route, its checks, the operation that does it, and its answer as JSON.

Routes and checks are made from the OpenAPI document.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from werkzeug.wrappers import Request, Response

from beanstalkd_py.http.api.actions import Actions
from beanstalkd_py.http.api.check import check, converted, invalid, resolved, with_defaults
from beanstalkd_py.http.api.document import LOGINS, document
from beanstalkd_py.http.api.errors import ApiError, not_available
from beanstalkd_py.http.api.events import Events
from beanstalkd_py.http.api.reads import Reads
from beanstalkd_py.http.api.render import rendered
from beanstalkd_py.http.api.source import Source
from beanstalkd_py.http.api.turns import Turns

ROOT = "/api/"
BODY_BYTES = 192 << 10  # of a request: to parse so many takes up to 5 ms
_QUERY_MOST = 50  # parameters
_EXACT = 2**53  # integers below are exact as floats

Values = dict[str, Any]


class Route(NamedTuple):
    """parts: of the path. operations: by method."""

    parts: list[str]
    operations: dict[str, dict[str, Any]]


class Api:
    """failed: called with an internal error, if no answer can report it."""

    def __init__(
        self, source: Source, turns: Turns, failed: Callable[[str, Exception], None]
    ) -> None:
        self.turns = turns
        self._source = source
        shown = document()
        self._document = json.dumps(shown).encode()
        self._routes = [
            Route(path.split("/"), {method.upper(): each for method, each in methods.items()})
            for path, methods in shown["paths"].items()
        ]
        self._reads = Reads(source, Events(source, turns, failed))
        self._actions = Actions(source)

    def respond(self, request: Request) -> Response:
        """Raises nothing that a client can cause."""
        try:
            return self._respond(request)
        except ApiError as error:
            return self.refused(error)

    def refused(self, error: ApiError) -> Response:
        return _json([json.dumps(error.as_json()).encode()], error.status)

    def _respond(self, request: Request) -> Response:
        parts = _parts(request)
        route = self._route(parts)
        method = "GET" if request.method == "HEAD" else request.method
        operation = route.operations.get(method)
        if operation is None:
            allowed = {"HEAD"} if "GET" in route.operations else set()
            answer = self.refused(ApiError(405, "method", "This path has no such method."))
            answer.headers["Allow"] = ", ".join(sorted({*route.operations, *allowed}))
            return answer
        values = _parameters(operation, route, parts, request)
        if "requestBody" in operation:
            values.update(_body(operation, request))
        if operation["operationId"] == "openapi":
            return _json([self._document], 200)
        needs = operation.get("x-needs")
        if needs and needs not in self._source.about().available:
            raise not_available(needs)
        result = self._do(operation["operationId"], values)
        if isinstance(result, Response):
            return result
        status, figures = result
        with self.turns.work():
            return _json(list(rendered(figures, self.turns)), status)

    def _route(self, parts: list[str]) -> Route:
        for route in self._routes:
            if len(route.parts) == len(parts) and all(
                wanted == part or (wanted.startswith("{") and part)
                for wanted, part in zip(route.parts, parts, strict=True)
            ):
                return route
        raise ApiError(404, "no_path", "There is no such path; see /api/openapi.json.")

    def _do(self, id: str, values: Values) -> Response | tuple[int, Values]:
        for owner in (self._reads, self._actions):
            do: Callable[[Values], Any] | None = getattr(owner, id, None)
            if do is not None:
                result = do(values)
                if isinstance(result, (Response, tuple)):
                    return result
                return 200, result
        if id in LOGINS:
            raise ApiError(404, "no_login", "This server has no login.")
        action, _, form = id.partition("_")
        return 200, self._actions.bulk(action, form, values)


def _json(pieces: list[bytes], status: int) -> Response:
    return Response(b"".join(pieces), status, mimetype="application/json")


def _parts(request: Request) -> list[str]:
    """Of the path as the client sent it: a tube name may have a slash, as %2F."""
    path = request.environ.get("RAW_PATH", request.path)
    try:
        return [unquote(part, errors="strict") for part in path.split("/")]
    except UnicodeDecodeError:
        raise ApiError(404, "no_path", "The path is not UTF-8.") from None


def _parameters(
    operation: Mapping[str, Any], route: Route, parts: list[str], request: Request
) -> Values:
    """Of path and query."""
    declared = operation.get("parameters", [])
    schemas = {each["name"]: each["schema"] for each in declared}
    values: Values = {}
    for wanted, part in zip(route.parts, parts, strict=True):
        if wanted.startswith("{"):
            name = wanted[1:-1]
            values[name] = converted(part, schemas[name], name)
    in_query = {each["name"]: each["schema"] for each in declared if each["in"] == "query"}
    given = _query(request)
    for name, text in given:
        if name not in in_query:
            raise invalid(f"There is no parameter {name[:100]!r}.")
        if name in values:
            raise invalid(f"{name} is given twice.")
        values[name] = converted(text, in_query[name], name)
    for each in declared:
        if each["required"] and each["name"] not in values:
            raise invalid(f"{each['name']} is missing.")
    return with_defaults(values, in_query)


def _query(request: Request) -> list[tuple[str, str]]:
    text = request.query_string.decode("latin-1")
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_QUERY_MOST)
    except ValueError:
        raise invalid("The query is not UTF-8, or has too many parameters.") from None


def _body(operation: Mapping[str, Any], request: Request) -> Values:
    if request.mimetype != "application/json":
        raise ApiError(415, "not_json", "The Content-Type must be application/json.")
    data = request.get_data()
    if len(data) > BODY_BYTES:
        raise ApiError(413, "too_large", f"A request has at most {BODY_BYTES} bytes.")
    try:
        value = json.loads(data, parse_constant=_no_constant, parse_float=_number)
    except (ValueError, RecursionError):
        raise ApiError(400, "bad_json", "The body is not JSON.") from None
    schema = resolved(operation["requestBody"]["content"]["application/json"]["schema"])
    check(value, schema, "the body")
    return with_defaults(value, schema["properties"])


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _number(text: str) -> float:
    """JSON has one kind of number: 3.0 is an integer too."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < _EXACT else value
