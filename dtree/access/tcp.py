"""Whether somebody accepts TCP connections."""

from __future__ import annotations

import socket

from dtree.errors import NotAnswered

__all__ = ["connect"]


def connect(host: str, port: int, *, timeout_s: float) -> None:
    """Open a connection and close it at once.

    Args:
        host: a name, or an address without brackets.

    Raises:
        NotAnswered: nobody accepted it in time.

    Effects: a connection, without a byte sent.
    """
    try:
        socket.create_connection((host, port), timeout=timeout_s).close()
    except TimeoutError as error:
        raise NotAnswered("it did not answer in time") from error
    except ConnectionRefusedError as error:
        raise NotAnswered("nothing listens there") from error
    except (socket.gaierror, UnicodeError) as error:  # a label of the name is empty or too long
        raise NotAnswered(f"its host {host} is not known") from error
    except OSError as error:
        raise NotAnswered(f"it cannot be reached: {error.strerror or error}") from error
