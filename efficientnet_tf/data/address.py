"""The address of a tf.data service."""

from __future__ import annotations

import re

from efficientnet_tf.errors import InputError

GRPC = "grpc://"
_ADDRESS = re.compile(rf"{GRPC}[^\s/:]+:\d+")


def check_address(name: str, address: str) -> None:
    """Refuses what is no address.

    Args:
        name: Of the field or flag, for the error.
        address: grpc://HOST:PORT.

    Raises:
        InputError: It is something else.
    """
    if not _ADDRESS.fullmatch(address):
        raise InputError(
            f"{name} {address!r} must be {GRPC}HOST:PORT, the address that "
            "`serve-data` prints"
        )
