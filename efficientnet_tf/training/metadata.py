"""What Google Cloud tells a machine about itself. No TensorFlow here."""

from __future__ import annotations

import http.client
import os

SECONDS = 3.0


class NoSuchEntry(http.client.HTTPException):
    """The server is Google's, and has nothing of that name."""


# metadata.google.internal, without a lookup that may stall elsewhere.
_ADDRESS = "169.254.169.254"


def metadata_host() -> str:
    """The metadata server: Google's, or what the environment names instead."""
    return (
        os.environ.get("GCE_METADATA_HOST")
        or os.environ.get("GCE_METADATA_IP")
        or _ADDRESS
    )


def ask_metadata(what: str) -> str:
    """What the metadata server says of this machine.

    Args:
        what: A path, such as "instance/zone".

    Raises:
        OSError: Nothing answers.
        NoSuchEntry: There is no such path.
        HTTPException: Something answers that is not Google's.
    """
    # No urllib: a proxy of the environment's knows nothing of this machine.
    connection = http.client.HTTPConnection(metadata_host(), timeout=SECONDS)
    try:
        connection.request(
            "GET",
            f"/computeMetadata/v1/{what}",
            headers={"Metadata-Flavor": "Google"},
        )
        answer = connection.getresponse()
        if answer.getheader("Metadata-Flavor") != "Google":
            raise http.client.HTTPException("no server of Google's answered")
        if answer.status != http.client.OK:
            raise NoSuchEntry(f"{answer.status} {answer.reason}")
        return answer.read().decode(errors="replace").strip()
    finally:
        connection.close()
