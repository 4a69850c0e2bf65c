"""The latest run of each schedule, as the log has it."""

from beanstalkd_py.queue.state import State


def apply_run(state: State, name: bytes, at: int) -> None:
    """For commands and for replay. at: Unix time, seconds; 0: the schedule is gone."""
    if at:
        state.runs[name] = at
    else:
        state.runs.pop(name, None)
