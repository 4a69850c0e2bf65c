"""The vocabulary: what the server says, as bytes.

Parser, engine and session share these words; none of them imports another for them. Templates are filled with ``%``.
Source: beanstalkd 1.13, doc/protocol.txt.
"""

INSERTED = b"INSERTED %d\r\n"
BURIED_ID = b"BURIED %d\r\n"
EXPECTED_CRLF = b"EXPECTED_CRLF\r\n"
JOB_TOO_BIG = b"JOB_TOO_BIG\r\n"
DRAINING = b"DRAINING\r\n"

USING = b"USING %b\r\n"
WATCHING = b"WATCHING %d\r\n"
NOT_IGNORED = b"NOT_IGNORED\r\n"

RESERVED = b"RESERVED %d %d\r\n%b\r\n"
DEADLINE_SOON = b"DEADLINE_SOON\r\n"
TIMED_OUT = b"TIMED_OUT\r\n"

DELETED = b"DELETED\r\n"
RELEASED = b"RELEASED\r\n"
BURIED = b"BURIED\r\n"
TOUCHED = b"TOUCHED\r\n"
KICKED = b"KICKED\r\n"
KICKED_COUNT = b"KICKED %d\r\n"
PAUSED = b"PAUSED\r\n"

FOUND = b"FOUND %d %d\r\n%b\r\n"
NOT_FOUND = b"NOT_FOUND\r\n"
OK = b"OK %d\r\n%b\r\n"

BAD_FORMAT = b"BAD_FORMAT\r\n"
UNKNOWN_COMMAND = b"UNKNOWN_COMMAND\r\n"
OUT_OF_MEMORY = b"OUT_OF_MEMORY\r\n"
INTERNAL_ERROR = b"INTERNAL_ERROR\r\n"
