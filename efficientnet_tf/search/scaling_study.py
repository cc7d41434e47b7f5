"""Width, depth or resolution alone, or all three: a test-size study.

    python main.py prepare --from=cifar10 --out=records
    python -m efficientnet_tf.search.scaling_study --data_dir=records \
        --out=runs/scaling-study --save=docs/scaling/study.json

A network of six blocks is scaled in four ways to the cost of 2.5 times its
depth, and each result trained with several seeds. It shows the tool, on next to
nothing: what holds for ImageNet is in the paper. Stopped, it goes on when it is
started again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from efficientnet_tf.command_line import run
from efficientnet_tf.networks import NamedVariant, Variant, network, totals
from efficientnet_tf.networks.families import B
from efficientnet_tf.networks.stages import Stage
from efficientnet_tf.search.budget import parse_budget
from efficientnet_tf.search.coefficients import Coefficients
from efficientnet_tf.search.solve import by_budget
from efficientnet_tf.training.config import (
    Config,
    DataConfig,
    EvaluateConfig,
    ModelConfig,
    TrainConfig,
)

BASE_NAME = "small"
_CLASSES = 10
# Where rounding leaves all four ways within 6 % of one cost.
DEEPER = 2.5

# fmt: off
#             block   repeats kernel stride expand width   se
_STAGES = (
    Stage("mbconv",   1,      3,     1,     1,     16,  1 / 4),
    Stage("mbconv",   1,      3,     2,     4,     24,  1 / 4),
    Stage("mbconv",   2,      3,     2,     4,     32,  1 / 4),
    Stage("mbconv",   2,      3,     2,     4,     48,  1 / 4),
)
# fmt: on
SMALL = NamedVariant(
    BASE_NAME,
    Variant(
        dataclasses.replace(
            B, stages=_STAGES, stem=16, head=128, classes=_CLASSES
        ),
        width=1.0,
        depth=1.0,
        pixels=32,
        dropout=0.1,
    ),
)
# The paper's coefficients, and one of them at a time.
WAYS = {
    "depth": Coefficients(1.2, 1.0, 1.0),
    "width": Coefficients(1.0, 1.1, 1.0),
    "resolution": Coefficients(1.0, 1.0, 1.15),
    "compound": Coefficients(),
}


def networks() -> dict[str, NamedVariant]:
    """The base, and what each way makes of it at the same cost at most."""
    deeper = dataclasses.replace(SMALL.variant, depth=DEEPER)
    macs = totals(network(NamedVariant(BASE_NAME, deeper))).macs
    budget = parse_budget(f"{macs}MACs", images_per_core=1)
    return {
        "base": SMALL,
        **{
            way: by_budget(SMALL, coefficients, budget).named
            for way, coefficients in WAYS.items()
        },
    }


def config(
    named: NamedVariant, data_dir: str, epochs: float, seed: int
) -> Config:
    """How each is trained."""
    return Config(
        model=ModelConfig(
            name=named.name,
            variant=named.variant,
            drop_path=0.0,
            batch_norm_momentum=0.97,
        ),
        data=DataConfig(
            dir=data_dir, min_crop_area=0.4, crop="whole", resize="bilinear"
        ),
        train=TrainConfig(
            epochs=epochs,
            batch=64,
            learning_rate_per_256=0.032,
            schedule="cosine",
            warmup_epochs=0.2,
            average_decay=0.98,
            steps_per_call=52,
            seed=seed,
        ),
        evaluate=EvaluateConfig(batch=200, every_epochs=epochs),
    )


def study(
    data_dir: str, out: str, epochs: float, seeds: int, workers: int
) -> dict[str, Any]:
    """Trains all of them and gives the figures.

    Args:
        data_dir: TFRecords of small photographs of ten classes.
        out: A local folder for the trainings.
        epochs: Of each training.
        seeds: Trainings of each network.
        workers: Trainings at a time.
    """
    from efficientnet_tf.search.runs import train_all

    made = networks()
    configs = {
        f"{way}-seed{seed}": config(named, data_dir, epochs, seed)
        for seed in range(seeds)
        for way, named in made.items()
    }
    outcomes = {each.name: each for each in train_all(configs, out, workers)}
    rows = []
    for way, named in made.items():
        total = totals(network(named))
        results = [
            outcomes[f"{way}-seed{seed}"].result for seed in range(seeds)
        ]
        rows.append(
            {
                "way": way,
                "depth": named.variant.depth,
                "width": named.variant.width,
                "pixels": total.pixels,
                "blocks": total.blocks,
                "macs": total.macs,
                "trainable_parameters": total.trainable_parameters,
                "top1": [each["top1"] for each in results if each],
            }
        )
    first = next(each.result for each in outcomes.values() if each.result)
    return {
        "epochs": epochs,
        "seeds": seeds,
        "validation_images": first["validation_images"],
        "devices": first["devices"],
        "rows": rows,
    }


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--out", default="runs/scaling-study")
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--save", help="a .json to write")
    given = parser.parse_args()
    found = study(
        given.data_dir, given.out, given.epochs, given.seeds, given.workers
    )
    text = json.dumps(found, indent=2) + "\n"
    if given.save:
        os.makedirs(os.path.dirname(given.save) or ".", exist_ok=True)
        Path(given.save).write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    sys.exit(run("scaling_study.py", main))
