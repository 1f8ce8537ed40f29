"""The first suite of a model: what its card tells is filled in, what only its user knows is marked."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from harness.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.build.first_data import Data
    from harness.image.model_card import ModelCard, TensorSpec


def first_suite(card: ModelCard, name: str, data: Data | None = None, *, images: str, inputs: int = 20) -> str:
    """Return the text of a suite of one variant, which runs as it is.

    Args:
        card: of the model's image.
        name: of task, variant and image.
        data: inputs and labels; None: inputs are drawn at random, and nothing is scored.
        images: the folder that holds a folder of images for each kind of board, relative to the suite.
        inputs: how many random inputs.

    Raises:
        ConfigError: the labels fit nothing that the model gives.
    """
    return f"""\
# What only you know is marked with (!).
#
# The model takes {_said(card.input)}
# and gives {_said(card.output)}.
task: {_plain(name)}
{_inputs(card, data, inputs)}
{_metric(card, None if data is None else data.values)}
images: {_plain(images)}  # holds <kind of board>/<image>.elf
variants:
  # (!) What was done to the model. Others are held against it with baseline: {_plain(name)}
  {_plain(name)}: {{image: {_plain(name)}, technique: as it is}}
"""


def _said(spec: TensorSpec) -> str:
    if spec.scale is None or spec.zero_point is None:
        return f"{spec.dtype} {list(spec.shape)}"
    return f"{spec.dtype} {list(spec.shape)}, real value = {spec.scale:.6g} * (q {-spec.zero_point:+d})"


def _inputs(card: ModelCard, data: Data | None, count: int) -> str:
    if data is not None:
        how = "These fill the model's input." if "scale" in data.inputs else "Scale 1 and offset 0 are left out."
        labels = "" if data.labels is None else f"\nlabels: {_plain(data.labels)}"
        return f"""\
# (!) Real value = scale * what is stored + offset, as in training. {how}
inputs: {_plain(data.inputs)}{labels}"""
    shape = ", ".join(str(size) for size in card.input.shape[1:] or card.input.shape)
    return f"""\
# (!) Random inputs, in the range of the tensor. With data, an array [N, {shape}] in an .npz file:
# inputs: {{file: data/test.npz, array: inputs, scale: 1, offset: 0}}  # real value = scale * what is stored + offset
# labels: {{file: data/test.npz, array: labels}}
inputs: {{random: {count}}}"""


def _metric(card: ModelCard, labels: NDArray[Any] | None) -> str:
    """Return the metric that fits the labels; without labels those that fit the model, to choose from."""
    fitting = _fitting(card)
    if labels is None:
        offered = [f"# {line}" for lines in fitting.values() for line in lines.splitlines() if "(!)" not in line]
        return "\n".join(["# (!) Nothing is scored. With labels one of these:", *offered, "metric: none"])
    outputs, whole = card.output.size, labels.dtype.kind in "iub"
    two = whole and bool(np.isin(labels, (0, 1)).all())
    if "normal or not" in fitting and two and labels.ndim == 1:
        return fitting["normal or not"]
    if two and labels.ndim == 2 and labels.shape[1] == outputs > 1:
        return "metric: multilabel_ap  # several labels for each input: 0 or 1 for each output"
    if whole and labels.ndim == 1 and outputs > 1:
        if labels.min() < 0 or labels.max() >= outputs:
            raise ConfigError(
                f"the labels go from {labels.min()} to {labels.max()}, but the model's {outputs} outputs are for "
                f"classes 0 to {outputs - 1}"
            )
        return fitting["a class"]
    if two and outputs == 1 and labels.ndim == 1:
        return fitting["yes or no"]
    if (labels.ndim == 1 and outputs == 1) or (labels.ndim == 2 and labels.shape[1] == outputs):
        return fitting["values"]
    raise ConfigError(
        f"labels of type {labels.dtype} and shape {list(labels.shape)} fit no metric for a model of {outputs} outputs: "
        "give classes 0, 1, 2, ... as whole numbers [N], or as many values for each input as the model has outputs"
    )


def _fitting(card: ModelCard) -> dict[str, str]:
    """Return what may be scored of a model, by what its labels say."""
    outputs = card.output.size
    values = "metric: mae  # the mean absolute error of values; rmse and r2 are others"
    if outputs == 1:
        binary = "metric: {name: binary, threshold: 0.5}  # labels 0 and 1; roc_auc needs no threshold"
        return {"yes or no": f"# (!) The threshold is a real value: 0 for a logit.\n{binary}", "values": values}
    if [size for size in card.output.shape if size > 1] == [size for size in card.input.shape if size > 1]:
        kept = "metric: {name: reconstruction, error: mse}  # output against input; labels: 0 normal, 1 anomalous"
        return {"normal or not": kept, "values": values}
    names = ", ".join(f"class_{number}" for number in range(outputs))
    classes = f"metric: top1\n# (!) Their names, in the order of the outputs.\nclasses: [{names}]"
    return {"a class": classes, "values": values}


def _plain(value: Any) -> str:
    """Return a value as YAML in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_plain, value)) + "]"
    if isinstance(value, str) and re.fullmatch(r"[\w.][\w./ -]*", value) and yaml.safe_load(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)
