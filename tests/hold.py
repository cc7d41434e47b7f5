"""Holds a folder; its arguments are the folder and the seconds of a lease.

Without seconds it is held as a local one. Says "held" or "refused: ...", then
answers every line of its input with whether the lease is lost.
"""

import sys

from efficientnet_tf.errors import InputError
from efficientnet_tf.training.lease import LeaseSeconds, hold, hold_by_beats

if __name__ == "__main__":
    folder, *given = sys.argv[1:]
    held = (
        hold_by_beats(folder, LeaseSeconds(*map(float, given)))
        if given
        else hold(folder)
    )
    try:
        with held as lease:
            print("held", flush=True)
            for _ in sys.stdin:
                print(lease.lost(), flush=True)
    except InputError as error:
        print("refused:", error, flush=True)
