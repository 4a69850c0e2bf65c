"""The families of /metrics that have a sample for each tube, as text in pieces.

The text format keeps the samples of a family together, so the tubes are gone through once for each
family.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from beanstalkd_py.queue.snapshot import TubeSnapshot, of_tube
from beanstalkd_py.queue.state import State

MOST_TUBES = 10_000  # the oldest ones; `beanstalkd_tubes_left_out` tells how many more there are
PIECE_TUBES = 500  # to copy or to render so many takes about 1 ms
_NS = 1_000_000_000

Tubes = list[tuple[str, TubeSnapshot]]  # each with its label


class _Family(NamedTuple):
    name: str
    kind: str
    help: str
    samples: Callable[[str, TubeSnapshot], str]


def _simple(name: str, kind: str, help: str, value: Callable[[TubeSnapshot], float]) -> _Family:
    full = f"beanstalkd_tube_{name}"
    return _Family(full, kind, help, lambda label, tube: f"{full}{{{label}}} {value(tube)}\n")


def _jobs(label: str, tube: TubeSnapshot) -> str:
    begin = f"beanstalkd_tube_current_jobs{{{label},state="
    return (
        f'{begin}"ready"}} {tube.ready_jobs}\n{begin}"reserved"}} {tube.reserved_jobs}\n'
        f'{begin}"delayed"}} {tube.delayed_jobs}\n{begin}"buried"}} {tube.buried_jobs}\n'
    )


def _commands(label: str, tube: TubeSnapshot) -> str:
    begin = f"beanstalkd_tube_commands_total{{{label},cmd="
    return f'{begin}"delete"}} {tube.deletes}\n{begin}"pause-tube"}} {tube.pauses}\n'


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
)  # fmt: skip


def snapshots(state: State, now: Callable[[], int]) -> Iterator[Tubes]:
    """Copies the figures of all tubes, in pieces. With up to PIECE_TUBES tubes, there is one piece.

    now: returns boot time, ns.
    """
    tubes = iter(state.tube_list[:MOST_TUBES])
    while some := list(islice(tubes, PIECE_TUBES)):
        at = now()
        yield [(f'tube="{_escaped(tube.name)}"', of_tube(tube, at)) for tube in some]


def families(pieces: Sequence[Tubes], left_out: int) -> Iterator[bytes]:
    for name, kind, text, samples in FAMILIES:
        head = f"# HELP {name} {text}\n# TYPE {name} {kind}\n"
        for tubes in pieces:
            yield (head + "".join([samples(label, tube) for label, tube in tubes])).encode()
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
