"""What the checks share: marks, and what is known about the run so far."""

from dataclasses import dataclass, field

OK, WARNING, ERROR = "ok", "warning", "error"


@dataclass
class Run:
    """What was asked for, and what the checks have found out about it so far."""

    configfiles: list
    settings: list
    cores: int | None
    profile: str | None = None
    config: dict = None
    speech: dict = field(default_factory=dict)  # see `corpus`
    bytes: float = 0.0


def gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
