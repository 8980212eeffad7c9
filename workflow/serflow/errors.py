"""The one kind of error that a user can mend."""


class UserError(Exception):
    """Bad input: the message is one sentence that names the file, key or line and says what to do.

    Whatever it quotes, it is one line, and can be printed: names of files need not be text.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(" ".join(sentence.encode(errors="backslashreplace").decode().splitlines()))
