"""The text of `-v`."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec

from beanstalkd_py import C_VERSION, __version__


def text() -> str:
    """The versions, and a line that says which build of the server runs."""
    modules = "compiled" if build() == "compiled" else "pure Python"
    batched = "in C" if _is_built("beanstalkd_py.server._batchedio") else "in Python"
    return (
        f"beanstalkd-py {__version__}, compatible with beanstalkd {C_VERSION}\n"
        f"modules: {modules}; batched socket I/O: {batched}\n"
    )


def build() -> str:
    """How the modules of the server were built."""
    return "compiled" if _is_built("beanstalkd_py.queue.queue") else "pure"


def _is_built(module: str) -> bool:
    found = find_spec(module)
    return found is not None and str(found.origin).endswith(tuple(EXTENSION_SUFFIXES))
