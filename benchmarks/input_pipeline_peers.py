"""The contenders of benchmarks/input_pipeline.py: endless batches of images.

Each takes the same crops of the same pictures; what is drawn for RandAugment
and AutoAugment is each one's own.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.input_pipeline_job import Job
from benchmarks.input_pipeline_whole import WHOLE, whole
from benchmarks.libjpeg import window_decoder
from benchmarks.pictures import read_pictures

LAYERS, MAGNITUDE = 2, 10


def _limit(job: Job) -> Iterator[Any]:
    library = Path(job.folder) / "libjpeg_window.so"
    decoders = [window_decoder(library) for _ in range(job.threads)]
    pictures = read_pictures(Path(job.folder))
    pairs = itertools.cycle(zip(pictures.jpegs, pictures.windows, strict=True))

    def share(number: int, batch: list[Any]) -> None:
        for jpeg, window in batch[number :: job.threads]:
            decoders[number](jpeg, window)

    with ThreadPoolExecutor(job.threads) as pool:
        while True:
            batch = list(itertools.islice(pairs, job.batch))
            # C lets go of Python's lock.
            list(pool.map(partial(share, batch=batch), range(job.threads)))
            yield None


def _on_tensorflow(
    job: Job, image_of: Callable[..., Any], then: Callable[..., Any] | None
) -> Iterator[Any]:
    """A tf.data chain.

    Args:
        job: What is asked for.
        image_of: From a JPEG, its window and its seed to an image.
        then: What is done to batches.
    """
    import tensorflow as tf

    pictures = read_pictures(Path(job.folder))
    count = len(pictures.jpegs)
    seeds = [[0, number] for number in range(count)]
    images = (
        tf.data.Dataset.from_tensor_slices(
            (pictures.jpegs, pictures.windows, seeds)
        )
        .cache()
        .repeat()
        .map(image_of, num_parallel_calls=job.threads, deterministic=True)
        .batch(job.batch, drop_remainder=True)
    )
    if then:
        images = images.map(then)
    options = tf.data.Options()
    options.threading.private_threadpool_size = job.threads
    options.threading.max_intra_op_parallelism = 1
    # Nobody prepares batches ahead. That images are made where the batch is,
    # tf.data does for everybody who does not forbid it.
    options.experimental_optimization.apply_default_optimizations = False
    options.experimental_optimization.map_and_batch_fusion = True
    options.autotune.enabled = False
    return iter(images.with_options(options))


def _ours(job: Job, *, arithmetic: str = "fused") -> Iterator[Any]:
    from efficientnet_tf.data.augmentation.recipe import Augmentation
    from efficientnet_tf.data.cut import Cut
    from efficientnet_tf.data.preprocess import TrainingCrop, training_image

    augmentation = Augmentation(
        policy=job.policy,  # type: ignore[arg-type]
        arithmetic=arithmetic,  # type: ignore[arg-type]
        layers=LAYERS,
        magnitude=MAGNITUDE,
    )
    cut = Cut(job.pixels, "pad32", job.resize)  # type: ignore[arg-type]
    return _on_tensorflow(
        job,
        lambda jpeg, window, seed: training_image(
            jpeg, seed, cut, TrainingCrop(), augmentation
        ),
        None,
    )


def _uncompiled(job: Job) -> Iterator[Any]:
    from efficientnet_tf.data import preprocess

    # As where there was no C compiler; the process is this contender's own.
    preprocess.compiles = lambda cut: False
    return _ours(job)


def _tensorflow_decoding(job: Job) -> Iterator[Any]:
    import tensorflow as tf

    return _on_tensorflow(
        job,
        lambda jpeg, window, seed: tf.image.decode_and_crop_jpeg(
            jpeg, window, channels=3
        )[0, 0],
        None,
    )


def _original(job: Job) -> Iterator[Any]:
    from benchmarks.input_pipeline_original import original_image

    return _on_tensorflow(
        job,
        lambda jpeg, window, seed: original_image(
            jpeg, seed, job.pixels, job.resize, job.policy
        ),
        None,
    )


def _plain(job: Job) -> Callable[..., Any]:
    import tensorflow as tf

    def image(jpeg: Any, window: Any, seed: Any) -> Any:
        crop_seed, flip_seed = tf.unstack(tf.random.split(seed, 2))
        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            tf.image.extract_jpeg_shape(jpeg),
            bounding_boxes=tf.zeros([1, 0, 4]),
            seed=crop_seed,
            min_object_covered=0.1,
            aspect_ratio_range=(3 / 4, 4 / 3),
            area_range=(0.08, 1.0),
            max_attempts=10,
            use_image_if_no_bounding_boxes=True,
        )
        drawn = tf.concat([begin[:2], size[:2]], axis=0)
        part = tf.image.decode_and_crop_jpeg(jpeg, drawn, channels=3)
        resized = tf.image.resize(part, [job.pixels] * 2, job.resize)
        return tf.image.stateless_random_flip_left_right(resized, flip_seed)

    return image


def _plain_chain(job: Job) -> Iterator[Any]:
    return _on_tensorflow(job, _plain(job), None)


def _keras(job: Job) -> Iterator[Any]:
    import keras

    layer = keras.layers.RandAugment(
        value_range=(0, 255), num_ops=LAYERS, factor=MAGNITUDE / 10
    )
    plain = _plain(job)
    return _on_tensorflow(job, lambda *given: layer(plain(*given)), None)


def _keras_cv(job: Job) -> Iterator[Any]:
    import keras_cv

    layer = keras_cv.layers.RandAugment(
        value_range=(0, 255),
        augmentations_per_image=LAYERS,
        magnitude=MAGNITUDE / 10,
    )
    return _on_tensorflow(job, _plain(job), layer)


def _pil(job: Job) -> Callable[[bytes, tuple[int, ...], bool], np.ndarray]:
    """The transforms of torchvision on PIL images."""
    from PIL import Image
    from torchvision import transforms
    from torchvision.transforms import functional

    kernel = transforms.InterpolationMode(job.resize.split("_")[-1])
    augment = {
        "none": lambda: None,
        "randaugment": lambda: transforms.RandAugment(LAYERS, MAGNITUDE),
        "autoaugment": lambda: transforms.AutoAugment(),
    }[job.policy]()

    def image(
        jpeg: bytes, window: tuple[int, ...], mirrored: bool
    ) -> np.ndarray:
        picture = Image.open(io.BytesIO(jpeg)).convert("RGB")
        picture = functional.resized_crop(
            picture, *window, [job.pixels] * 2, kernel
        )
        if mirrored:
            picture = functional.hflip(picture)
        return np.asarray(augment(picture) if augment else picture)

    return image


def _opencv(job: Job) -> Callable[[bytes, tuple[int, ...], bool], np.ndarray]:
    import cv2

    cv2.setNumThreads(1)
    kernel = {"bilinear": cv2.INTER_LINEAR}.get(job.resize, cv2.INTER_CUBIC)

    def image(
        jpeg: bytes, window: tuple[int, ...], mirrored: bool
    ) -> np.ndarray:
        top, left, height, width = window
        bytes_ = np.frombuffer(jpeg, np.uint8)
        picture: Any = cv2.imdecode(bytes_, cv2.IMREAD_COLOR)
        part = picture[top : top + height, left : left + width]
        found = cv2.resize(part, [job.pixels] * 2, interpolation=kernel)
        found = cv2.flip(found, 1) if mirrored else found
        return cv2.cvtColor(found, cv2.COLOR_BGR2RGB)

    return image


Imaging = Callable[[Job], Callable[..., np.ndarray]]


def _loop(job: Job, *, imaging: Imaging) -> Iterator[Any]:
    pictures = read_pictures(Path(job.folder))
    image = imaging(job)
    given = itertools.cycle(
        zip(pictures.jpegs, pictures.windows, pictures.mirrored, strict=True)
    )
    while True:
        some = itertools.islice(given, job.batch)
        yield np.stack([image(*each) for each in some])


class _Images:
    """What grain and PyTorch read from: images by their number."""

    def __init__(self, job: Job):
        self._pictures = read_pictures(Path(job.folder))
        self._image = _pil(job)

    def __len__(self) -> int:
        return 1 << 30

    def __getitem__(self, number: int) -> np.ndarray:
        place = number % len(self._pictures.jpegs)
        return self._image(
            self._pictures.jpegs[place],
            self._pictures.windows[place],
            self._pictures.mirrored[place],
        )


def _grain(job: Job) -> Iterator[Any]:
    import grain

    options = grain.ReadOptions(
        num_threads=job.threads, prefetch_buffer_size=2 * job.threads
    )
    images = grain.MapDataset.source(_Images(job)).to_iter_dataset(options)
    return iter(images.batch(job.batch))


def _data_loader(job: Job) -> Iterator[Any]:
    from torch.utils.data import DataLoader, SequentialSampler

    images: Any = _Images(job)
    return iter(
        DataLoader(
            images,
            batch_size=job.batch,
            sampler=SequentialSampler(images),
            num_workers=job.threads,
        )
    )


CONTENDERS: dict[str, Callable[[Job], Iterator[Any]]] = {
    "limit": _limit,
    "decoding": _tensorflow_decoding,
    "ours": _ours,
    "ours, uncompiled": _uncompiled,
    "ours, clean": partial(_ours, arithmetic="clean"),
    "ours, original": partial(_ours, arithmetic="original"),
    WHOLE: whole,
    "plain": _plain_chain,
    "original": _original,
    "keras": _keras,
    "keras_cv": _keras_cv,
    "torchvision": partial(_loop, imaging=_pil),
    "opencv": partial(_loop, imaging=_opencv),
    "grain": _grain,
    "DataLoader": _data_loader,
}
