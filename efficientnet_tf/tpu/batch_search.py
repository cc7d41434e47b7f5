"""The largest batch that fits, by bisection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from efficientnet_tf.networks import Network
from efficientnet_tf.tpu.compiling import Effort
from efficientnet_tf.tpu.rehearsal import Rehearsal, rehearse
from efficientnet_tf.tpu.topology import Topology
from efficientnet_tf.training.config import Config

# Images of a core and microbatch. They lie in memory in groups of eight.
SHARES = (1, 2, 4, *range(8, 4097, 8))

# After so many attempts that trusted in proportion one halves what is left.
_MODEL_ATTEMPTS = 5

# Where how much too large something is is not known.
_NO_TELLING = 1.001

# Says of a share whether it fits, and how much memory it takes of the whole.
Attempt = Callable[[int], tuple[bool, float]]


def find_batch(
    config: Config,
    network: Network,
    topology: Topology,
    *,
    effort: Effort = "quick",
) -> tuple[Rehearsal | None, list[Rehearsal]]:
    """Rehearses until one batch fits and the next larger one does not.

    Args:
        config: The experiment; the search begins at its batch.
        network: What it trains.
        topology: Of the TPU.
        effort: Of the compiler.

    Returns:
        The rehearsal of the largest batch that fits, None where none does,
        and all that were made, in their order. Where something is refused
        before any batch has fitted, the search ends: no batch mends that.

    Raises:
        InputError: As `rehearse`.
        RunError: As `rehearse`.
    """
    blocks = topology.cores * config.train.microbatches
    made: dict[int, Rehearsal] = {}

    def attempt(share: int) -> tuple[bool, float]:
        sized = replace(
            config, train=replace(config.train, batch=share * blocks)
        )
        tried = rehearse(sized, network, topology, effort=effort)
        made[share] = tried
        if tried.peak_hbm_bytes is not None:
            return tried.fits, tried.peak_hbm_bytes / tried.hbm_bytes
        if any(each.fits for each in made.values()):
            # Other memory than HBM may be too small for so many images.
            return False, _NO_TELLING
        raise _Refused

    mixes = config.data.mixup or config.data.cutmix
    shares = [share for share in SHARES if share > 1 or not mixes]
    try:
        largest = largest_share(shares, config.train.batch // blocks, attempt)
    except _Refused:
        largest = None
    best = None if largest is None else made[largest]
    return best, list(made.values())


class _Refused(Exception):
    """The network is refused, whatever its batch."""


def largest_share(
    shares: Sequence[int], first: int, attempt: Attempt
) -> int | None:
    """The largest share that fits, where those above it do not.

    Bisection, but that memory grows about in proportion to the share, so that
    each attempt tells where the limit lies.

    Args:
        shares: Rising; what may be tried.
        first: Where to begin, or near it.
        attempt: Tries one.
    """
    fits, too_large = -1, len(shares)
    tried: list[tuple[int, float]] = []
    guess = _last_up_to(shares, first)
    while too_large - fits > 1:
        guess = min(max(guess, fits + 1), too_large - 1)
        did_fit, taken = attempt(shares[guess])
        if did_fit:
            fits = guess
        else:
            too_large = guess
        tried.append((shares[guess], taken))
        if len(tried) % _MODEL_ATTEMPTS:
            guess = _last_up_to(shares, _limit(tried))
        else:
            # Where memory does not grow as it was thought to.
            guess = (fits + too_large) // 2
    return shares[fits] if fits >= 0 else None


def _limit(tried: Sequence[tuple[int, float]]) -> float:
    """The share that takes all memory, by the last two attempts."""
    (share, taken), *before = reversed(tried)
    for other, others in before:
        if (others - taken) * (other - share) > 0:
            slope = (others - taken) / (other - share)
            return share + (1.0 - taken) / slope
    return share / taken


def _last_up_to(shares: Sequence[int], value: float) -> int:
    """Index of the largest share that is no larger; 0 where all are."""
    return max(sum(share <= value for share in shares) - 1, 0)
