"""What the checks share: marks, and what is known about the run so far."""

from dataclasses import dataclass, field

OK, WARNING, ERROR = "ok", "warning", "error"


@dataclass
class Run:
    """What was asked for, and what the checks have found out about it so far."""

    configfiles: list
    settings: list
    cores: int | None
    config: dict = None
    speech: dict = field(default_factory=dict)  # see `corpus`
    jobs: list = field(default_factory=list)  # (rule, name of what it makes)
    planning: float = 0.0  # seconds
    bytes: float = 0.0

    @property
    def threads(self):
        """Of a job that belongs to a fold, as rules/common.smk has it."""
        return max(1, self.cores // self.config["folds"]["count"])

    @property
    def side(self):
        """Folds that run at the same time."""
        return min(self.config["folds"]["count"], self.cores // self.threads)


def gigabytes(count):
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
