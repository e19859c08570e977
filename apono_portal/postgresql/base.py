"""The database backend ``ENGINE`` names: Django's, but for how a kept connection is looked at."""

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    def is_usable(self) -> bool:
        """Whether the connection can be used for another request (``CONN_HEALTH_CHECKS``).

        Django asks the server, before every request. A server that has ended a connection has sent a
        farewell, or the end: something is there to read. Only then is it asked.
        """
        connection = self.connection
        if connection is None or connection.closed:
            return False
        return not _something_to_read(connection.fileno()) or super().is_usable()


def _something_to_read(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))
