import sys
from importlib.metadata import version

from greenstalk import Client, NotFoundError, TimedOutError

BODY = b"\x00\xff\r\n\xe2\x82\xac"


def life(client: Client) -> None:
    id = client.put(BODY, priority=5, delay=0, ttr=30)
    job = client.reserve(timeout=5)
    assert (job.id, job.body) == (id, BODY)
    client.touch(job)
    client.release(job, priority=7, delay=0)
    job = client.reserve(timeout=5)
    client.bury(job, priority=9)
    assert client.peek_buried().id == id
    assert client.kick(10) == 1
    job = client.reserve(timeout=5)
    assert client.stats_job(job)["kicks"] == 1
    client.delete(job)
    delayed = client.put(b"later", delay=1000)
    assert client.peek_delayed().id == delayed
    client.kick_job(delayed)
    assert client.peek_ready().id == delayed
    client.delete(delayed)
    try:
        client.peek(delayed)
    except NotFoundError:
        return
    raise AssertionError("a deleted job was found")


with Client((sys.argv[1], int(sys.argv[2])), encoding=None, use="mail", watch="mail") as client:
    life(client)
    try:
        client.reserve(timeout=0)
    except TimedOutError:
        pass
    assert client.stats()["total-jobs"] == 2
    assert client.stats_tube("mail")["cmd-delete"] == 2
    client.pause_tube("mail", 1)
    assert sorted(client.tubes()) == ["default", "mail"]
    assert (client.using(), client.watching()) == ("mail", ["mail"])
    client.put(b"last")
print(version("greenstalk"))
