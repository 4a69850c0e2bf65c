"""The example of docs/protocol.md: the extension commands with a real client library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import greenstalk
import pytest
from testkit.daemon import Daemon

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"
MOST_LINES = 20


def example() -> str:
    return PAGE.read_text().split("```python\n")[1].split("```")[0]


@pytest.fixture
def client_class() -> Any:
    names: dict[str, Any] = {}
    exec(compile(example(), str(PAGE), "exec"), names)
    return names["Client"]


def test_example_is_short() -> None:
    assert len([line for line in example().splitlines() if line]) <= MOST_LINES


def test_extensions_with_greenstalk_and_after_a_restart(durable: Daemon, client_class: Any) -> None:
    client = client_class(durable.address, encoding=None)
    assert client.text("capabilities").startswith('---\nserver: "beanstalkd-py"\n')
    ids = [
        client.put_with(b"body %d" % pri, "tube=mail", f"key={pri}", pri=pri) for pri in (3, 1, 2)
    ]
    with pytest.raises(greenstalk.UnknownResponseError) as refused:
        client.put_with(b"again", "tube=mail", "key=3")
    assert (refused.value.status, refused.value.values) == (b"EXISTS", [b"%d" % ids[0]])
    client.watch("mail")
    first, second = client.reserve_batch(2, 0)
    assert [(first.id, first.body), (second.id, second.body)] == [
        (ids[1], b"body 1"),
        (ids[2], b"body 2"),
    ]
    with pytest.raises(greenstalk.TimedOutError):
        client.ignore("mail")
        client.reserve_batch(2, 0)
    client.bury(first, 7)
    client.bury(second, 8)
    buried = client.items("list-jobs mail buried")
    assert [(item["id"], item["pri"], item["size"]) for item in buried] == [
        (str(ids[1]), "7", "6"),
        (str(ids[2]), "8", "6"),
    ]
    after = client.items(f"list-jobs mail buried 9 {buried[0]['cursor']}")
    assert [item["id"] for item in after] == [str(ids[2])]

    client.close()
    durable.kill()
    durable.start()
    client = client_class(durable.address, encoding=None)
    again = client.items("list-jobs mail buried")
    assert [(item["id"], item["buries"]) for item in again] == [
        (str(ids[1]), "1"),
        (str(ids[2]), "1"),
    ]
    assert [item["id"] for item in client.items("list-jobs mail ready")] == [str(ids[0])]
    assert client.kick_tube("mail", 9) == 2
    assert client.peek_tube("mail", "ready").id == ids[0]
    assert client.items("list-jobs mail buried") == []
    (tube,) = [item for item in client.items("stats-tube-all") if item["name"] == '"mail"']
    assert tube["current-jobs-ready"] == "3"
    (connection,) = client.items("list-connections")
    host, port = client._sock.getsockname()
    assert connection["address"] == f'"{host}:{port}"'
    assert client.drain("on") == [b"on"]
    with pytest.raises(greenstalk.DrainingError):
        client.put_with(b"", "tube=mail")
    assert client.drain("off") == [b"off"]
    client.close()
