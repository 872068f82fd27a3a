"""What an engine is, wherever it computes."""

from __future__ import annotations

import pickle
from copy import copy

import pytest

from scratchnst.engine import cpu, cuda, textbook


@pytest.mark.parametrize("engine", [cpu, cuda, textbook], ids=str)
def test_pickled_it_is_the_one_of_that_name(engine):
    assert pickle.loads(pickle.dumps(engine)) is engine


def test_a_copy_is_another_one():
    other = copy(textbook)
    relu = other.relu
    other.relu = None
    assert textbook.relu is relu
    assert type(copy(cpu)) is type(cpu)
