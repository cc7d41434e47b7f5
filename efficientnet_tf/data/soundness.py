"""Whether a picture decodes, told by its bytes as a whole.

Decoding only a crop, libjpeg fails or not depending on which crop it is: it
stops behind the last row that it needs. So a record is judged before anybody
crops it, and what passes decodes for every crop:

- it begins and ends as a JPEG does,
- behind the head of the last scan no markers follow but restarts and the end;
  garbage makes others, at which a decoder gives up once it gets there,
- its tables are such that a corner can be decoded.

What breaks the first two rules and may be a picture still (a camera's bytes
behind the end, say) is decoded as a whole. Bytes that were zeroed, or changed
to other picture data, decode to wrong pixels: that nobody can tell.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import tensorflow as tf

from efficientnet_tf.data.images import JPEG_BEGIN, encode_jpeg
from efficientnet_tf.data.kinds import RecordDataset
from efficientnet_tf.data.reading import parser

# Bytes behind 0xff. Of frames those that are decoded row by row: others are
# decoded whole for any crop.
_FRAMES = (0xC0, 0xC1)
_SCAN, _END = 0xDA, 0xD9
_RESTARTS = (0xD0, 0xD7)

# Of a picture that stands where there is none: no one-hot vector has it.
NO_CLASS = -1


def judged(
    dataset: RecordDataset, raws: tuple[tf.Tensor, ...]
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Takes pictures and classes out of records, as far as they are sound.

    Args:
        dataset: What the records are of.
        raws: Tensors `[records, ...]`, as `reading.raw_records` gives them.

    Returns:
        Of the sound records in order: their numbers among all, int64; JPEGs;
        labels from 0, int32. Last comes a grey pixel, of the number `records`
        and the label `NO_CLASS`.
    """
    parse = parser(dataset)
    count = tf.shape(raws[0], tf.int64)[0]

    def checked(
        place: tf.Tensor, raw: tuple[tf.Tensor, ...]
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        encoded, label = parse(*raw)
        return place, sound_jpeg(encoded), class_of(label, dataset)

    last = (count, tf.constant(_grey_pixel()), tf.constant(NO_CLASS))
    return (
        tf.data.Dataset.from_tensor_slices((tf.range(count), raws))
        .map(checked, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        # Errors of records alone come here, none of reading files.
        .ignore_errors()
        .concatenate(tf.data.Dataset.from_tensors(last))
        .batch(count + 1)
        .get_single_element()
    )


def sound_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    """Gives a JPEG back as it is.

    Args:
        encoded: Scalar string.

    Raises:
        tf.errors.InvalidArgumentError: When run on what does not decode, be
            it for every crop or for some.
    """
    head = tf.strings.substr(encoded, 0, len(JPEG_BEGIN))
    begins = tf.equal(head, JPEG_BEGIN)
    is_jpeg = tf.debugging.Assert(begins, ["no JPEG"])
    with tf.control_dependencies([is_jpeg]):
        whole = tf.cond(
            _ends_as_it_should(encoded),
            lambda: tf.image.decode_and_crop_jpeg(
                encoded, [0, 0, 1, 1], channels=3
            ),
            # `channels` as for crops: some pictures have no three.
            lambda: tf.io.decode_jpeg(encoded, channels=3)[:1, :1],
        )
    with tf.control_dependencies([whole]):
        return tf.identity(encoded)


def _ends_as_it_should(encoded: tf.Tensor) -> tf.Tensor:
    """Whether no markers are where picture data should be."""
    content = tf.io.decode_raw(encoded, tf.uint8)
    size = tf.size(content, tf.int64)
    places = tf.where(tf.equal(content, 0xFF))[:, 0]
    behind = tf.gather(content, tf.minimum(places + 1, size - 1))
    first, last = _RESTARTS
    # 0 says that 0xff is data, another 0xff fills up.
    marks = tf.logical_and(
        tf.logical_and(behind > 0, behind < 0xFF),
        tf.logical_or(behind < first, behind > last),
    )
    codes = tf.boolean_mask(behind, marks)
    end = tf.boolean_mask(places, marks)[-1:]
    ends = tf.logical_and(
        tf.reduce_all(tf.equal(codes[-2:], [_SCAN, _END])),
        tf.reduce_all(tf.equal(end, size - 2)),
    )
    # Of a thumbnail there may be others before.
    frames = tf.where(tf.reduce_any(codes[:, None] == _FRAMES, axis=1))
    begin = tf.reduce_max(tf.concat([[0], frames[:, 0]], 0))
    scans = tf.reduce_sum(tf.cast(tf.equal(codes[begin:], _SCAN), tf.int32))
    return tf.logical_and(ends, tf.logical_or(tf.size(frames) == 0, scans == 1))


def class_of(label: tf.Tensor, dataset: RecordDataset) -> tf.Tensor:
    """What the record calls a class -> int32 from 0, or an error."""
    number = label - dataset.first_label
    known = tf.logical_and(number >= 0, number < dataset.classes)
    check = tf.debugging.Assert(known, ["no class has the label", label])
    with tf.control_dependencies([check]):
        return tf.cast(number, tf.int32)


@cache
def _grey_pixel() -> bytes:
    return encode_jpeg(np.full((1, 1, 3), 128, np.uint8), 95)
