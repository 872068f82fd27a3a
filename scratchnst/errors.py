"""The one exception of this package whose message is written for users."""


class UserError(Exception):
    """Something that the user can correct; the message says in one sentence what is wrong and what to do."""
