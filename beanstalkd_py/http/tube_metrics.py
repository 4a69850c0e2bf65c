"""The families of /metrics that have a sample for each tube, as text in pieces.

The text format keeps the samples of a family together, so the tubes are gone through once for each
family.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, islice
from typing import NamedTuple

from beanstalkd_py.queue.model import Tube
from beanstalkd_py.queue.snapshot import TubeSnapshot, of_tube
from beanstalkd_py.queue.state import State
from beanstalkd_py.queue.waits import BOUNDS_NS

MOST_TUBES = 10_000  # the oldest ones; `beanstalkd_tubes_left_out` tells how many more there are
PIECE_TUBES = 500  # to copy or to render so many takes about 1 ms
PIECE_WAITS = 100  # the same for histograms
_NS = 1_000_000_000
_BOUNDS = (*(f"{ns / _NS:g}" for ns in BOUNDS_NS), "+Inf")


class Figures(NamedTuple):
    """Of one tube. label: its name as a label. oldest_ns: the age of its oldest ready job; 0
    without one, -1 if it is not known. waits: the counts of `Waits`, and the sum in ns; empty if no
    job was reserved.
    """

    label: str
    shown: TubeSnapshot
    oldest_ns: int
    waits: tuple[int, ...]


Tubes = list[Figures]


class _Family(NamedTuple):
    name: str
    kind: str
    help: str
    samples: Callable[[Figures], str]
    piece_tubes: int = PIECE_TUBES


def _simple(name: str, kind: str, help: str, value: Callable[[TubeSnapshot], float]) -> _Family:
    full = f"beanstalkd_tube_{name}"
    return _Family(full, kind, help, lambda tube: f"{full}{{{tube.label}}} {value(tube.shown)}\n")


def _jobs(figures: Figures) -> str:
    begin = f"beanstalkd_tube_current_jobs{{{figures.label},state="
    tube = figures.shown
    return (
        f'{begin}"ready"}} {tube.ready_jobs}\n{begin}"reserved"}} {tube.reserved_jobs}\n'
        f'{begin}"delayed"}} {tube.delayed_jobs}\n{begin}"buried"}} {tube.buried_jobs}\n'
    )


def _commands(figures: Figures) -> str:
    begin = f"beanstalkd_tube_commands_total{{{figures.label},cmd="
    tube = figures.shown
    return f'{begin}"delete"}} {tube.deletes}\n{begin}"pause-tube"}} {tube.pauses}\n'


def _oldest(tube: Figures) -> str:
    if tube.oldest_ns < 0:
        return ""
    return f"beanstalkd_tube_oldest_ready_seconds{{{tube.label}}} {tube.oldest_ns / _NS}\n"


def _waits(tube: Figures) -> str:
    if not tube.waits:
        return ""
    begin = f"beanstalkd_tube_ready_wait_seconds_bucket{{{tube.label},le="
    *counts, total_ns = tube.waits
    lines = [
        f'{begin}"{bound}"}} {count}\n'
        for bound, count in zip(_BOUNDS, accumulate(counts), strict=True)
    ]
    begin = "beanstalkd_tube_ready_wait_seconds_"
    lines.append(f"{begin}sum{{{tube.label}}} {total_ns / _NS}\n")
    lines.append(f"{begin}count{{{tube.label}}} {sum(counts)}\n")
    return "".join(lines)


FAMILIES = (
    _Family("beanstalkd_tube_current_jobs", "gauge", "Jobs of the tube by state", _jobs),
    _simple(
        "current_jobs_urgent", "gauge", "Ready jobs with a priority below 1024",
        lambda tube: tube.urgent_jobs,
    ),
    _simple("jobs_total", "counter", "Jobs that were put", lambda tube: tube.total_jobs),
    _simple("current_using", "gauge", "Clients that use the tube", lambda tube: tube.using),
    _simple("current_watching", "gauge", "Clients that watch it", lambda tube: tube.watching),
    _simple("current_waiting", "gauge", "Clients that wait for it", lambda tube: tube.waiting),
    _Family("beanstalkd_tube_commands_total", "counter", "Commands on the tube", _commands),
    _simple(
        "pause_seconds", "gauge", "Length of its pause; 0: not paused",
        lambda tube: tube.pause_ns / _NS,
    ),
    _simple(
        "pause_time_left_seconds", "gauge", "Time until its pause ends",
        lambda tube: tube.pause_left_ns / _NS,
    ),
    _Family(
        "beanstalkd_tube_oldest_ready_seconds", "gauge",
        "Age of the oldest ready job; 0 without one", _oldest,
    ),
    _Family(
        "beanstalkd_tube_ready_wait_seconds", "histogram",
        "Time from ready to the first reserve of each job", _waits, PIECE_WAITS,
    ),
)  # fmt: skip


def snapshots(state: State, now: Callable[[], int], oldest: Mapping[Tube, int]) -> Iterator[Tubes]:
    """Copies the figures of all tubes, in pieces. With up to PIECE_TUBES tubes, there is one piece.

    now: returns boot time, ns. oldest: the instant of the oldest ready job.
    """
    tubes = iter(state.tube_list[:MOST_TUBES])
    while some := list(islice(tubes, PIECE_TUBES)):
        at = now()
        yield [_figures(tube, at, oldest) for tube in some]


def _figures(tube: Tube, now: int, oldest: Mapping[Tube, int]) -> Figures:
    oldest_ns = 0
    if tube.ready_count:
        created_at = oldest.get(tube)
        oldest_ns = -1 if created_at is None else max(now - created_at, 0)
    waits = tube.waits
    return Figures(
        f'tube="{_escaped(tube.name)}"',
        of_tube(tube, now),
        oldest_ns,
        (*waits.counts, waits.total_ns) if waits is not None and any(waits.counts) else (),
    )


def families(pieces: Sequence[Tubes], left_out: int) -> Iterator[bytes]:
    for name, kind, text, samples, piece_tubes in FAMILIES:
        head = f"# HELP {name} {text}\n# TYPE {name} {kind}\n"
        for tubes in pieces:
            for first in range(0, len(tubes), piece_tubes):
                some = tubes[first : first + piece_tubes]
                yield (head + "".join([samples(tube) for tube in some])).encode()
                head = ""
    yield (
        "# HELP beanstalkd_tubes_left_out Tubes without samples\n"
        f"# TYPE beanstalkd_tubes_left_out gauge\nbeanstalkd_tubes_left_out {left_out}\n"
    ).encode()


def _escaped(name: bytes) -> str:
    """As the value of a label. Clients can make plain names only, but a damaged binlog of the C
    server may have any bytes.
    """
    text = name.decode("ascii", errors="backslashreplace")
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
