"""Mutants of the HTTP side: what harms the server. For access control see `http_access`."""

from __future__ import annotations

from .invariants import Invariant
from .mutant import Mutant

_HEALTH = ("tests/http/test_health.py",)
_REQUESTS = ("tests/http/test_requests.py",)
_METRICS = ("tests/http/test_metrics.py",)
_GATE = ("tests/http/test_gate.py",)
_CONNECTIONS = ("tests/http/test_http_connections.py",)
_ENDLESS = ("tests/http/test_http_connections.py -k without_end --timeout 60",)


def _mutant(
    name: str, broken: str, module: str, piece: str, replacement: str, caught_by: tuple[str, ...]
) -> Mutant:
    file = f"beanstalkd_py/{module}.py"
    return Mutant(Invariant.C_PROTOCOL_FIRST, name, broken, file, piece, replacement, caught_by)


HTTP_SIDE = (
    _mutant(
        "chunks-end-after-head",
        "bytes follow the response to HEAD, and a client takes them for the next response",
        "http/handler",
        "            self.response_use_chunked = False\n",
        "            pass\n",
        ("tests/http/test_requests.py -k head_of_a_head --timeout 20",),
    ),
    _mutant(
        "http-always-imported",
        "a server without --http imports the HTTP side",
        "cli",
        "\nSTDOUT, STDERR = 1, 2\n",
        "\nfrom beanstalkd_py.http import side\n\nSTDOUT, STDERR = 1, 2\n",
        _HEALTH,
    ),
    _mutant(
        "http-waits-for-replay",
        "health checks are answered only after the replay",
        "host/progress",
        "        self.each()\n",
        "",
        ("tests/http/test_health.py -k replay_answers --timeout 60",),
    ),
    _mutant(
        "page-error-ends-server",
        "an error of a page reaches the hub, which ends the server",
        "http/handler",
        "    def handle_error(self, kind",
        "    def _unused(self, kind",
        _CONNECTIONS,
    ),
    _mutant(
        "idle-http-connections-stay",
        "a connection without a request is never closed",
        "http/handler",
        "        self._limit_to(IDLE_S)\n",
        "",
        _ENDLESS,
    ),
    _mutant(
        "slow-heads-stay",
        "a head of which each byte comes in time never ends (slow-loris)",
        "http/handler",
        "        self._limit_to(HEAD_S)\n",
        "        self._no_limit()\n",
        _ENDLESS,
    ),
    _mutant(
        "slow-bodies-stay",
        "a body without end is waited for",
        "http/handler",
        "        self._limit_to(BODY_S)\n",
        "        self._no_limit()\n",
        _ENDLESS,
    ),
    _mutant(
        "unread-answers-stay",
        "a client that does not read its answer is never closed",
        "http/handler",
        "        self.socket.settimeout(SEND_S)\n        super().handle_one_response()\n",
        "        super().handle_one_response()\n",
        _CONNECTIONS,
    ),
    _mutant(
        "heads-without-bound",
        "a head may have any number of bytes",
        "http/handler",
        "        self._left -= len(line)\n",
        "",
        _REQUESTS,
    ),
    _mutant(
        "bodies-without-bound",
        "a body may have any number of bytes",
        "http/handler",
        "        if int(lengths[0]) > BODY_BYTES:\n",
        "        if int(lengths[0]) < 0:\n",
        _REQUESTS,
    ),
    _mutant(
        "chunked-bodies",
        "a chunked body is accepted, which a proxy may read in another way",
        "http/handler",
        '        if "transfer-encoding" in self.headers:\n',
        '        if "transfer-encodings" in self.headers:\n',
        _REQUESTS,
    ),
    _mutant(
        "http-clients-keep-others-out",
        "incomplete requests take all connections",
        "http/connections",
        "            greenlet.kill(block=False)\n            return True\n",
        "            return False\n",
        _CONNECTIONS,
    ),
    _mutant(
        "http-requests-without-turn",
        "a connection that sends many requests at once keeps the loop from commands",
        "http/handler",
        "        self.server.gate.wait()\n",
        "",
        _GATE,
    ),
    _mutant(
        "http-receives-without-turn",
        "requests in many small pieces take the loop",
        "http/connections",
        "        self._gate.wait()\n",
        "",
        _GATE,
    ),
    _mutant(
        "http-accepts-without-rest",
        "connections that come and go take the loop",
        "http/connections",
        "        self._pause_for(REST_S)\n",
        "",
        _GATE,
    ),
    _mutant(
        "http-rests-in-replay",
        "a health check waits for minutes while the log is read, behind idle connections",
        "http/connections",
        "        for _ in range(1 if self.serves else ACCEPTS):\n",
        "        for _ in range(1):\n",
        _GATE,
    ),
    _mutant(
        "http-idle-take-turns",
        "a request waits until each idle connection has had a turn",
        "http/connections",
        "        self._wait(self._read_event)\n",
        "",
        _GATE,
    ),
    _mutant(
        "http-gate-for-all",
        "sixty requests pass the gate in the same turn of the loop",
        "http/gate",
        "        with self._lock:\n            gevent.sleep(TURN_S)\n",
        "        gevent.sleep(TURN_S)\n",
        _GATE,
    ),
    _mutant(
        "http-accept-spins",
        "without a descriptor the loop spins",
        "http/connections",
        "        for watcher in self._accepting:\n            watcher.stop()\n",
        "",
        _CONNECTIONS,
    ),
    _mutant(
        "metrics-in-one-piece",
        "the loop does not turn while the figures of tubes are rendered",
        "http/metrics",
        "            yield piece\n            gevent.sleep(TURN_S)\n",
        "            yield piece\n",
        _METRICS,
    ),
    _mutant(
        "metrics-without-bound",
        "a scrape has every tube, however many there are",
        "http/tube_metrics",
        "state.tube_list[:MOST_TUBES]",
        "state.tube_list[:]",
        _METRICS,
    ),
    _mutant(
        "oldest-search-without-bound",
        "a scrape goes through all jobs at once, however long it takes",
        "http/oldest_ready",
        "            left_s -= self._clock() - begin\n",
        "",
        ("tests/http/test_oldest_ready.py",),
    ),
    _mutant(
        "oldest-search-in-one-piece",
        "the loop does not turn while tubes are searched for their oldest jobs",
        "http/oldest_ready",
        "            if seen >= SLICE_JOBS:\n",
        "            if not seen:\n",
        ("tests/http/test_oldest_ready.py",),
    ),
    _mutant(
        "waits-of-every-reserve",
        "a second reserve of a job counts as a wait since its put",
        "queue/rules",
        "            and not job.reserves\n",
        "",
        ("tests/queue/test_waits.py",),
    ),
    _mutant(
        "waits-of-new-tubes-missing",
        "the waits of tubes that are made later are not measured",
        "queue/state",
        "            if self.measures_waits:\n",
        "            if not name:\n",
        ("tests/queue/test_waits.py",),
    ),
    _mutant(
        "metrics-unescaped",
        "an odd name of a tube makes a scrape that nobody can read",
        "http/tube_metrics",
        """.replace('"', '\\\\"')""",
        "",
        _METRICS,
    ),
    _mutant(
        "commits-not-measured",
        "commits of the log are not counted",
        "server/outbox",
        "            self.on_commit(binlog.log.lsn)\n",
        "            pass\n",
        _METRICS,
    ),
    _mutant(
        "syncs-not-measured",
        "the time of syncs is not measured",
        "server/diskwatch",
        "            self.observe(call[1], now - call[0])\n",
        "            pass\n",
        _METRICS,
    ),
)
