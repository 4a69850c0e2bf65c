"""One file of the C server's binlog: its records in order, those after damage included.

`Segment` checks the form of a record, and the caller its meaning. If a record does not agree with
its job, the caller calls `distrust`. No content of a file raises an exception: damage is passed to
`report`.

Where the C server stops reading a file, `Segment` searches for the next certain record and
continues there. A record is certain if it is `plausible_behind_damage`. A short record has only
numbers, so another certain record or the end must follow it. Bytes that were skipped are damage. An
unfinished record is torn, and not damage, if only zeros or the end of the file follow.
"""

from collections.abc import Callable
from typing import NamedTuple

from beanstalkd_py.foreign.cbinlog.damage import Damage, Kind
from beanstalkd_py.foreign.cbinlog.format import (
    BIG_ENDIAN_HEADER,
    CRLF,
    HEADER,
    INVALID,
    LAYOUTS,
    MAX_BODY_SIZE,
    MAX_NAME,
    MIN_BODY_SIZE,
    Jobrec,
    Layout,
)
from beanstalkd_py.foreign.cbinlog.judgement import (
    FIRST_IMPLAUSIBLE_ID,
    is_name,
    may_be_cut,
    plausible,
    plausible_behind_damage,
)


class Entry(NamedTuple):
    offset: int
    end: int
    tube: bytes  # empty in a short record
    job: Jobrec
    body: bytes  # without its CRLF
    plausible: bool


class Flaw(Exception):
    """Why there is no record at `start`. Used in this module only."""

    def __init__(
        self,
        start: int,
        offset: int,
        message: str,
        *,
        cut: bool = False,
        end: int = 0,
        job: Jobrec | None = None,
    ) -> None:
        self.start = start
        self.offset = offset
        self.message = message
        self.cut = cut  # it looks like the beginning of a record
        self.end = end  # where it ends according to its length
        self.job = job  # the job of the full record that this seems to be


class Segment:
    def __init__(self, path: str, data: bytes, report: Callable[[Damage], None]) -> None:
        self.path = path
        self.offset = HEADER.size
        self.highest_id = 0  # of jobs with flawed records; the caller sees the others
        self.dropped: set[int] = set()  # jobs whose full records could not be used
        # Whether skipped bytes may have held records. The caller resets it.
        self.hidden = False
        self._data = data
        self._data_end = len(data.rstrip(b"\0"))  # only zeros follow
        self._report = report
        self._names: dict[bytes, bytes] = {}  # tube names: each is checked and kept once
        self._full: Entry | None = None  # the last full record
        self._layout = self._read_header()

    def take(self) -> Entry | None:
        """The next record, or None at the end."""
        while self._layout is not None:
            try:
                entry = self._parse(self._layout, self.offset)
            except Flaw as flaw:
                self._pass_over(flaw)
            else:
                if entry is None:
                    break
                self.offset = entry.end
                if entry.tube:
                    self._full = entry
                return entry
        return None

    def distrust(self, entry: Entry, message: str) -> Kind:
        """Reports a record that the caller does not accept. If no certain record follows directly,
        the length of this record may be wrong. Then the search for the next record begins inside
        it.
        """
        if entry.job.state == INVALID and self._data_end <= entry.end:
            self.report(entry, message + ": unfinished", Kind.TORN)
            return Kind.TORN
        if self._layout is not None and not self._goes_on_at(self._layout, entry.end):
            self._pass_over(Flaw(entry.offset, entry.offset, message))
        else:
            self.report(entry, message)
        return Kind.DAMAGE

    def is_certain(self, entry: Entry) -> bool:
        return self._layout is not None and self._whole_at(self._layout, entry.offset) != 0

    def report(self, entry: Entry, message: str, kind: Kind = Kind.DAMAGE) -> None:
        self._report(Damage(self.path, entry.offset, message, kind, (entry.job.id,)))

    def nothing_follows(self, entry: Entry) -> bool:
        """Whether the C server would take what follows for the end of the file."""
        assert self._layout is not None
        return not any(self._data[entry.end : entry.end + self._layout.namelen.size + 8])

    def may_be_cut(self, entry: Entry) -> bool:
        """Whether a short record, followed by zeros only, may be the beginning of another one."""
        assert self._layout is not None
        state_offset = entry.offset + self._layout.namelen.size + self._layout.state_offset
        return entry.end < len(self._data) and may_be_cut(state_offset, self._data_end)

    def _read_header(self) -> Layout | None:
        size = len(self._data)
        message = (
            f"unexpected EOF reading 4 bytes (got {size}): version"
            if size < HEADER.size
            else "unknown version: 0"
        )
        if self._data_end == 0:
            self._report(Damage(self.path, 0, message, Kind.TORN))  # not initialised yet
            return None
        if size < HEADER.size:
            self._report(Damage(self.path, 0, message, Kind.DAMAGE))
            self.hidden = True
            return None
        (version,) = HEADER.unpack_from(self._data)
        if version not in LAYOUTS:
            self._report(Damage(self.path, 0, self._unknown(version), Kind.DAMAGE))
            self.hidden = True
            return None
        return self._likely_layout(*LAYOUTS[version])

    def _unknown(self, version: int) -> str:
        (other,) = BIG_ENDIAN_HEADER.unpack_from(self._data)
        if other not in LAYOUTS:
            return f"unknown version: {version}"
        return (
            f"version {other}, but written on another kind of machine (big-endian), which cannot "
            "be read here; start the C server there again, and move the jobs with a client"
        )

    def _likely_layout(self, usual: Layout, *others: Layout) -> Layout:
        """The layout in which the first record is certain, or certain except for the end of its
        body. If it is in none, the first layout in which any record is certain.
        """
        layouts = (usual, *others)
        for layout in layouts:
            if self._whole_at(layout, HEADER.size) or self._cut_at(layout, HEADER.size):
                return layout
        for layout in layouts:
            if self._search(layout, HEADER.size) < len(self._data):
                return layout
        return usual

    def _parse(self, layout: Layout, start: int, body: bool = True) -> Entry | None:
        """The record at `start`; None at the end. Raises Flaw. The checks, their order and the
        offsets are those of the C server, except where a comment says otherwise.

        body: False does not copy the body. A search tries many offsets, and at each one a wrong
        body size may reach to the end of the file.
        """
        data = self._data
        left = len(data) - start
        if start >= self._data_end:
            if layout.namelen.size <= left < layout.short_size:
                got = left - layout.namelen.size
                message = (
                    f"unexpected EOF reading {layout.jobrec.size} bytes (got {got}): "
                    f"{layout.what}job struct"
                )
                self._report(Damage(self.path, start + layout.namelen.size, message, Kind.HARMLESS))
            return None
        at = start + layout.namelen.size
        if at > len(data):
            raise Flaw(
                start, start, f"a record of {left} bytes", cut=True
            )  # the C server says nothing
        (namelen,) = layout.namelen.unpack_from(data, start)
        if namelen > MAX_NAME:
            raise Flaw(start, start, f"namelen {namelen} exceeds maximum of {MAX_NAME}")
        if namelen < 0:
            raise Flaw(start, start, f"namelen {namelen} is negative")
        if at + namelen > len(data):
            raise self._short_read(start, at, namelen, f"{layout.what}tube name")
        tube = data[at : at + namelen]
        at += namelen
        body_offset = at + layout.jobrec.size
        if body_offset > len(data):
            raise self._short_read(start, at, layout.jobrec.size, f"{layout.what}job struct")
        job = layout.decode(data, at)
        if job.id == 0:  # the C server takes it for the end, whatever follows
            cut = at >= self._data_end
            raise Flaw(
                start,
                at,
                "a record that ends behind its tube name"
                if cut
                else "no job id, and not the end either",
                cut=cut,
            )
        if namelen == 0:
            return Entry(start, body_offset, b"", job, b"", plausible(job))
        return self._parse_full(start, body_offset, tube, job, layout, body)

    def _parse_full(
        self, start: int, body_offset: int, tube: bytes, job: Jobrec, layout: Layout, body: bool
    ) -> Entry:
        # The C server has only one of these checks: the one for a short read. Instead of our bounds
        # it uses -z. It does not check the CRLF, and takes state 0 for a delete.
        if job.state == INVALID and self._data_end <= body_offset:
            raise Flaw(
                start,
                body_offset - layout.jobrec.size,
                f"the record of job {job.id} is unfinished: job struct",
                cut=True,
            )
        if not MIN_BODY_SIZE <= job.body_size <= MAX_BODY_SIZE:
            raise Flaw(
                start,
                body_offset - layout.jobrec.size,
                f"job {job.id} has a body of {job.body_size} bytes",
                job=job,
            )
        end = body_offset + job.body_size
        if end > len(self._data):
            raise self._short_read(start, body_offset, job.body_size, f"{layout.what}job body", job)
        if self._data[end - 2 : end] != CRLF:
            message = f"the body of job {job.id} does not end in CRLF"
            raise Flaw(start, body_offset, message, cut=self._data_end < end, end=end, job=job)
        name = self._names.get(tube)
        if name is None and is_name(tube):
            name = self._names[tube] = tube
        return Entry(
            start,
            end,
            name or tube,
            job,
            self._data[body_offset : end - 2] if body else b"",
            plausible(job) and name is not None,
        )

    def _short_read(
        self, start: int, at: int, size: int, what: str, job: Jobrec | None = None
    ) -> Flaw:
        return Flaw(
            start,
            at,
            f"unexpected EOF reading {size} bytes (got {len(self._data) - at}): {what}",
            cut=True,
            job=job,
        )

    def _pass_over(self, flaw: Flaw) -> None:
        """Reports a flaw and moves to where reading goes on: after the record, at the next one, or
        at the end.
        """
        layout = self._layout
        assert layout is not None
        ids: tuple[int, ...] = ()
        if flaw.job is not None:
            if plausible(flaw.job) and flaw.job.id < FIRST_IMPLAUSIBLE_ID:
                self.highest_id = max(self.highest_id, flaw.job.id)
            self.dropped.add(flaw.job.id)
            ids = (flaw.job.id,)
        if flaw.end and not flaw.cut and self._goes_on_at(layout, flaw.end):
            next_at = flaw.end
        else:  # The length may be wrong, and other records may be inside, even if it looks cut off.
            next_at = self._search(layout, flaw.start + 1)
            self.hidden = self.hidden or next_at < len(self._data) or not flaw.cut
        message = flaw.message
        if next_at >= self._data_end:
            kind = Kind.TORN if flaw.cut else Kind.DAMAGE
        else:
            kind = Kind.DAMAGE
            message += f"; reading goes on at {next_at}"
        if kind is Kind.DAMAGE and self._full is not None and self._full.end == flaw.start:
            # Perhaps the body size of the previous job is damaged: its true body goes on here, and
            # only by chance has a CRLF at the wrong end.
            ids += (self._full.job.id,)
            message += f"; job {self._full.job.id} before it may be cut short"
        self._report(Damage(self.path, flaw.offset, message, kind, ids))
        self.offset = next_at

    def _search(self, layout: Layout, start: int) -> int:
        """Where the next certain record is, or the end of the file."""
        for match in layout.candidate.finditer(
            self._data, start, min(len(self._data), self._data_end + layout.short_size)
        ):
            at = match.start()
            if at >= self._data_end:
                break
            end = self._whole_at(layout, at)
            if end and (match.group()[0] or self._goes_on_at(layout, end)):
                return at
        return len(self._data)

    def _goes_on_at(self, layout: Layout, at: int) -> bool:
        return at >= self._data_end or self._whole_at(layout, at) != 0

    def _whole_at(self, layout: Layout, start: int) -> int:
        """The end of the record at `start`, if it is certain; else 0."""
        try:
            entry = self._parse(layout, start, body=False)
        except Flaw:
            return 0
        if entry is None:
            return 0
        padding = layout.padding(self._data, start + layout.namelen.size + len(entry.tube))
        return entry.end if plausible_behind_damage(entry.tube, entry.job, padding) else 0

    def _cut_at(self, layout: Layout, start: int) -> bool:
        """Whether the record at `start` is certain, except that the end of its body is missing."""
        try:
            self._parse(layout, start, body=False)
        except Flaw as flaw:
            job = flaw.job
            return flaw.cut and job is not None and plausible_behind_damage(b"", job, b"")
        return False
