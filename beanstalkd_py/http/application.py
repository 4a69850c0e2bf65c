"""The WSGI application: checks the access, routes requests to pages, and makes error pages."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from beanstalkd_py.http.access import Access
from beanstalkd_py.http.refused import Refused

Page = Callable[[Request], Response]

# Of every response. Nothing is loaded or run by a page that is not the console's.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Application:
    """pages: by path, for GET. access: checks each request first, and has pages of its own. api:
    all other paths under /api/, with any method.
    """

    def __init__(self, pages: Mapping[str, Page], access: Access, api: Page) -> None:
        self._api = api
        rules = [Rule(path, endpoint=page, methods=["GET"]) for path, page in pages.items()]
        self._map = Map(rules, strict_slashes=False, merge_slashes=False)
        self._access = access

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        try:
            response = self._respond(request)
        except Refused as error:
            response = error.response(request)
        except HTTPException as error:
            response = text(f"{error.description}\n", error.code or 500)
            response.headers.extend(
                (name, value) for name, value in error.get_headers() if name == "Allow"
            )
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response(environ, start_response)

    def _respond(self, request: Request) -> Response:
        self._access.check(request)
        return self._access.while_allowed(request, self._page(request)(request))

    def _page(self, request: Request) -> Page:
        if request.path.startswith("/api/"):
            return self._access.page(request) or self._api
        page: Page = self._map.bind("").match(request.path, request.method)[0]
        return page


def text(body: str, status: int = 200) -> Response:
    return Response(body, status, mimetype="text/plain")
