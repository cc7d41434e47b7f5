"""main.py with a network of two blocks, for tests that need a process.

Its arguments are whole command lines; it ends with the largest exit code.
"""

import shlex
import sys

import main
from efficientnet_tf.networks import families
from efficientnet_tf.networks.stages import Family, Stage, Variant

_STAGES = (Stage("fused", 1, 3, 2, 2, 8), Stage("mbconv", 1, 3, 2, 2, 8))
_FAMILY = Family(
    _STAGES, "relu6", families.CENTERED, stem=8, head=16, classes=7
)
TINY = Variant(_FAMILY, 1.0, 1.0, 32, 0.0)

if __name__ == "__main__":
    families.VARIANTS["tiny"] = TINY
    sys.exit(max([main.main(shlex.split(line)) for line in sys.argv[1:]]))
