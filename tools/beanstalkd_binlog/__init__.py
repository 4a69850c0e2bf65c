"""`beanstalkd-binlog`: shows and repairs the log of a server, also beside a running server.

Promises: commands that only read take no lock and change nothing. A command's module knows neither
click nor exit statuses of the process; `cli` connects them.

    reading    frames of a directory, also while a server writes to it, and after damage
    light      replay by the server's own code, with the bodies left on disk
    walk       reading and replay together, with a list of everything that is wrong
    entry      one record, described: what happened to which job, and what changed
    ls, dump, jobs, history, stats, verify, follow, repair, compact, exchange    the commands
    directory, fields, lock, moment, output, params, progress, segment, status, tail, text, times
               what the commands share
"""
