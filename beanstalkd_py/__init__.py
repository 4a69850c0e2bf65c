"""A beanstalkd-compatible, durable work-queue server on gevent."""

__version__ = "0.1.0"

# What -v and the stats command show. Clients read the leading number to learn which commands they
# may use, so the version of the protocol comes first and ours behind it.
SERVER_VERSION = "1.13+py" + __version__
