"""A broker for dramatiq. Its queues are tubes of this server.

May know: dramatiq, greenstalk, sockets, threads. It runs in the processes of its users, and imports
nothing of the server.

`pip install 'beanstalkd-py[dramatiq]'` installs what it needs.
"""

from .broker import BeanstalkdBroker

__all__ = ["BeanstalkdBroker"]
