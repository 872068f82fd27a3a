"""Jobs that processes share."""

from __future__ import annotations

import pytest

from scratchnst.system import pool
from scratchnst.system.process import Ended, Process


def test_each_job_is_done_once():
    jobs = [("echo", number) for number in range(7)]
    found = dict(pool.replies("answering", [(1,), (2,)], jobs))
    assert {number: what for number, (_, what) in found.items()} == dict(enumerate(range(7)))
    assert {own for (own,), _ in found.values()} <= {1, 2}


def test_no_more_processes_than_jobs():
    assert list(pool.replies("answering", [()] * 9, [("echo", "one")])) == [(0, ((), "one"))]
    assert list(pool.replies("answering", [()], [])) == []


def test_a_job_that_processes_die_of_is_given_up_and_the_others_are_done():
    jobs = [("echo", 0), ("exit", 3), ("echo", 2), ("echo", 3)]
    found = dict(pool.replies("answering", [(), ()], jobs))
    assert isinstance(found.pop(1), Ended)
    assert {number: what for number, (_, what) in found.items()} == {0: 0, 2: 2, 3: 3}


def test_a_job_whose_process_dies_once_is_done(tmp_path):
    jobs = [("die once", str(tmp_path / f"{number}")) for number in range(3)]
    found = dict(pool.replies("answering", [(), ()], jobs))
    assert sorted(found) == [0, 1, 2]
    assert not any(isinstance(reply, Ended) for reply in found.values())


def test_none_is_left_where_the_caller_ends(monkeypatch):
    started = []
    monkeypatch.setattr(pool, "Process", lambda *a, **k: started.append(Process(*a, **k)) or started[-1])
    replies = pool.replies("answering", [(), ()], [("echo", 0), ("sleep", 100), ("sleep", 100)])
    next(replies)
    replies.close()
    assert len(started) == 2
    assert all(each.process.returncode is not None for each in started)


@pytest.fixture(autouse=True)
def few_attempts(monkeypatch):
    monkeypatch.setattr(pool, "ATTEMPTS", 2)
