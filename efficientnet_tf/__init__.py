"""EfficientNets on today's TensorFlow: found, scaled, trained, put on Coral.

The public names load on first use, so that importing the package costs no
TensorFlow import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from efficientnet_tf.errors import InputError, RunError
    from efficientnet_tf.modeling.build import build
    from efficientnet_tf.modeling.keras_weights import copy_keras_weights
    from efficientnet_tf.modeling.load_report import LoadReport
    from efficientnet_tf.modeling.tf1_checkpoint import load_tf1_checkpoint
    from efficientnet_tf.networks import Network, network, variants

__version__ = "0.1.0"

__all__ = [
    "InputError",
    "LoadReport",
    "Network",
    "RunError",
    "__version__",
    "build",
    "copy_keras_weights",
    "load_tf1_checkpoint",
    "network",
    "variants",
]

_HOMES = {
    "InputError": "efficientnet_tf.errors",
    "LoadReport": "efficientnet_tf.modeling.load_report",
    "Network": "efficientnet_tf.networks",
    "RunError": "efficientnet_tf.errors",
    "build": "efficientnet_tf.modeling.build",
    "copy_keras_weights": "efficientnet_tf.modeling.keras_weights",
    "load_tf1_checkpoint": "efficientnet_tf.modeling.tf1_checkpoint",
    "network": "efficientnet_tf.networks",
    "variants": "efficientnet_tf.networks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
