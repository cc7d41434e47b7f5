"""What became of weights that were brought in from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field

# How TF1 names the average of a variable.
AVERAGED = "/ExponentialMovingAverage"


@dataclass(frozen=True)
class LoadReport:
    """An account of every variable of a model and every tensor of a source.

    Attributes:
        source: Where the weights came from.
        assigned: The tensor of the source that each variable of the model, by
            its path, was given.
        fresh: Variables that kept their initial values, each with the reason.
        unused: Tensors of the source that no variable was given, each with
            the reason.
    """

    source: str
    assigned: dict[str, str]
    fresh: dict[str, str] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)

    @property
    def averaged(self) -> int:
        """How many variables were given averaged values of TF1."""
        return sum(name.endswith(AVERAGED) for name in self.assigned.values())

    def __str__(self) -> str:
        """A line for each thing that a person should know."""
        lines = [f"{len(self.assigned)} variables from {self.source}"]
        if self.averaged:
            lines.append(f"{self.averaged} of them averaged")
        lines += _counted(self.fresh, "variables left fresh")
        lines += _counted(self.unused, "tensors not used")
        return "\n".join(lines)


def _counted(reasons: dict[str, str], what: str) -> list[str]:
    """How often each reason is given."""
    given = list(reasons.values())
    return [
        f"{given.count(reason)} {what}: {reason}"
        for reason in dict.fromkeys(given)
    ]
