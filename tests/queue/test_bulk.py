"""Commands on many jobs: what they do to the log."""

from __future__ import annotations

from model.pair import SECOND, Pair


def test_truncated_jobs_do_not_come_back() -> None:
    pair = Pair("binlog")
    pair.connect("a")
    pair.send("a", b"use x\r\nput 0 0 1 1\r\na\r\nput 0 9 1 1\r\nb\r\nput 0 0 1 1\r\nc\r\n")
    assert pair.send("a", b"truncate x ready\r\n") == b"TRUNCATED 2\r\n"
    pair.restart(SECOND, clean=False)
    assert [*pair.queue.jobs] == [2]
    pair.finish()


def test_full_disk_stops_a_truncate() -> None:
    pair = Pair("limited")
    pair.connect("a")
    pair.send("a", b"put 0 9 1 1\r\nx\r\nput 0 0 1 1\r\ny\r\nput 0 0 9 1\r\nz\r\n")
    pair.limit_changes(0)
    assert pair.send("a", b"truncate default\r\n") == b"OUT_OF_MEMORY\r\n"
    pair.limit_changes(1)
    assert pair.send("a", b"truncate default\r\n") == b"TRUNCATED 1\r\n"
    pair.finish()


def test_moved_jobs_stay_in_their_new_tubes() -> None:
    """Over a restart, after compaction, and after another restart."""
    pair = Pair("binlog")
    pair.connect("a")
    put = b"put 0 %d 60 400\r\n" + b"x" * 400 + b"\r\n"
    pair.send("a", b"use x\r\n" + put % 0 + put % 0 + put % 90 + b"reserve-job 2\r\nbury 2 0\r\n")
    pair.send("a", b"move-job 1 y\r\nmove-job 2 y\r\nmove-job 3 y\r\n")
    pair.restart(SECOND, clean=False)
    assert [job.tube.name for job in pair.queue.jobs.values()] == [b"y"] * 3
    pair.connect("b")
    for _ in range(20):  # compaction writes the moved jobs again
        pair.send("b", put % 0 + b"delete %d\r\n" % (pair.queue.next_id))
    assert pair.binlog is not None and pair.binlog.snapshot().records_migrated > 2
    pair.restart(SECOND, clean=True)
    assert [job.tube.name for job in pair.queue.jobs.values()] == [b"y"] * 3
    pair.finish()


def test_job_that_moved_leaves_nothing_in_its_old_tube() -> None:
    """Entries of its earlier states are left in the old tube's heaps, and look live again."""
    pair = Pair("memory")
    pair.connect("a")
    pair.send("a", b"use x\r\nwatch x\r\n" + b"put 5 0 60 1\r\na\r\n" * 3)
    pair.send("a", b"reserve-job 2\r\nbury 2 5\r\nmove-job 2 y\r\nkick-job 2\r\n")
    pair.send("a", b"peek-tube y ready\r\nkick-tube y 1\r\nmove-job 2 y\r\n")
    assert pair.send("a", b"reserve\r\ndelete 1\r\npeek-ready\r\n").endswith(b"FOUND 3 1\r\na\r\n")
    pair.send("a", b"reserve\r\nrelease 3 5 9\r\nmove-job 3 y\r\npeek-delayed\r\n")
    pair.send("a", b"move-job 2 x\r\nmove-job 3 x\r\npeek-ready\r\npeek-delayed\r\n")
    pair.finish()


def test_full_disk_refuses_a_move() -> None:
    pair = Pair("limited")
    pair.connect("a")
    pair.send("a", b"put 0 9 1 1\r\nx\r\nput 0 0 1 1\r\ny\r\nput 0 0 9 1\r\nz\r\n")
    pair.limit_changes(0)
    refused = b"move-job 1 a\r\nmove-jobs default ready a 9\r\nlist-tubes\r\n"
    assert pair.send("a", refused).startswith(b"OUT_OF_MEMORY\r\n" * 2 + b"OK 14\r\n")
    pair.limit_changes(1)
    assert pair.send("a", b"move-jobs default ready a 9\r\n") == b"MOVED 1\r\n"
    pair.finish()


def test_job_that_moved_leaves_its_bucket() -> None:
    """Many ready jobs of one priority are in a bucket."""
    pair = Pair("memory")
    pair.connect("a")
    pair.send("a", b"use x\r\nwatch x\r\n" + b"put 5 0 60 1\r\na\r\n" * 30 + b"move-job 13 y\r\n")
    assert pair.queue.tubes[b"x"].ready.in_buckets
    pair.send("a", b"reserve\r\n" * 29 + b"peek-ready\r\n")
    pair.finish()
