"""Mutants of what happens when memory runs out, and of what large bodies cost."""

from __future__ import annotations

from .invariants import Invariant
from .mutant import SIMULATION, Mutant

MEMORY = (
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "memory-refuses-puts-in-silence",
        "the operator does not hear that puts are refused for lack of memory",
        "beanstalkd_py/queue/memory.py",
        "            return True\n        self.refused += 1\n",
        "            return True\n",
        ("tests/server/test_memory_refusals.py",),
    ),
    Mutant(
        Invariant.LOG_BEFORE_STATE,
        "put-not-taken-back",
        "a put without memory for its job leaves its record in the log",
        "beanstalkd_py/queue/queue.py",
        "        if self.journal is not None:\n"
        "            job = Job(id, tube, READY, 0, 0, 0, body, 0, 0)\n",
        "        if False:\n            job = Job(id, tube, READY, 0, 0, 0, body, 0, 0)\n",
        ("tests/queue/test_out_of_memory.py -k taken_back", SIMULATION),
    ),
    Mutant(
        Invariant.LACK_OF_MEMORY_REFUSES_PUTS,
        "taken-back-put-stays-live",
        "while a put is taken back, compaction meets its record as a live one without a job",
        "beanstalkd_py/binlog/journal.py",
        "        self.usage.forget(job)\n        job.full_segment = None\n",
        "",
        ("tests/queue/test_out_of_memory.py -k taken_back",),
    ),
    Mutant(
        Invariant.LACK_OF_MEMORY_REFUSES_PUTS,
        "delete-needs-memory",
        "a delete fails if there is no memory to make its block of the job table small",
        "beanstalkd_py/queue/jobtable.py",
        "        except MemoryError:  # the next",
        "        except OSError:  # the next",
        ("tests/queue/test_jobtable.py",),
    ),
    Mutant(
        Invariant.LACK_OF_MEMORY_REFUSES_PUTS,
        "jobtable-count-after-the-job",
        "a job enters its block although there is no memory for the number of jobs",
        "beanstalkd_py/queue/jobtable.py",
        "        self._count = count\n\n    def _add_to_small",
        "        self._count += 1\n\n    def _add_to_small",
        ("tests/queue/test_jobtable.py",),
    ),
    Mutant(
        Invariant.LACK_OF_MEMORY_REFUSES_PUTS,
        "jobtable-empty-block-stays",
        "a block without jobs stays if memory was short when its last jobs went",
        "beanstalkd_py/queue/jobtable.py",
        "        if block.count:\n            try:",
        "        if True:\n            try:",
        ("tests/queue/test_jobtable.py",),
    ),
    Mutant(
        Invariant.LACK_OF_MEMORY_REFUSES_PUTS,
        "memory-reserve-open-to-puts",
        "puts use the memory reserve",
        "beanstalkd_py/queue/memory.py",
        "        self.short = True\n        self.probe_at = 0\n",
        "        self.short = True\n",
        ("tests/queue/test_out_of_memory.py -k reserve_is_back",),
    ),
    Mutant(
        Invariant.LACK_OF_MEMORY_REFUSES_PUTS,
        "puts-without-probe-after-shortage",
        "with the memory reserve alone, puts are accepted until the next probe",
        "beanstalkd_py/queue/memory.py",
        "        if self.short and not self.hold():\n            return False\n",
        "        if self.short:\n            return self.hold()\n",
        ("tests/queue/test_out_of_memory.py -k leaves_reserve",),
    ),
    Mutant(
        Invariant.LACK_OF_MEMORY_REFUSES_PUTS,
        "puts-take-the-last-memory",
        "puts go on until an allocation fails somewhere",
        "beanstalkd_py/queue/queue.py",
        "        if (id >= probe_at or nbytes > SMALL_BODY)",
        "        if memory.short",
        ("tests/queue/test_out_of_memory.py -k probe",),
    ),
    Mutant(
        Invariant.LACK_OF_MEMORY_REFUSES_PUTS,
        "uploads-use-memory-reserve",
        "bodies are collected while memory is short",
        "beanstalkd_py/protocol/parser.py",
        "        if (memory.short or nbytes > PROBED_BODY) and not memory.has_room():\n"
        "            return False\n",
        "",
        ("tests/protocol/test_parser.py -k memory_is_short",),
    ),
    Mutant(
        Invariant.LACK_OF_MEMORY_REFUSES_PUTS,
        "job-stays-with-client-without-reply",
        "a client holds a job although there was no memory to tell it",
        "beanstalkd_py/protocol/answers.py",
        "        if reply is replies.OUT_OF_MEMORY:\n"
        "            self.queue.give_back(outcome, now)\n",
        "",
        ("tests/queue/test_out_of_memory.py -k gives_the_job_back",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "committer-dies-without-memory",
        "without memory for its batches, the committer's thread ends and the log does not fail",
        "wal/beanstalkd_wal/committer.py",
        "            except MemoryError as error:  # `execute` handles its own\n",
        "            except ZeroDivisionError as error:\n",
        ("tests/wal/test_thread_shortages.py -k memory_for_its_batches",),
    ),
    Mutant(
        Invariant.LACK_OF_MEMORY_REFUSES_PUTS,
        "commit-needs-one-buffer",
        "a commit fails without memory to join its frames",
        "wal/beanstalkd_wal/committer.py",
        "        except MemoryError:  # raised by the join, so nothing was written\n",
        "        except ZeroDivisionError:\n",
        ("tests/wal/test_long_records.py -k makes_several",),
    ),
    Mutant(
        Invariant.LACK_OF_MEMORY_REFUSES_PUTS,
        "long-reply-joined",
        "the reply with a long body is joined",
        "beanstalkd_py/protocol/answers.py",
        "                if nbytes > LONG_BODY:\n",
        "                if nbytes < 0:\n",
        ("tests/protocol/test_dispatch.py -k long_body",),
    ),
    Mutant(
        Invariant.LACK_OF_MEMORY_REFUSES_PUTS,
        "lack-of-memory-shown-as-a-bug",
        "a lack of memory ends the server with a traceback",
        "beanstalkd_py/cli.py",
        "    except MemoryError as error:\n"
        "        report(_out_of_memory(error))\n"
        "        return NO_RESOURCES\n",
        "",
        ("tests/server/test_server_failure.py -k lack_of_memory",),
    ),
)
