"""The one kind of error that a user can mend."""


class UserError(Exception):
    """Bad input: the message is one sentence that names the file, key or line and says what to do."""
