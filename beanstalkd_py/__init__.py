"""A beanstalkd-compatible, durable work-queue server on gevent."""

__version__ = "0.1.0"

# What -v and the stats command show. Some clients read the first number to find out which commands
# they may use. So the version of the protocol comes first, and our own version after it.
SERVER_VERSION = "1.13+py" + __version__
