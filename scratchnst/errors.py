"""The one exception of this package that is meant for the user's eyes."""


class UserError(Exception):
    """A mistake that the user can mend: one sentence that says what is wrong and what to do."""
