import time

import pytest
import tensorflow as tf

from efficientnet_tf.errors import InputError, RunError
from efficientnet_tf.training.strategy import (
    check_batch,
    describe_devices,
    make_strategy,
    policy,
)


def test_without_accelerators_it_is_the_cpu():
    strategy = make_strategy("")
    assert strategy is tf.distribute.get_strategy()
    assert describe_devices(strategy) == "1 x CPU"
    assert policy("auto", strategy) == "float32"
    assert policy("bfloat16", strategy) == "mixed_bfloat16"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("grpc://127.0.0.1:1", "does not answer"),
        ("grpc://nowhere.invalid:8470", "does not answer"),
    ],
)
def test_an_address_that_does_not_answer_is_said_soon(address, says):
    began = time.monotonic()
    with pytest.raises(RunError, match=says):
        make_strategy(address)
    assert time.monotonic() - began < 30


def test_an_address_that_is_none():
    with pytest.raises(InputError, match=r"must look like grpc://10\.0\.0\.2"):
        make_strategy("grpc://10.0.0.2:port")


def test_a_batch_must_be_shared_equally(mirrored):
    check_batch(6, mirrored)
    with pytest.raises(InputError, match=r"train\.batch 9 .* try 8"):
        check_batch(9, mirrored)
    with pytest.raises(InputError, match=r"train\.batch 1 .* try 2"):
        check_batch(1, mirrored)
