"""What becomes of a commit: frames written, synced, reported; segments sealed and begun.

May know: files and frames; decides nothing, the log has decided. Runs in a thread of its own, or inline.
Promises: operations are carried out in the order in which they were handed over, all that waits with one write per segment and one sync;
an LSN is reported as durable only after a sync that began after it was written has returned; a segment has its name only when
everything before it and its own header are durable (but for Durability.NEVER); the first failure is the last thing that is done.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable
from queue import SimpleQueue

from wal.format import UNSYNCED, Header, encode_frame, encode_header, salt_of
from wal.names import segment_path
from wal.preparer import Directory
from wal.progress import Progress, Spare

_PIECES_MAX = 8 << 20  # bytes joined for one write: bounds the memory when much has piled up behind a slow sync


class Durability(enum.Enum):
    """What a commit promises, and with what."""

    SYNC = 0  # durable: fdatasync has returned, for each batch
    WINDOW = 1  # written; durable when the owner asks for a sync
    NEVER = 2  # written; nothing is ever synced


# What can be asked of the committer.


class Write:
    """A frame."""

    __slots__ = ("first_lsn", "records")

    def __init__(self, first_lsn: int, records: list[bytes]) -> None:
        self.first_lsn = first_lsn
        self.records = records


class Rotate:
    """Seal the active segment, begin this one in the spare."""

    __slots__ = ("base_lsn", "meta", "number", "spare")

    def __init__(self, spare: Spare, number: int, base_lsn: int, meta: bytes) -> None:
        self.spare = spare
        self.number = number
        self.base_lsn = base_lsn
        self.meta = meta


class Sync:
    """Make durable what was written; if claim, then say so in an empty frame."""

    __slots__ = ("claim", "next_lsn")

    def __init__(self, claim: bool, next_lsn: int) -> None:
        self.claim = claim
        self.next_lsn = next_lsn


class Drop:
    """Drop these segments once lsn is safe."""

    __slots__ = ("lsn", "numbers")

    def __init__(self, numbers: tuple[int, ...], lsn: int) -> None:
        self.numbers = numbers
        self.lsn = lsn


class Fence:
    """Say when everything before it has been carried out, or given up."""

    __slots__ = ("passed",)

    def __init__(self, passed: threading.Event) -> None:
        self.passed = passed


class Close:
    """Seal the active segment and leave it; the last operation."""

    __slots__ = ()


Operation = Write | Rotate | Sync | Drop | Fence | Close


class Batch:
    """The operations of one commit, and its wall time."""

    __slots__ = ("at", "operations")

    def __init__(self, at: int, operations: list[Operation]) -> None:
        self.at = at
        self.operations = operations


class Committer:
    def __init__(
        self,
        directory: Directory,
        progress: Progress,
        log_id: int,
        durability: Durability,
        active: Spare,
        number: int,
        offset: int,
        drop: Callable[[tuple[int, ...]], None],
    ) -> None:
        self.queue: SimpleQueue[Batch] = SimpleQueue()
        self._fs = directory.fs
        self._directory = directory
        self._progress = progress
        self._log_id = log_id
        self._salt = salt_of(log_id)
        self._each_batch = durability is Durability.SYNC
        self._never = durability is Durability.NEVER
        self._drop = drop
        self._drops: list[Drop] = []
        # The active segment, and the end of what was written to it.
        self._handle = active.handle
        self._path = segment_path(directory.path, number)
        self._offset = offset
        # Frames encoded but not written yet.
        self._pieces: list[bytes] = []
        self._nbytes = 0
        self._reached = progress.written_lsn
        self._claim = 0
        self._closed = False

    def run(self) -> None:
        queue = self.queue
        while not self._closed:
            batches = [queue.get()]
            while not queue.empty():
                batches.append(queue.get())
            self.carry_out(batches)

    def carry_out(self, batches: list[Batch]) -> None:
        progress = self._progress
        try:
            if progress.failure is None:
                for batch in batches:
                    for operation in batch.operations:
                        self._do(operation, batch.at)
                self._write()
                if self._each_batch:
                    self._sync()
                if self._drops:
                    self._pass_drops()
        except Exception as error:
            progress.fail(self._path, self._offset, error)
        if progress.failure is not None and any(isinstance(batch.operations[-1], Close) for batch in batches):
            self._release()
        progress.notify()
        for batch in batches:
            for operation in batch.operations:
                if isinstance(operation, Fence):
                    operation.passed.set()

    def _do(self, operation: Operation, at: int) -> None:
        if isinstance(operation, Write):
            self._encode(operation.first_lsn, at, operation.records)
        elif isinstance(operation, Rotate):
            self._rotate(operation, at)
        elif isinstance(operation, Sync):
            self._write()
            self._sync()
            if operation.claim:
                self._say_durable(operation.next_lsn, at)
        elif isinstance(operation, Drop):
            self._drops.append(operation)
        elif isinstance(operation, Fence):
            pass  # carry_out sees to it, in the end
        else:
            self._close()

    # --- frames

    def _encode(self, first_lsn: int, at: int, records: list[bytes]) -> None:
        claim = self._progress.durable_lsn
        head, payload = encode_frame(first_lsn, claim, at, records, self._salt)
        self._pieces.append(head)
        self._pieces.append(payload)
        self._nbytes += len(head) + len(payload)
        self._reached = first_lsn + len(records) - 1
        self._claim = claim
        if self._nbytes > _PIECES_MAX:
            self._write()

    def _write(self) -> None:
        if not self._pieces:
            return
        self._fs.write(self._handle, b"".join(self._pieces), self._offset)
        self._pieces.clear()
        self._offset += self._nbytes
        self._nbytes = 0
        self._progress.written_lsn = self._reached
        self._progress.claimed_lsn = self._claim

    def _sync(self) -> None:
        progress = self._progress
        written = progress.written_lsn
        if self._never or progress.durable_lsn == written:
            return
        self._fs.sync(self._handle)
        progress.durable_lsn = written

    def _say_durable(self, next_lsn: int, at: int) -> None:
        """The claim is synced as well: otherwise a power failure would take it, and leave damage before it to pass for a torn tail."""
        self._encode(next_lsn, at, [])
        self._write()
        self._directory.sync_data(self._handle)

    # --- segments

    def _rotate(self, operation: Rotate, at: int) -> None:
        self._write()
        self._seal()
        self._fs.close(self._handle)
        progress = self._progress
        spare = operation.spare
        self._path = spare.path
        self._offset = 0
        self._handle = spare.handle
        flags = UNSYNCED if self._never else 0
        header = Header(operation.number, operation.base_lsn, progress.durable_lsn, self._log_id, at, operation.meta, flags)
        self._offset = begin_segment(self._directory, spare, header)
        self._path = segment_path(self._directory.path, operation.number)
        progress.claimed_lsn = header.durable_lsn

    def _seal(self) -> None:
        """Cuts off the zeros and makes the rest durable."""
        self._fs.truncate(self._handle, self._offset)
        self._directory.sync_data(self._handle)
        if not self._never:
            self._progress.durable_lsn = self._progress.written_lsn

    def _close(self) -> None:
        self._write()
        self._seal()
        self._release()

    def _release(self) -> None:
        self._closed = True
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            self._fs.close(handle)

    def _pass_drops(self) -> None:
        progress = self._progress
        safe = progress.written_lsn if self._never else progress.durable_lsn
        while self._drops and self._drops[0].lsn <= safe:
            self._drop(self._drops.pop(0).numbers)


def begin_segment(directory: Directory, spare: Spare, header: Header) -> int:
    """Turns a spare into the segment that the header describes; returns where its frames begin.

    First the header and what was prepared, then the name: a segment that has its name is whole.
    """
    with spare.lock:  # the preparer may just be lengthening it, but does not begin to when it is taken
        spare.taken = True
    block = encode_header(header)
    directory.fs.write(spare.handle, block, 0)
    directory.sync_data(spare.handle)
    directory.fs.rename(spare.path, segment_path(directory.path, header.number))
    directory.sync_names()
    return len(block)
