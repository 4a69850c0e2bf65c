"""Writes lines to stderr and does not wait for its reader.

If the reader of a pipe, a socket or a terminal is late, its buffer gets full, and a write would
block. The loop thread writes lines too, so all clients would wait. A full stderr therefore takes no
line. (A regular file always takes a line, so a file on a disk that hangs does block.) Nor does a
file on a full disk: when it has space again, the operator hears how many lines are missing.
"""

import errno
import os
import select

NOBODY_READS = (errno.EPIPE, errno.EBADF, errno.EIO, errno.ECONNRESET)  # EIO: a terminal is gone
# A pipe or a socket that is ready takes so many bytes without blocking.
PIECE_BYTES = select.PIPE_BUF


class Stderr:
    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._is_cut = False  # the latest line has no end

    def write(self, line: str, wait_s: float = 0.0) -> bool:
        """False if stderr was full, and the line or its end is lost. wait_s: for the reader.

        True for a stderr that is closed or broken, because nobody reads it any more.
        """
        data = ("\n" if self._is_cut else "").encode() + line.encode()
        done = 0
        try:
            while done < len(data) and select.select([], [self._fd], [], wait_s)[1]:
                done += os.write(self._fd, data[done : done + PIECE_BYTES])
        except OSError as error:  # EAGAIN, ENOSPC, ...
            if error.errno in NOBODY_READS:
                return True
        if done:
            self._is_cut = done < len(data)
        return done == len(data)
