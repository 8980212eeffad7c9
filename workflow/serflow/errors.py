"""The one kind of error that a user can mend."""


class UserError(Exception):
    """Bad input: the message is one sentence, in one line whatever it quotes, that names the file, key or line and
    says what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(" ".join(sentence.splitlines()))
