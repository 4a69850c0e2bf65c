"""A beanstalkd-compatible, durable work-queue server on gevent."""

__version__ = "0.1.0"

# The version of the C server whose protocol this server speaks; `stats` shows it. Clients parse it
# to find out which commands they may use, and some refuse any suffix.
C_VERSION = "1.13"
