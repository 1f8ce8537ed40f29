"""What a case's row says of its inputs: which they are, what guessing scores on them, and in which range they lie."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from harness.config.subset import class_counts, majority_share
from harness.errors import HilError
from harness.image.elf import load_image
from harness.measure.input_range import input_range

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from harness.config import BoardKind, Suite, Variant
    from harness.config.data import SuiteData
    from harness.image.model_card import TensorSpec


def data_columns(suite: Suite, data: SuiteData) -> dict[str, Any]:
    """Return the columns that are the same for all variants of a suite.

    Args:
        suite: the suite that is run.
        data: the inputs that are used, and their labels.
    """
    return {
        "inputs_sha256": data.digest(),
        "samples_asked": data.asked,
        "classes": len(suite.classes),
        "classes_seen": len(class_counts(data.labels)),
        "majority_share": majority_share(data.labels),
    }


def range_columns(
    real: NDArray[np.float32], suite: Suite, variant: Variant, spec: TensorSpec, kind: BoardKind
) -> dict[str, Any]:
    """Return the columns on the range of the inputs.

    Args:
        real: what the model gets, before quantization, [N, ...].
        suite: the suite that is run.
        variant: the variant that is run.
        spec: type, shape and quantization of the model's input.
        kind: the kind of board; says which images the other variants have.
    """
    others: dict[str, TensorSpec] = {}
    if spec.dtype == "float32":  # its own input says nothing of the range that it expects
        for other in suite.variants:
            if other.name != variant.name and other.resize == variant.resize:
                with suppress(HilError):  # an image that is missing or wrong fails its own case
                    others[other.name] = load_image(suite.image_path(other, kind), kind).card.input
    return input_range(real, variant.name, spec, others).columns
