"""What becomes of a commit: frames written, synced, reported; segments sealed and begun.

May know: files and frames; decides nothing, the log has decided. Runs in a thread of its own, or,
while that is idle, on the owner's. Promises: operations are carried out in the order in which they
were handed over, all that waits with one write per segment and one sync; an LSN is reported as
durable only after a sync that began after it was written has returned; a segment has its name only
when everything before it and its own header are durable (but for Durability.NEVER); the first
failure is the last thing that is done.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue

from beanstalkd_wal.directory import Durability, Spare, begin_segment
from beanstalkd_wal.format import HEADER_BYTES, UNSYNCED, Header, encode_frame, salt_of
from beanstalkd_wal.names import segment_path
from beanstalkd_wal.operations import Batch, Close, Drop, Fence, Operation, Rotate, Sync, Write
from beanstalkd_wal.progress import Progress
from beanstalkd_wal.recover import Recovered

_PIECES_MAX = (
    8 << 20
)  # bytes joined for one write: bounds the memory when much has piled up behind a slow sync


class Committer:
    def __init__(
        self,
        found: Recovered,
        progress: Progress,
        durability: Durability,
        drop: Callable[[tuple[int, ...]], None],
    ) -> None:
        self.queue: SimpleQueue[Batch] = SimpleQueue()
        self._directory = found.directory
        self._fs = found.directory.fs
        self._progress = progress
        self._log_id = found.log_id
        self._salt = salt_of(found.log_id)
        self._each_batch = durability is Durability.SYNC
        self._never = durability is Durability.NEVER
        self._drop = drop
        self._drops: list[Drop] = []
        self._fences: list[Fence] = []
        self._unused: list[Spare] = []  # taken for segments that were not begun any more
        # The active segment, and the end of what was written to it.
        self._active = found.active
        self._path = segment_path(found.directory.path, found.number)
        self._segment_id = found.segment_id
        self._offset = HEADER_BYTES
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
            self.tell()
            self._progress.carried += len(batches)

    def carry_out(self, batches: list[Batch]) -> None:
        progress = self._progress
        if progress.failure is None:
            try:
                self._carry_out(batches)
            except Exception as error:
                progress.fail(self._path, self._offset, error)
        if progress.failure is not None:
            self._give_up(batches)

    def tell(self) -> None:
        """Whoever waits for it hears that the operations are carried out."""
        self._progress.notify()
        while self._fences:
            self._fences.pop().passed.set()

    def _carry_out(self, batches: list[Batch]) -> None:
        for batch in batches:
            for operation in batch.operations:
                if isinstance(operation, Write):
                    self._encode(operation.first_lsn, batch.at, operation.records)
                else:
                    self._do(operation, batch.at)
        self._write()
        if self._each_batch:
            self._sync()
        if self._drops:
            self._pass_drops()

    def _do(self, operation: Operation, at: int) -> None:
        if isinstance(operation, Rotate):
            self._rotate(operation, at)
        elif isinstance(operation, Sync):
            self._write()
            self._sync()
            if operation.claim:
                self._say_durable(operation.next_lsn, at)
        elif isinstance(operation, Drop):
            self._drops.append(operation)
        elif isinstance(operation, Fence):
            self._fences.append(operation)
        elif isinstance(operation, Close):
            self._close(operation.cut)

    def _give_up(self, batches: list[Batch]) -> None:
        """After a failure nothing is done any more, but nobody waits in vain."""
        for batch in batches:
            for operation in batch.operations:
                if isinstance(operation, Fence) and operation not in self._fences:
                    self._fences.append(operation)
                elif isinstance(operation, Rotate):
                    self._unused.append(operation.spare)
                elif isinstance(operation, Close):
                    self._release()

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
        self._fs.write(self._active.handle, b"".join(self._pieces), self._offset)
        self._pieces.clear()
        self._offset += self._nbytes
        self._nbytes = 0
        self._progress.written_lsn = self._reached
        self._progress.watermark = self._claim

    def _sync(self) -> None:
        progress = self._progress
        written = progress.written_lsn
        if self._never or progress.durable_lsn == written:
            return
        self._fs.sync(self._active.handle)
        progress.durable_lsn = written

    def _say_durable(self, next_lsn: int, at: int) -> None:
        """The claim is synced as well: otherwise a power failure would take it, and leave damage
        before it to pass for a torn tail.
        """
        self._encode(next_lsn, at, [])
        self._write()
        self._directory.sync_data(self._active.handle)

    # --- segments

    def _rotate(self, operation: Rotate, at: int) -> None:
        self._write()
        self._seal()
        self._let_go(self._active)
        progress = self._progress
        spare = operation.spare
        self._path = spare.path
        self._offset = 0  # where the header goes
        self._active = spare
        flags = UNSYNCED if self._never else 0
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
            flags,
        )
        begin_segment(self._directory, spare, header)
        self._offset = HEADER_BYTES
        self._path = segment_path(self._directory.path, operation.number)
        progress.watermark = header.durable_lsn

    def _seal(self) -> None:
        """Cuts off the zeros and makes the rest durable."""
        self._fs.truncate(self._active.handle, self._offset)
        self._make_durable()

    def _make_durable(self) -> None:
        self._directory.sync_data(self._active.handle)
        if not self._never:
            self._progress.durable_lsn = self._progress.written_lsn

    def _close(self, cut: bool) -> None:
        self._write()
        if cut:
            self._seal()
        else:
            self._make_durable()
        self._release()

    def _release(self) -> None:
        self._closed = True
        for spare in (self._active, *self._unused):
            self._let_go(spare)

    def _let_go(self, spare: Spare) -> None:
        if spare.handle >= 0:
            handle, spare.handle = spare.handle, -1
            try:
                self._fs.close(handle)
            except OSError as error:  # some file systems say only now what became of a write
                self._progress.fail(spare.path, 0, error)

    def _pass_drops(self) -> None:
        progress = self._progress
        safe = progress.written_lsn if self._never else progress.durable_lsn
        while self._drops and self._drops[0].lsn <= safe:
            self._drop(self._drops.pop(0).numbers)
