"""All replies of the server, as bytes. Templates are filled in with `%`.

Source: beanstalkd 1.13, doc/protocol.txt.
"""

EXPECTED_CRLF: bytes = b"EXPECTED_CRLF\r\n"
JOB_TOO_BIG: bytes = b"JOB_TOO_BIG\r\n"
DRAINING: bytes = b"DRAINING\r\n"

USING: bytes = b"USING %b\r\n"
WATCHING: bytes = b"WATCHING %d\r\n"
NOT_IGNORED: bytes = b"NOT_IGNORED\r\n"

RESERVED: bytes = b"RESERVED %d %d\r\n%b\r\n"
RESERVED_LINE: bytes = b"RESERVED %d %d\r\n"
DEADLINE_SOON: bytes = b"DEADLINE_SOON\r\n"
TIMED_OUT: bytes = b"TIMED_OUT\r\n"

DELETED: bytes = b"DELETED\r\n"
RELEASED: bytes = b"RELEASED\r\n"
BURIED: bytes = b"BURIED\r\n"
TOUCHED: bytes = b"TOUCHED\r\n"
KICKED: bytes = b"KICKED\r\n"
KICKED_COUNT: bytes = b"KICKED %d\r\n"
PAUSED: bytes = b"PAUSED\r\n"

FOUND: bytes = b"FOUND %d %d\r\n%b\r\n"
FOUND_LINE: bytes = b"FOUND %d %d\r\n"
NOT_FOUND: bytes = b"NOT_FOUND\r\n"
OK: bytes = b"OK %d\r\n%b\r\n"

RESERVED_BATCH: bytes = b"RESERVED_BATCH %d\r\n"
DRAIN_ON: bytes = b"DRAIN on\r\n"
DRAIN_OFF: bytes = b"DRAIN off\r\n"
PONG: bytes = b"PONG\r\n"
EXISTS: bytes = b"EXISTS %d\r\n"
TRUNCATED: bytes = b"TRUNCATED %d\r\n"
TUBE_FULL: bytes = b"TUBE_FULL\r\n"
TUBE_SET: bytes = b"TUBE_SET\r\n"
MOVED: bytes = b"MOVED\r\n"
MOVED_COUNT: bytes = b"MOVED %d\r\n"

BAD_FORMAT: bytes = b"BAD_FORMAT\r\n"
UNKNOWN_COMMAND: bytes = b"UNKNOWN_COMMAND\r\n"
OUT_OF_MEMORY: bytes = b"OUT_OF_MEMORY\r\n"
