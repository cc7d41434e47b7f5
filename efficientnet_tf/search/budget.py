"""What a network may cost, as a person writes it: 4.2GMACs, HBM:16GiB."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from efficientnet_tf.errors import InputError
from efficientnet_tf.networks import Network, edgetpu_latency, totals
from efficientnet_tf.search import hbm

FORMS = "4.2GMACs, 30Mparams, 8ms-edgetpu or HBM:16GiB"

_PREFIXES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_BYTES = {"MiB": 2.0**20, "GiB": 2.0**30}
_NUMBER = r"(\d+(?:\.\d+)?)"


class _Form(NamedTuple):
    """A way to write a budget."""

    pattern: re.Pattern[str]
    units: dict[str, float]
    measure: str
    text: str
    basis: str = ""


@dataclass(frozen=True)
class Budget:
    """What a network may cost at most.

    Attributes:
        text: As it was given.
        most: The amount: multiply-adds, parameters, milliseconds or bytes.
        cost: Counts the same of a network.
        form: How it is written.
    """

    text: str
    most: float
    cost: Callable[[Network], float]
    form: _Form

    @property
    def measure(self) -> str:
        """What is counted, in a word or two."""
        return self.form.measure

    @property
    def basis(self) -> str:
        """What an estimate stands on; empty where the count is exact."""
        return self.form.basis

    def shown(self, amount: float) -> str:
        """An amount as a budget of the same kind is written.

        Its unit makes it a number of one to four digits.
        """
        units = self.form.units
        unit = max(
            (name for name, size in units.items() if amount >= size),
            key=units.__getitem__,
            default=min(units, key=units.__getitem__),
        )
        number = f"{amount / units[unit]:.4g}"
        return self.form.text.format(amount=number, unit=unit)


_FORMS = (
    _Form(
        re.compile(rf"{_NUMBER}([kMGT]?)MACs"),
        _PREFIXES,
        "multiply-adds",
        "{amount}{unit}MACs",
    ),
    _Form(
        re.compile(rf"{_NUMBER}([kMGT]?)params"),
        _PREFIXES,
        "trainable parameters",
        "{amount}{unit}params",
    ),
    _Form(
        re.compile(rf"{_NUMBER}()ms-edgetpu"),
        {"": 1.0},
        "latency on an Edge TPU",
        "{amount}ms-edgetpu",
        edgetpu_latency.BASIS,
    ),
    _Form(
        re.compile(rf"HBM:{_NUMBER}(MiB|GiB)"),
        _BYTES,
        "training memory",
        "HBM:{amount}{unit}",
        hbm.BASIS,
    ),
)


def parse_budget(text: str, images_per_core: int) -> Budget:
    """Reads a budget.

    Args:
        text: A number with its unit, such as `FORMS`.
        images_per_core: That a core trains on at once, of a budget of memory.

    Raises:
        InputError: It is written in another way, or is zero.
    """
    counted: dict[str, Callable[[Network], float]] = {
        "multiply-adds": lambda network: totals(network).macs,
        "trainable parameters": (
            lambda network: totals(network).trainable_parameters
        ),
        "latency on an Edge TPU": edgetpu_latency.milliseconds,
        "training memory": (
            lambda network: hbm.training_bytes(network, images_per_core).total
        ),
    }
    for form in _FORMS:
        found = form.pattern.fullmatch(text)
        if found:
            most = float(found[1]) * form.units[found[2]]
            if not most:
                raise InputError(f"--budget {text} must be above 0")
            return Budget(text, most, counted[form.measure], form)
    raise InputError(f"--budget {text!r} is not one: {_cure(text)}")


def _cure(text: str) -> str:
    if re.search("flop", text, re.IGNORECASE):
        return (
            "what the papers call FLOPs are multiply-adds here, "
            "such as 4.2GMACs"
        )
    if re.fullmatch(_NUMBER, text):
        return f"it lacks its unit; write one of {FORMS}"
    return f"write one of {FORMS}, without spaces"
