"""The exceptions of this package whose messages are written for users."""


class UserError(Exception):
    """Something that the user can correct; the message says in one sentence what is wrong and what to do."""


class OutputError(UserError):
    """Standard output cannot be written."""


class FileError(UserError):
    """A file cannot be written."""
