import asyncio
import sys
from importlib.metadata import version

from aiostalk import Client

BODY = b"\x00\xff\r\n\xe2\x82\xac"


async def main() -> None:
    client = Client((sys.argv[1], int(sys.argv[2])), encoding=None, use="mail", watch="mail")
    await client.connect()
    id = await client.put(BODY, priority=5, ttr=30)
    job = await client.reserve(timeout=5)
    assert (job.id, job.body) == (id, BODY)
    await client.touch(job)
    await client.release(job, priority=7)
    job = await client.reserve(timeout=5)
    await client.bury(job)
    assert (await client.peek_buried()).id == id
    assert await client.kick(10) == 1
    job = await client.reserve_job(id)
    assert (await client.stats_job(job))["kicks"] == 1
    await client.delete(job)
    assert (await client.stats())["total-jobs"] == 1
    assert (await client.stats_tube("mail"))["cmd-delete"] == 1
    assert sorted(await client.tubes()) == ["default", "mail"]
    await client.close()


asyncio.run(main())
print(version("aiostalk"))
