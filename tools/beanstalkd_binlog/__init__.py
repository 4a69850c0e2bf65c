"""`beanstalkd-binlog`: what is in the queue's log, without a server, and beside a running one.

The reading commands take no lock and change nothing. Each command is a module that knows neither
click nor exit; `cli` wires them.

    reading   frames of a directory that a server may be writing to, and on behind damage
    light     jobs replayed by the server's own code, bodies left on disk
    walk      both together, with everything there is to find fault with
    entry     a record told in words: what happened to which job, what changed
    ls, dump, jobs, history, stats, verify, follow   the commands
    segment, tail, moment, fields, directory, status, output, progress, text, times   what they share
"""
