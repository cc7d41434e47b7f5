import pytest

from efficientnet_tf.training.config import Config
from efficientnet_tf.training.config_files import override
from efficientnet_tf.training.plan import plan

IMAGENET = 1_281_167


def test_imagenet_steps_are_the_originals():
    # 350 epochs at 2048 are 218,949 steps, of which 3,127 rise:
    # tensorflow/tpu models/official/efficientnet, main.py at 7dc921f.
    planned = plan(Config(), IMAGENET)
    assert planned.steps_per_epoch == pytest.approx(625.57, abs=0.01)
    assert planned.steps == 218_949
    assert planned.warmup_steps == 3127
    assert planned.learning_rate == pytest.approx(0.128)
    assert planned.decay_steps == pytest.approx(1501.37, abs=0.01)


def test_batch_4096_has_the_papers_learning_rate():
    planned = plan(override(Config(), ["train.batch=4096"]), IMAGENET)
    assert planned.learning_rate == pytest.approx(0.256)


def test_a_short_run_warms_up_for_a_fifth():
    planned = plan(override(Config(), ["train.epochs=2"]), 20480)
    assert (planned.steps, planned.warmup_steps) == (20, 4)


def test_a_batch_beyond_the_data_still_is_a_step():
    planned = plan(override(Config(), ["train.epochs=1"]), 100)
    assert planned.steps == 1
    assert planned.next_stop(0) == 1


def test_stops_are_at_every_evaluation_checkpoint_and_the_end():
    config = override(
        Config(),
        [
            "train.epochs=2.5",
            "train.batch=10",
            "train.steps_per_call=4",
            "train.checkpoint_epochs=0.5",
        ],
    )
    planned = plan(config, 100)
    stops = [0]
    while stops[-1] < planned.steps:
        stops.append(planned.next_stop(stops[-1]))
    assert stops == [0, 4, 5, 9, 10, 14, 15, 19, 20, 24, 25]
    assert [s for s in stops[1:] if planned.evaluates(s)] == [10, 20, 25]
    assert [s for s in stops[1:] if planned.saves(s)] == [5, 10, 15, 20, 25]


def test_fractions_of_a_step_do_not_add_up():
    # 10,000 images at batch 32 are 312.5 steps: five epochs end with the last
    # evaluation and not two steps behind it.
    config = override(
        Config(),
        ["train.epochs=5", "train.batch=32", "train.steps_per_call=1000"],
    )
    planned = plan(config, 10_000)
    stops = [0]
    while stops[-1] < planned.steps:
        stops.append(planned.next_stop(stops[-1]))
    assert stops == [0, 312, 625, 938, 1250, 1562]
    assert all(planned.evaluates(stop) for stop in stops[1:])
    assert not any(planned.evaluates(stop + 1) for stop in stops[:-1])


@pytest.mark.parametrize("epochs", [0.03, 0.2, 1.0, 1.7])
@pytest.mark.parametrize("batch", [7, 16, 100])
def test_every_stop_that_is_due_is_made(epochs, batch):
    config = override(
        Config(),
        [
            "train.epochs=9",
            f"train.batch={batch}",
            "train.checkpoint_epochs=0.7",
            f"evaluate.every_epochs={epochs}",
        ],
    )
    planned = plan(config, 97)
    stops, step = [], 0
    while step < planned.steps:
        step = planned.next_stop(step)
        stops.append(step)
    due = [
        step
        for step in range(1, planned.steps + 1)
        if planned.evaluates(step) or planned.saves(step)
    ]
    assert set(due) <= set(stops)
    evaluations = sum(planned.evaluates(step) for step in stops)
    expected = 9 / max(epochs, batch / 97)
    assert abs(evaluations - expected) <= 1
