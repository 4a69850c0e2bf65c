import sys
from importlib.metadata import version

from pystalk import BeanstalkClient

BODY = b"\x00\xff\r\n\xe2\x82\xac"

client = BeanstalkClient(sys.argv[1], int(sys.argv[2]))
client.use("mail")
client.watch("mail")
_, id = client.put_job(BODY, pri=5, ttr=30)
job = client.reserve_job(5)
assert (job.job_id, job.job_data) == (id, BODY), (job, id)
client.release_job(job.job_id, pri=7)
job = client.reserve_job(5)
client.bury_job(job.job_id)
assert client.peek_buried().job_id == job.job_id
client.kick_jobs(10)
job = client.reserve_job(5)
assert client.stats_job(job.job_id)["kicks"] == 1
client.delete_job(job.job_id)
assert client.stats()["total-jobs"] == 1
assert client.stats_tube("mail")["cmd-delete"] == 1
assert sorted(client.list_tubes()) == ["default", "mail"]
client.pause_tube("mail", 1)
client.close()
print(version("pystalk"))
