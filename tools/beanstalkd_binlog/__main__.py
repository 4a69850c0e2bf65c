"""`python -m beanstalkd_binlog`"""

from beanstalkd_binlog.cli import main

main()
