"""An answer that is an error: a status, a code for programs, and a sentence for people."""

from typing import Any


class ApiError(Exception):
    """result: what an action on many jobs had done before it broke off."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.result: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"error": {"code": self.code, "message": self.message}}
        if self.result is not None:
            found["result"] = self.result
        return found


# Status, code and message of the reply OUT_OF_MEMORY.
OUT_OF_MEMORY = (503, "full", "The server has no memory, or its disk is full.")


def no_tube(name: str) -> ApiError:
    return ApiError(404, "no_tube", f"There is no tube {name}.")


def no_job(id: int) -> ApiError:
    return ApiError(404, "no_job", f"There is no job {id}.")


def not_available(what: str) -> ApiError:
    return ApiError(501, "not_available", f"The server cannot do this: {what}.")


def unknown_reply(word: str) -> ApiError:
    return ApiError(502, "not_understood", f"The server's reply is unknown: {word!r}.")
