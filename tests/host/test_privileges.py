"""A change that cannot be undone is made in a child process. Root becomes another user; another
user gets the refusal of root's groups.
"""

import json
import os
import pwd
import subprocess
import sys

import pytest

from beanstalkd_py.host import privileges
from beanstalkd_py.host.privileges import PrivilegesFailed, become

CHILD = """
import json, os, sys
from beanstalkd_py.host.privileges import PrivilegesFailed, become
users = json.loads(sys.argv[1])
try:
    for user in users:
        become(user)
    print(json.dumps([os.getresuid(), os.getresgid(), sorted(os.getgroups())]))
except PrivilegesFailed as failed:
    print(json.dumps([failed.status, failed.line]))
"""

NOBODY = pwd.getpwnam("nobody")
ROOT = os.geteuid() == 0
NO_WAY_TO_ROOT = [34, 'initgroups("root", 0): Operation not permitted']


def in_a_child(*users):
    env = {
        **os.environ,
        "PYTHONPATH": os.path.dirname(os.path.dirname(os.path.dirname(privileges.__file__))),
    }
    command = [sys.executable, "-c", CHILD, json.dumps(users)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=env).stdout)


def test_become_sets_the_users_groups():
    groups = sorted(os.getgrouplist("nobody", NOBODY.pw_gid))
    became = [3 * [NOBODY.pw_uid], 3 * [NOBODY.pw_gid], groups]
    assert in_a_child("nobody" if ROOT else "root") == (became if ROOT else NO_WAY_TO_ROOT)


def test_become_cannot_be_undone():
    assert in_a_child(*(["nobody"] if ROOT else []), "root") == NO_WAY_TO_ROOT


def test_change_to_the_same_user_needs_no_privilege():
    users = ["nobody", "nobody"] if ROOT else [pwd.getpwuid(os.geteuid()).pw_name]
    uids, gids, _ = in_a_child(*users)
    assert uids == 3 * [pwd.getpwnam(users[-1]).pw_uid] and gids == 3 * [
        pwd.getpwnam(users[-1]).pw_gid
    ]


@pytest.mark.parametrize("user", ["", "no such user"])
def test_unknown_user_fails(user):
    with pytest.raises(PrivilegesFailed) as caught:
        become(user)
    assert (caught.value.status, caught.value.line) == (33, f'getpwnam("{user}"): no such user')


def test_failed_lookup_has_its_own_status(monkeypatch):
    def getpwnam(user):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(pwd, "getpwnam", getpwnam)
    with pytest.raises(PrivilegesFailed) as caught:
        become("nobody")
    assert (caught.value.status, caught.value.line) == (
        32,
        'getpwnam("nobody"): Input/output error',
    )


@pytest.fixture
def calls(monkeypatch):
    """A process that is root by its own account; the calls it makes, and an errno for the one that
    is to fail.
    """
    made, failing = [], {}

    def instead(name):
        def call(*args):
            made.append((name, *args))
            if name in failing:
                raise OSError(failing[name], os.strerror(failing[name]))

        return call

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for name in ("initgroups", "setgid", "setuid"):
        monkeypatch.setattr(os, name, instead(name))
    return made, failing


def test_user_id_is_set_last(calls):
    become("nobody")
    uid, gid = NOBODY.pw_uid, NOBODY.pw_gid
    assert calls[0] == [("initgroups", "nobody", gid), ("setgid", gid), ("setuid", uid)]


def test_root_gets_its_own_groups(calls):
    become("root")
    assert calls[0] == [("initgroups", "root", 0), ("setgid", 0), ("setuid", 0)]


@pytest.mark.parametrize(("name", "shown"), [("setgid", NOBODY.pw_gid), ("setuid", NOBODY.pw_uid)])
def test_refused_change_fails_and_is_the_last_step(calls, name, shown):
    made, failing = calls
    failing[name] = 1
    with pytest.raises(PrivilegesFailed) as caught:
        become("nobody")
    assert (caught.value.status, caught.value.line) == (
        34,
        f'{name}({shown} "nobody"): Operation not permitted',
    )
    assert made[-1][0] == name
