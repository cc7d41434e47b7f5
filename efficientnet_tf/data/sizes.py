"""What a host may hold unless somebody says otherwise. No TensorFlow here."""

from __future__ import annotations

# Records for shuffling: of ImageNet 5,500, each five times.
SHUFFLE_BYTES = 3 << 30
# Finished images: three batches of 2048 of 224 pixels in bfloat16.
PREFETCH_BYTES = 2 << 30
