"""The files of the console, as pages of the HTTP side.

All files except `index.html` have a hash of all of them in their path. So a browser keeps them as
long as it likes, and never mixes the files of two versions. `index.html` is asked for each time.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from werkzeug.wrappers import Request, Response

Page = Callable[[Request], Response]

STATIC = Path(__file__).parent / "static"
_TYPES = {
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
# Nothing runs except our own files. With Trusted Types, a browser also refuses each assignment that
# would parse text as markup or as a script: so the body of a job stays text.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
FOREVER = "public, max-age=31536000, immutable"


def pages() -> dict[str, Page]:
    """Each page by its path."""
    contents = {
        path.relative_to(STATIC).as_posix(): path.read_bytes()
        for path in sorted(STATIC.glob("**/*.*"))
    }
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(b"%s %d\n%s" % (name.encode(), len(content), content))
    version = digest.hexdigest()[:16]
    index = contents.pop("index.html").replace(b"@VERSION@", version.encode())
    found = {f"/console/{version}/{name}": _file(name, data) for name, data in contents.items()}
    return {"/": _index(index), **found}


def _index(content: bytes) -> Page:
    headers = {
        "Content-Security-Policy": POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    return lambda request: Response(content, headers=headers, mimetype="text/html")


def _file(name: str, content: bytes) -> Page:
    kind = _TYPES[name.rpartition(".")[2]]
    headers = {"Cache-Control": FOREVER}
    return lambda request: Response(content, headers=headers, mimetype=kind)
