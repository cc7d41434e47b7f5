"""TPUs by name."""

from __future__ import annotations

import pytest

from efficientnet_tf.errors import InputError
from efficientnet_tf.tpu.topology import parse_topology


@pytest.mark.parametrize(
    ("name", "cores"),
    # As the compiler of libtpu 0.0.21 lists them.
    [
        ("v2:2x2", 8),
        ("v3:4x8", 64),
        ("v4:2x2x1", 8),
        ("v4:4x4x4", 128),
        ("v5e:1x1", 1),
        ("v5e:2x4", 8),
        ("v5e:8x16", 128),
        ("v5p:2x2x1", 4),
        ("v6e:4x8", 32),
    ],
)
def test_a_slice_has_the_cores_that_the_compiler_lists(
    name: str, cores: int
) -> None:
    assert parse_topology(name).cores == cores


def test_memory_is_what_the_compiler_lets_a_program_use() -> None:
    # "exceeds available HBM ... 15.75G"
    assert parse_topology("v5e:2x2").hbm_bytes == round(15.75 * 2**30)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("v5:2x4", "unknown generation 'v5': did you mean"),
        ("v5e", "such as v5e:2x2"),
        ("v5e:8", "stand in 2 dimensions"),
        ("v4:2x2", "stand in 3 dimensions, such as v4:2x2x2"),
        ("v5e:0x4", "come its chips"),
        ("v5e:2x-4", "come its chips"),
        ("v5e:3x5", "must be even, as in v5e:2x2, or v5e:1x1"),
        ("v5e:1x2", "must be even"),
        ("v4:1x1x1", "must be even, as in v4:2x2x2$"),
        ("tpu7x:2x2x1", "unknown generation"),
    ],
)
def test_other_names_are_answered_with_what_would_do(
    name: str, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        parse_topology(name)
