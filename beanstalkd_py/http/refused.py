"""A request that is refused before it reaches its page."""

import json
from collections.abc import Mapping

from werkzeug.wrappers import Request, Response


class Refused(Exception):
    """code: a word for programs. message: a sentence for people."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

    def response(self, request: Request) -> Response:
        """As JSON under /api/, as text elsewhere."""
        if request.path.startswith("/api/"):
            body = json.dumps({"error": {"code": self.code, "message": self.message}})
            kind = "application/json"
        else:
            body, kind = f"{self.message}\n", "text/plain"
        return Response(body, self.status, headers=dict(self.headers), mimetype=kind)
