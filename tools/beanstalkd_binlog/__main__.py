"""`python -m beanstalkd_binlog`: the same as `beanstalkd-binlog`."""

from beanstalkd_binlog.cli import main

main()
