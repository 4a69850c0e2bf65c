import select
from typing import Any

from beanstalkd_py.server.batchedio import Events

def receive_ready(
    epoll: select.epoll, timeout_ms: int, polls: int, receivable: bytearray, /
) -> Events: ...
def send_all(items: list[Any], /) -> tuple[int, int] | None: ...
