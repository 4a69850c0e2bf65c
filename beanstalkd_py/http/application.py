"""The WSGI application: routes requests to pages, checks who may ask, and makes error pages."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from werkzeug.exceptions import Forbidden, HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from beanstalkd_py.http.hosts import is_loopback_name

Page = Callable[[Request], Response]

# Of every response. Nothing is loaded or run by a page that is not the console's.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Application:
    """pages: by path. loopback: whether only loopback names may be in the Host header. api: all
    paths under /api/, with any method.
    """

    def __init__(self, pages: Mapping[str, Page], loopback: bool, api: Page) -> None:
        self._api = api
        rules = [Rule(path, endpoint=page, methods=["GET"]) for path, page in pages.items()]
        self._map = Map(rules, strict_slashes=False, merge_slashes=False)
        self._loopback = loopback

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        try:
            response = self._respond(request)
        except HTTPException as error:
            response = text(f"{error.description}\n", error.code or 500)
            response.headers.extend(
                (name, value) for name, value in error.get_headers() if name == "Allow"
            )
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response(environ, start_response)

    def _respond(self, request: Request) -> Response:
        if self._loopback and not is_loopback_name(request.headers.get("Host", "")):
            raise Forbidden("The Host header must be a loopback name, such as localhost.")
        if request.path.startswith("/api/"):
            return self._api(request)
        page: Page = self._map.bind("").match(request.path, request.method)[0]
        return page(request)


def text(body: str, status: int = 200) -> Response:
    return Response(body, status, mimetype="text/plain")
