"""Executes commits: writes frames, syncs, rotates segments, and reports progress.

Runs on a thread of its own or, while that is idle, on the owner's (`Threads.commit_inline`).

Promises: operations are executed in the order of the commits. Waiting batches share the writes and
one sync. An LSN is reported as durable only after its write has returned, and after that a sync was
started and has returned. In every mode a segment gets its name only when its header is durable, and
everything in the segments before it. The first failure is final: nothing is written or synced after
it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from queue import SimpleQueue

from beanstalkd_wal.directory import Durability, Spare, begin_segment
from beanstalkd_wal.format import (
    HEADER_BYTES,
    Header,
    encode_frame,
    encode_frame_in_pieces,
    salt_of,
)
from beanstalkd_wal.names import segment_path
from beanstalkd_wal.operations import (
    Batch,
    Close,
    Fence,
    Operation,
    Retire,
    Rotate,
    Sync,
    Write,
    WriteLong,
)
from beanstalkd_wal.progress import Progress
from beanstalkd_wal.recover import Recovered

# Frames of at most about so many bytes are joined for one write. After a slow sync many batches
# wait; this bounds the memory.
_WRITE_BYTES_MAX = 8 << 20
# The body of a long record is written in pieces of so many bytes. Each piece is copied first, which
# takes 0.1 ms; meanwhile the owner's thread cannot run.
_PIECE_BYTES = 512 * 1024

_join = b"".join  # a name, so that a test can make it fail


class Committer:
    def __init__(
        self,
        found: Recovered,
        progress: Progress,
        durability: Durability,
        delete: Callable[[tuple[int, ...]], None],
    ) -> None:
        self.queue: SimpleQueue[Batch] = SimpleQueue()
        self._directory = found.directory
        self._fs = found.directory.fs
        self._progress = progress
        self._log_id = found.log_id
        self._salt = salt_of(found.log_id)
        self._durability = durability
        self._delete = delete
        self._retirements: list[Retire] = []  # wait until their LSN is durable
        self._fences: list[Fence] = []  # reached by the current batches; `notify` sets them
        self._unused: list[Spare] = []  # spares of rotations that a failure prevented
        # The active segment, and the end of what was written to it.
        self._active = found.active
        self._path = segment_path(found.directory.path, found.number)
        self._segment_id = found.segment_id
        self._offset = HEADER_BYTES
        # Frames that are encoded but not written yet, their bytes, last LSN and watermark.
        self._pieces: list[bytes] = []
        self._nbytes = 0
        self._encoded_lsn = progress.written_lsn
        self._encoded_watermark = 0
        self._closed = False

    def run(self) -> None:
        """The thread's main function. Returns after Close."""
        queue = self.queue
        while not self._closed:
            batch = queue.get()
            batches: list[Batch] | None = None
            try:
                batches = [batch]
                while not queue.empty():
                    batch = queue.get()
                    batches.append(batch)
                self.execute(batches)
                self.notify()
                self._progress.batches_done += len(batches)
            except MemoryError as error:  # `execute` handles its own
                self._progress.fail(self._path, self._offset, error)
                self._skip(batches or ())
                self._skip((batch,))  # it may not be in `batches`
                self.notify()

    def end_unused(self) -> None:
        """Ends the thread. Nothing was committed, and no file changes."""
        self._close_handles()
        self.queue.put(Batch(0, []))

    def execute(self, batches: list[Batch]) -> None:
        progress = self._progress
        if progress.failure is None:
            try:
                self._execute(batches)
            except Exception as error:
                progress.fail(self._path, self._offset, error)
        if progress.failure is not None:
            self._skip(batches)

    def notify(self) -> None:
        """Wakes the owner, and every thread that waits at a fence."""
        self._progress.notify()
        while self._fences:
            self._fences.pop().passed.set()

    @property
    def may_sync_for_retirement(self) -> bool:
        """Whether the next batch may need a sync only because of a retirement (see `Threads`)."""
        return self._durability is Durability.NEVER and bool(self._retirements)

    def _execute(self, batches: list[Batch]) -> None:
        for batch in batches:
            for operation in batch.operations:
                if isinstance(operation, Write):
                    self._encode(operation.first_lsn, batch.at, operation.records)
                else:
                    self._execute_other(operation, batch.at)
        self._write()
        if self._durability is Durability.SYNC or self._retirement_needs_sync():
            self._sync()
        if self._retirements:
            self._delete_retired()

    def _execute_other(self, operation: Operation, at: int) -> None:
        if isinstance(operation, WriteLong):
            self._write_long(operation, at)
        elif isinstance(operation, Rotate):
            self._rotate(operation, at)
        elif isinstance(operation, Sync):
            self._write()
            self._sync()
            if operation.watermark:
                self._write_watermark(operation.next_lsn, at)
                self._fs.sync(self._active.handle)
        elif isinstance(operation, Retire):
            self._retirements.append(operation)
        elif isinstance(operation, Fence):
            self._fences.append(operation)
        elif isinstance(operation, Close):
            self._close(operation, at)

    def _skip(self, batches: Sequence[Batch]) -> None:
        """After a failure: sets fences and closes files, and does nothing else. A batch may be
        skipped twice.
        """
        for batch in batches:
            for operation in batch.operations:
                if isinstance(operation, Fence) and operation not in self._fences:
                    self._fences.append(operation)
                elif isinstance(operation, Rotate):
                    self._unused.append(operation.spare)
                elif isinstance(operation, Close):
                    self._close_handles()

    # --- frames

    def _encode(self, first_lsn: int, at: int, records: list[bytes]) -> None:
        watermark = self._progress.durable_lsn
        try:
            head, payload = encode_frame(first_lsn, watermark, at, records, self._salt)
            self._pieces.append(head)
            self._pieces.append(payload)
            self._nbytes += len(head) + len(payload)
        except MemoryError:
            self._encode_in_pieces(first_lsn, watermark, at, records)
        self._encoded_lsn = first_lsn + len(records) - 1
        self._encoded_watermark = watermark
        if self._nbytes > _WRITE_BYTES_MAX:
            self._write()

    def _encode_in_pieces(
        self, first_lsn: int, watermark: int, at: int, records: list[bytes]
    ) -> None:
        """There was no memory to join the records."""
        lengths = [len(record) for record in records]
        pieces = encode_frame_in_pieces(first_lsn, watermark, at, lengths, records, self._salt)
        self._pieces += pieces
        self._nbytes += sum(map(len, pieces))

    def _write_long(self, operation: WriteLong, at: int) -> None:
        """Writes a frame with one long record. No copy of the whole body is made."""
        self._write()
        progress = self._progress
        watermark = progress.durable_lsn
        parts = [operation.head, operation.body]
        lengths = [sum(map(len, parts))]
        for piece in encode_frame_in_pieces(
            operation.first_lsn, watermark, at, lengths, parts, self._salt
        ):
            for offset in range(0, len(piece), _PIECE_BYTES):
                self._write_piece(piece[offset : offset + _PIECE_BYTES])
        progress.written_lsn = operation.first_lsn
        progress.watermark = watermark

    def _write(self) -> None:
        if not self._pieces:
            return
        try:
            self._write_piece(_join(self._pieces))
        except MemoryError:  # raised by the join, so nothing was written
            for piece in self._pieces:
                self._write_piece(piece)
        self._pieces.clear()
        self._nbytes = 0
        self._progress.written_lsn = self._encoded_lsn
        self._progress.watermark = self._encoded_watermark

    def _write_piece(self, piece: bytes) -> None:
        self._fs.write(self._active.handle, piece, self._offset)
        self._offset += len(piece)

    def _sync(self) -> None:
        progress = self._progress
        written = progress.written_lsn
        if progress.durable_lsn == written:
            return
        self._fs.sync(self._active.handle)
        progress.durable_lsn = written

    def _write_watermark(self, next_lsn: int, at: int) -> None:
        """Writes an empty frame with the durable watermark. A sync must follow.

        Without the sync, a power failure could damage an earlier frame and lose this one. Then the
        damage would be taken for a torn tail.
        """
        self._encode(next_lsn, at, [])
        self._write()

    # --- segments

    def _rotate(self, operation: Rotate, at: int) -> None:
        self._write()
        self._directory.check_lock()  # a second writer may have reused the file of this segment
        self._seal()
        self._close_handle(self._active)
        progress = self._progress
        spare = operation.spare
        self._active = spare
        self._path = spare.path
        self._offset = 0  # of the header: for the report of a failure
        previous_segment_id, self._segment_id = self._segment_id, self._directory.random_id()
        header = Header(
            operation.number,
            operation.base_lsn,
            progress.durable_lsn,
            self._log_id,
            at,
            self._segment_id,
            previous_segment_id,
            operation.meta,
            self._durability.header_flags,
        )
        begin_segment(self._directory, spare, header)
        self._offset = HEADER_BYTES
        self._path = segment_path(self._directory.path, operation.number)
        progress.watermark = header.durable_lsn

    def _seal(self) -> None:
        """Cuts off the zeros of the active segment, and makes the rest durable."""
        self._fs.truncate(self._active.handle, self._offset)
        self._sync_active()

    def _sync_active(self) -> None:
        """Syncs the active segment even if all its records are durable: its size may not be
        durable.
        """
        self._fs.sync(self._active.handle)
        self._progress.durable_lsn = self._progress.written_lsn

    def _close(self, operation: Close, at: int) -> None:
        self._write()
        if operation.next_lsn:
            self._sync()
            self._write_watermark(operation.next_lsn, at)
        if operation.truncate:
            self._seal()
        else:
            self._sync_active()
        self._close_handles()

    def _close_handles(self) -> None:
        self._closed = True
        for spare in (self._active, *self._unused):
            self._close_handle(spare)

    def _close_handle(self, spare: Spare) -> None:
        if spare.handle >= 0:
            handle, spare.handle = spare.handle, -1
            try:
                self._fs.close(handle)
            except OSError as error:  # some file systems report a failed write only now
                self._progress.fail(spare.path, 0, error)

    # --- retirement

    def _retirement_needs_sync(self) -> bool:
        """Under NEVER the next sync may be far away, and retired segments would stay until then."""
        retirements = self._retirements
        return self.may_sync_for_retirement and retirements[0].lsn <= self._progress.written_lsn

    def _delete_retired(self) -> None:
        durable = self._progress.durable_lsn
        while self._retirements and self._retirements[0].lsn <= durable:
            self._delete(self._retirements.pop(0).numbers)
