"""Logs of other servers: today the binlog files of the C beanstalkd.

- `cbinlog/` reads and writes these files. It knows neither the queue nor our own log.
- `takeover` runs at the start: it imports the C server's files in the server's own directory.
- `importing` writes the jobs of a directory into our log.
- `exporting` converts the jobs of our log to jobs of the C server.

Promises:

- A file of the C server is never changed and never deleted. A take-over moves it into a folder
  beside the log, after all its jobs are durable in our log.
- An import is atomic: after a crash at any moment, the log has all jobs of the import, or none.
- Damage is never skipped silently. Without the operator's consent, damage stops the import before
  anything has changed. With consent, each damage is reported. Where damage leaves doubt whether a
  job was deleted, the job is kept.
"""
