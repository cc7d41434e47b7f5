"""The trace as TensorBoard's profiler would open it."""

import re

import pytest
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace

from efficientnet_tf.errors import InputError
from efficientnet_tf.training import loop
from efficientnet_tf.training.profiling import Profile, ProfileSteps


@pytest.mark.parametrize(
    "text", ["", "100", "100,", "110,100", "5,5", "0,3", "-1,3", "1.5,3", "a,b"]
)
def test_two_whole_numbers_are_asked_for(text):
    with pytest.raises(InputError, match=r"--profile_steps=100,110"):
        ProfileSteps.parse(text)


def test_stops_are_at_both_ends():
    steps = ProfileSteps.parse("100, 110")
    assert steps == ProfileSteps(100, 110)
    profile = Profile(steps, "nowhere")
    stops = [(0, 50), (50, 150), (99, 150), (105, 108), (105, 200), (110, 150)]
    assert [profile.next_stop(*pair) for pair in stops] == [
        50,
        99,
        110,
        108,
        110,
        150,
    ]
    profile.check(110)
    with pytest.raises(InputError, match="100,110 .* has 109 steps"):
        profile.check(109)


def test_without_a_flag_nothing_is_traced(tmp_path):
    profile = Profile(None, str(tmp_path))
    assert profile.next_stop(3, 17) == 17
    profile.check(1)
    profile.before(3)
    profile.after(17)
    profile.close()
    assert list(tmp_path.iterdir()) == []


def events_of(folder):
    """Names of all events of the host, from the only trace in a folder."""
    (file,) = folder.glob("plugins/profile/*/*.xplane.pb")
    space = XSpace.FromString(file.read_bytes())
    names = []
    for plane in space.planes:
        if plane.name == "/host:CPU":
            names += [
                plane.event_metadata[event.metadata_id].name
                for line in plane.lines
                for event in line.events
            ]
    return names


def train(profile, steps, start=0, steps_per_call=7):
    """A training whose every step multiplies matrices."""
    weights = tf.Variable(tf.eye(64))

    @tf.function
    def many_steps(count):
        for _ in tf.range(count):
            weights.assign(tf.linalg.matmul(weights, weights, name="my_step"))

    many_steps(tf.constant(1))
    step = start
    while step < steps:
        stop = profile.next_stop(step, min(steps, step + steps_per_call))
        profile.before(step)
        many_steps(tf.constant(stop - step))
        profile.after(stop)
        step = stop


@pytest.mark.parametrize(("start", "traced"), [(0, 11), (14, 6)])
def test_exactly_these_steps_are_in_the_trace(start, traced, tmp_path):
    profile = Profile(ProfileSteps(10, 20), str(tmp_path))
    train(profile, 40, start)
    names = events_of(tmp_path)
    # Where the processor suits it, TensorFlow takes oneDNN's kernels.
    step = re.compile(r".*my_step:(_Mkl)?MatMul")
    assert sum(bool(step.fullmatch(name)) for name in names) == traced
    assert any(name.startswith("train") for name in names)


def test_a_training_that_fails_leaves_its_trace(tmp_path):
    profile = Profile(ProfileSteps(1, 30), str(tmp_path))
    profile.before(0)
    profile.after(5)
    profile.close()
    profile.close()
    assert events_of(tmp_path)


def test_a_training_is_traced_where_it_is_told(config, tmp_path):
    """An evaluation lies between, whose convolutions TensorFlow fuses."""
    steps = ProfileSteps(4, 8)
    loop.train(config, str(tmp_path), profile_steps=steps)
    names = events_of(tmp_path / "tensorboard")
    convolutions = [
        name
        for name in names
        if re.fullmatch(r".*/stem_conv.*:(_Mkl(Native)?)?Conv2D", name)
    ]
    assert len(convolutions) == 5
    with pytest.raises(InputError, match="beyond the training"):
        loop.train(
            config, str(tmp_path / "x"), profile_steps=ProfileSteps(4, 900)
        )
