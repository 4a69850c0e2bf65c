import sys
from importlib.metadata import version

from pystalkd.Beanstalkd import Connection

client = Connection(sys.argv[1], int(sys.argv[2]))
client.use("mail")
client.watch("mail")
id = client.put("\u20ac", priority=5, ttr=30)
job = client.reserve(timeout=5)
assert (job.job_id, job.body) == (id, "\u20ac")
job.touch()
job.release(priority=7)
job = client.reserve(timeout=5)
job.bury()
assert client.peek_buried().job_id == id
assert client.kick(10) == 1
job = client.reserve(timeout=5)
assert job.stats()["kicks"] == 1
job.delete()
assert client.reserve(timeout=0) is None
assert client.stats()["total-jobs"] == 1
assert client.stats_tube("mail")["cmd-delete"] == 1
assert sorted(client.tubes()) == ["default", "mail"]
client.close()
print(version("pystalkd"))
