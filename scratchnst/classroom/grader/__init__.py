"""The grader of the exercises: how one is specified, and how a learner's file is tried.

`exercise` has the terms of a specification; `calls`, `comparison` and `likely` try one function and say what is wrong,
`examination` goes through its tests; `supervision` does so in a process of its own, and `tutor` puts it into words.
"""

from scratchnst.classroom.grader.exercise import (
    Derivative,
    Drawn,
    Exercise,
    Function,
    Mistake,
    Property,
    Verified,
    Worked,
    with_result,
)

__all__ = ["Derivative", "Drawn", "Exercise", "Function", "Mistake", "Property", "Verified", "Worked", "with_result"]
