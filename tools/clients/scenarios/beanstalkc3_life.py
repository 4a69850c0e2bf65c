import sys
from importlib.metadata import version

import beanstalkc
import yaml

client = beanstalkc.Connection(sys.argv[1], int(sys.argv[2]), parse_yaml=yaml.safe_load)
client.use("mail")
client.watch("mail")
id = client.put("a job", priority=5, ttr=30)
job = client.reserve(timeout=5)
assert (job.jid, job.body) == (id, "a job")
job.touch()
job.release(priority=7)
job = client.reserve(timeout=5)
job.bury()
assert client.peek_buried().jid == id
assert client.kick(10) == 1
job = client.reserve(timeout=5)
assert job.stats()["kicks"] == 1
job.delete()
assert client.reserve(timeout=0) is None
assert client.stats()["total-jobs"] == 1
assert client.stats_tube("mail")["cmd-delete"] == 1
assert sorted(client.tubes()) == ["default", "mail"]
client.close()
print(version("beanstalkc3"))
