import json
from dataclasses import FrozenInstanceError

import pytest

from efficientnet_tf.data.augmentation.recipe import Erasing, Jitter
from efficientnet_tf.errors import InputError
from efficientnet_tf.training.config import (
    Config,
    DataConfig,
    ExportConfig,
    ModelConfig,
    TrainConfig,
    conflicts,
    differences,
)
from efficientnet_tf.training.config_files import (
    from_dict,
    from_json,
    load_config,
    override,
    to_dict,
)


def test_defaults_are_the_originals_recipe():
    # tensorflow/tpu models/official/efficientnet main.py at 7dc921f.
    train = Config().train
    assert (train.batch, train.epochs) == (2048, 350)
    assert train.learning_rate_per_256 == 0.016
    assert (train.decay_factor, train.decay_epochs) == (0.97, 2.4)
    assert train.warmup_epochs == 5
    assert (train.rmsprop_decay, train.momentum) == (0.9, 0.9)
    assert train.rmsprop_epsilon == 0.001
    assert train.weight_decay == 1e-5
    assert train.label_smoothing == 0.1
    assert train.average_decay == 0.9999
    assert Config().model.batch_norm_momentum == 0.99
    data = Config().data
    assert (data.crop, data.resize) == ("pad32", "legacy_bicubic")
    assert Config().network().normalization.name == "imagenet"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("train.epochs=5", 5.0),
        ("train.epochs=2.5", 2.5),
        ("train.batch=64", 64),
        ("train.schedule=cosine", "cosine"),
        ("data.flip=false", False),
        ("data.crop=fraction", "fraction"),
        ("data.resize=bilinear", "bilinear"),
        ("data.normalization=unit", "unit"),
        ("data.normalization=none", None),
        ("data.augment=randaugment", "randaugment"),
        ("data.augment_arithmetic=clean", "clean"),
        ("data.randaugment_magnitude=17", 17),
        ("data.erasing=0.25", 0.25),
        ("model.pixels=64", 64),
        ("model.pixels=none", None),
        ("data.dir=gs://bucket/a=b", "gs://bucket/a=b"),
    ],
)
def test_override_parses_by_declared_type(setting, value):
    changed = override(Config(), [setting])
    section, field = setting.partition("=")[0].split(".")
    found = getattr(getattr(changed, section), field)
    assert found == value
    assert type(found) is type(value)


def test_the_last_override_of_a_field_wins():
    changed = override(Config(), ["train.batch=8", "train.batch=16"])
    assert changed.train.batch == 16


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("train.epoch=5", "did you mean train.epochs"),
        ("trian.epochs=5", "did you mean train?"),
        ("train.epochs=many", "train.epochs 'many' must be a number"),
        ("train.epochs=nan", "train.epochs 'nan' must be a number"),
        ("train.epochs=0", "train.epochs 0.0 must be above 0"),
        ("train.batch=1.5", "train.batch '1.5' must be a whole number"),
        ("train.batch=0", "train.batch 0 must be at least 1"),
        ("train.schedule=cos", "did you mean cosine"),
        ("data.flip=maybe", "data.flip 'maybe' must be true or false"),
        ("train.momentum=1", "train.momentum 1.0 must be in"),
        ("train.epochs", "must look like"),
        ("epochs=5", "must look like"),
        ("model.name=efficientnet-b9", "did you mean efficientnet-b8"),
        ("model.pixels=31", "pixels 31 must be at least 32"),
        ("model.classes=1", "classes 1 must be at least 2"),
        ("data.min_crop_area=0", "data.min_crop_area 0.0 must be in"),
        ("data.crop=32", "data.crop '32': did you mean pad32"),
        ("data.resize=bicubik", "did you mean bicubic"),
        ("data.normalization=centred127", "did you mean centered127"),
        ("data.augment=randaug", "did you mean randaugment"),
        ("data.augment_arithmetic=pil", "data.augment_arithmetic 'pil'"),
        ("data.randaugment_layers=0", "must be at least 1"),
        ("data.randaugment_magnitude=31", "must be at most 30"),
        ("data.randaugment_magnitude=-1", "must be at least 0"),
        ("data.erasing=1.5", "data.erasing 1.5 must be at most 1"),
        ("data.erasing_filling=black", "data.erasing_filling 'black'"),
        ("data.jitter_hue=0.6", "data.jitter_hue 0.6 must be at most 0.5"),
        ("data.jitter_contrast=-0.1", "must be at least 0"),
    ],
)
def test_bad_overrides_are_answered(setting, says):
    with pytest.raises(InputError) as caught:
        override(Config(), [setting])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [{"epochs": "5"}, {"batch": 8.0}, {"batch": True}, {"schedule": "linear"}],
)
def test_no_section_of_wrong_types_can_be_made(fields):
    with pytest.raises(InputError, match=f"train.{next(iter(fields))}"):
        TrainConfig(**fields)


def test_the_data_section_says_what_is_done_to_images():
    settings = [
        "data.augment=randaugment",
        "data.augment_arithmetic=clean",
        "data.randaugment_layers=3",
        "data.randaugment_magnitude=9",
        "data.jitter_brightness=0.1",
        "data.jitter_contrast=0.2",
        "data.jitter_saturation=0.3",
        "data.jitter_hue=0.4",
        "data.erasing=0.5",
        "data.erasing_filling=noise",
    ]
    mean = (1.0, 2.0, 3.0)
    found = override(Config(), settings).data.augmentation(mean)
    assert (found.policy, found.arithmetic) == ("randaugment", "clean")
    assert (found.layers, found.magnitude) == (3, 9)
    assert found.jitter == Jitter(0.1, 0.2, 0.3, 0.4)
    assert found.erasing == Erasing(0.5, "noise", mean)
    assert Config().data.augmentation(mean).policy == "none"


@pytest.mark.parametrize("field", ["crop", "resize", "normalization"])
def test_no_data_of_unknown_words_can_be_made(field):
    with pytest.raises(InputError, match=f"data.{field} 'x' must be '"):
        DataConfig(**{field: "x"})


def test_the_data_section_says_how_the_network_takes_pixels():
    config = Config(model=ModelConfig(name="efficientnet-lite0"))
    assert config.network().normalization.name == "centered127"
    changed = override(config, ["data.normalization=unit"])
    assert changed.network().normalization.name == "unit"
    assert changed.network(10).classes == 10


def test_configs_are_frozen():
    with pytest.raises(FrozenInstanceError):
        Config().train.batch = 3


def test_words_of_a_tuple():
    config = override(Config(), ["export.formats=float,saved_model"])
    assert config.export.formats == ("float", "saved_model")
    text = json.dumps({"config": to_dict(config)})
    assert from_json(text, "config.json") == config
    for setting, says in (
        ("keras,flaot", "'flaot': did you mean float"),
        ("", "export.formats ''"),
        ("int8,int8", "'int8,int8' must name one or more of keras, int8, .*"),
    ):
        with pytest.raises(InputError, match=says):
            override(Config(), [f"export.formats={setting}"])
    for value in ("keras", ["keras"], ("keras", 8), ()):
        with pytest.raises(InputError, match="export.formats"):
            ExportConfig(formats=value)


def test_json_round_trip():
    config = override(Config(), ["train.epochs=3", "model.pixels=64"])
    assert from_dict(to_dict(config)) == config


def test_unknown_fields_in_json_are_refused():
    with pytest.raises(InputError, match=r"did you mean train\.batch"):
        from_dict({"train": {"batchs": 3}})


def test_python_files_hold_variants(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from efficientnet_tf.training.config import Config, ModelConfig\n"
        "CONFIGS = {\n"
        "    'one': Config(),\n"
        "    'two': Config(model=ModelConfig(name='efficientnet-b2')),\n"
        "}\n"
    )
    assert load_config(str(file)) == Config()
    two = Config(model=ModelConfig(name="efficientnet-b2"))
    assert load_config(f"{file}:two") == two
    with pytest.raises(InputError, match="has no variant 'tow': did you mean"):
        load_config(f"{file}:tow")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.py", "x = 1\n", "must define CONFIGS"),
        ("a.py", "CONFIGS = {'x': 3}\n", "is not a Config"),
        ("a.json", "{}", "is not the config.json of a run"),
        ("a.json", "no json", "is not the config.json of a run"),
        ("a.yaml", "", "must end in .py or .json"),
    ],
)
def test_files_that_are_no_config(tmp_path, name, content, says):
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(InputError, match=says):
        load_config(str(file))


def test_missing_file():
    with pytest.raises(InputError, match="no file nowhere.py"):
        load_config("nowhere.py:x")


def test_differences_name_fields():
    other = override(Config(), ["train.epochs=3", "model.pixels=64"])
    assert differences(Config(), other) == ["model.pixels", "train.epochs"]


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("data.cache=off", "data.cache=memory", []),
        ("data.max_bad_share=0", "data.max_bad_share=0.1", []),
        ("data.service=grpc://a:1", "data.service=grpc://b:2", []),
        ("data.service=", "data.service=grpc://b:2", ["data.service"]),
        ("data.service=grpc://a:1", "data.service=", ["data.service"]),
        (
            "data.shuffle_bytes=1",
            "data.shuffle_bytes=2",
            ["data.shuffle_bytes"],
        ),
    ],
)
def test_what_makes_it_another_run(before, after, found):
    ours, theirs = (override(Config(), [each]) for each in (before, after))
    assert conflicts(ours, theirs) == found
