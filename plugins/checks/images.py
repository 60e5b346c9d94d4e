"""Is the model's input the image, and do boxes lead back to it? Slow references from the rule.

Nothing here is shared with the code under judgement: sizes in exact fractions, the resize in
float64, one pixel at a time as the half-pixel rule says. Bands come from the contract.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from plugins.failure import CheckFailure


def expected_size(width: int, height: int, *, shortest: int, longest: int) -> tuple[int, int]:
    """(width, height) in px after resizing.

    Exact fractions, rounded to a double where the source's arithmetic rounds: once in the scale,
    once in each product. (float(Fraction) rounds to nearest, as a division does.)
    """

    def times(side: int, scale: Fraction) -> Fraction:
        return Fraction(float(side * Fraction(float(scale))))

    scale = Fraction(shortest, min(width, height))
    sides = [math.floor(times(side, scale)) for side in (width, height)]
    if max(sides) > longest:
        scale = Fraction(longest, max(sides))
        sides = [math.floor(times(side, scale) + Fraction(1, 2)) for side in sides]
    return sides[0], sides[1]


def resized(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Bilinear, half-pixel centres, edges repeated, no antialiasing: float64 (height, width, C)."""
    pixels = np.asarray(pixels, np.float64)
    for axis, length in ((0, height), (1, width)):
        size = pixels.shape[axis]
        at = (np.arange(length) + 0.5) * (size / length) - 0.5
        low = np.floor(at).astype(int)
        weight = (at - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        first, second = (pixels.take(k.clip(0, size - 1), axis=axis) for k in (low, low + 1))
        pixels = first * (1 - weight) + second * weight
    return pixels


def check_size(geometry: Sequence[int], *, shortest: int, longest: int) -> None:
    """`geometry`: width, height, resized width, resized height in px."""
    width, height, *obtained = geometry
    expected = expected_size(width, height, shortest=shortest, longest=longest)
    if tuple(obtained) != expected:
        raise CheckFailure(
            f"an image of {width}x{height} px is resized to the wrong size",
            expected=f"{_by(expected)} px (shortest {shortest}, longest {longest})",
            actual=f"{_by(obtained)} px",
        )


def _by(sides: Sequence[int]) -> str:
    return "x".join(str(side) for side in sides)


def check_input(
    tensor: np.ndarray,
    pixels: np.ndarray,
    *,
    shortest: int,
    longest: int,
    size: int,
    mean: Sequence[float],
    band: float,
) -> None:
    """The input is the image: resized, minus the mean exactly, padded with exact zeros.

    Args:
        tensor: float32 (3, size, size) or (1, 3, size, size), BGR.
        pixels: uint8 (height, width, 3) BGR, the image as decoded.
        mean: grey levels, BGR.
        band: grey levels that the resize may differ from the float64 reference.
    """
    tensor = _laid_out(tensor, size)
    width, height = expected_size(*pixels.shape[1::-1], shortest=shortest, longest=longest)
    _check_padding(tensor, width, height)
    inner = tensor[:, :height, :width].transpose(1, 2, 0)
    reference = resized(pixels, width, height)
    difference = np.abs(inner - (reference - mean))
    levels = np.rint(inner + np.asarray(mean)).astype(np.float32)
    exact = np.array_equal(levels - np.asarray(mean, np.float32), inner)
    if exact and difference.max() <= band:
        return
    raise CheckFailure(
        _diagnosis(inner, reference, np.asarray(mean), band),
        expected=f"whole grey levels minus {tuple(mean)}, within {band:.4g} of bilinear",
        actual=f"{_differ(difference)}; {'' if exact else 'not '}whole grey levels minus the mean",
        worst=_worst(difference, inner, reference - mean),
        needed=f"smallest band that would have passed: {difference.max():.4g}" if exact else None,
    )


def _laid_out(tensor: np.ndarray, size: int) -> np.ndarray:
    tensor = np.asarray(tensor)
    if tensor.ndim == 4 and len(tensor) == 1:
        tensor = tensor[0]
    if tensor.shape != (3, size, size) or tensor.dtype != np.float32:
        nhwc = tensor.shape == (size, size, 3)
        raise CheckFailure(
            "the input is laid out channels-last" if nhwc else "the input has the wrong form",
            expected=f"float32 (3, {size}, {size})",
            actual=f"{tensor.dtype} {tensor.shape}",
        )
    if not np.isfinite(tensor).all():
        raise CheckFailure(
            "the input holds numbers that are not finite",
            expected="0",
            actual=f"{np.count_nonzero(~np.isfinite(tensor))} of {tensor.size}",
        )
    return tensor


def _check_padding(tensor: np.ndarray, width: int, height: int) -> None:
    padding = tensor.copy()
    padding[:, :height, :width] = 0
    if padding.any():
        plane, y, x = np.unravel_index(np.abs(padding).argmax(), padding.shape)
        turned = width != height and not tensor[:, width:].any() and not tensor[:, :, height:].any()
        raise CheckFailure(
            "the image is not turned upright" if turned else "the padding is not zero",
            expected=f"0 right of {width} px and below {height} px",
            actual=f"{np.count_nonzero(padding)} other values",
            worst=[f"plane {plane}, y {y}, x {x}: {padding[plane, y, x]:.4g}"],
        )


def _diagnosis(inner: np.ndarray, reference: np.ndarray, mean: np.ndarray, band: float) -> str:
    """Name the fault: the usual ones are tried, and the first that explains the input is it."""
    suspects = {
        "the planes are RGB, the mean is BGR's": reference[:, :, ::-1] - mean,
        "the planes and the mean are RGB, not BGR": (reference - mean)[:, :, ::-1],
        "the mean is RGB's, the planes are BGR": reference - mean[::-1],
        "the mean is not subtracted": reference,
        "the mean is subtracted twice": reference - 2 * mean,
        "the input is divided by 255": (reference - mean) / 255,
        "the pixels, not the mean, are divided by 255": reference / 255 - mean,
        "the image is mirrored": reference[:, ::-1] - mean,
        "the image is upside down": reference[::-1] - mean,
    }
    if np.abs(inner - (reference - mean)).max() <= band:
        return "the mean is not subtracted exactly"
    for name, suspect in suspects.items():
        scale = np.ptp(suspect) / max(np.ptp(reference), 1)
        if np.abs(inner - suspect).max() <= band * min(scale, 1):
            return name
    shift = np.median(inner - (reference - mean), axis=(0, 1))
    if np.abs(inner - (reference - mean) - shift).max() <= band:
        return f"another mean is subtracted: off by {', '.join(f'{-x:.3g}' for x in shift)}"
    return "the resized pixels are not the image's"


def _differ(difference: np.ndarray) -> str:
    return f"differs by {difference.max():.4g} at most, {difference.mean():.4g} on average"


def _worst(difference: np.ndarray, obtained: np.ndarray, expected: np.ndarray) -> list[str]:
    order = np.argsort(difference, axis=None)[::-1][:5]
    spots = zip(*np.unravel_index(order, difference.shape))
    return [
        f"y {y}, x {x}, plane {c}: {obtained[y, x, c]:.4g}, expected {expected[y, x, c]:.4g}"
        for y, x, c in spots
    ]


def check_restored(
    restored: np.ndarray, boxes: np.ndarray, geometry: Sequence[int], *, tolerance: float
) -> None:
    """`restored` (N, 4), px of the image, is `boxes` (N, 4), px of the input, axis by axis.

    Args:
        geometry: width, height, resized width, resized height in px.
        tolerance: px of the image.
    """
    width, height, new_width, new_height = geometry
    boxes, restored = (np.asarray(one, np.float64).reshape(-1, 4) for one in (boxes, restored))
    factors = {
        name: np.array([x, y, x, y])
        for name, x, y in (
            ("", width / new_width, height / new_height),
            ("x is restored with the height's scale", height / new_height, height / new_height),
            ("y is restored with the width's scale", width / new_width, width / new_width),
            ("width and height are swapped", height / new_height, width / new_width),
            ("the boxes are not restored", 1, 1),
        )
    }
    expected = boxes * factors.pop("")
    error = np.abs(restored - expected)
    if not (error > tolerance).any() and np.isfinite(restored).all():
        return
    fits = [
        name
        for name, factor in factors.items()
        if np.allclose(restored, boxes * factor, rtol=0, atol=tolerance)
    ]
    k = int(error.max(axis=1).argmax())
    raise CheckFailure(
        fits[0] if fits else "boxes do not lead back to the image",
        expected=f"within {tolerance:.4g} px",
        actual=f"off by {error.max():.4g} px",
        worst=[f"box {k}: {restored[k].round(3)}, expected {expected[k].round(3)}"],
        needed=f"smallest tolerance that would have passed: {error.max():.4g} px",
    )


def check_streamed(found: np.ndarray, alone: Mapping[str, np.ndarray]) -> None:
    """Images that were read one after another (n, 3, S, S) are the same as each read alone, by name."""
    if len(found) != len(alone):
        raise CheckFailure(
            "a stream of images leaves some out or adds some",
            expected=f"{len(alone)} inputs",
            actual=f"{len(found)}",
        )
    odd = [name for name, row in zip(alone, found) if not np.array_equal(row, alone[name])]
    if odd:
        row = found[list(alone).index(odd[0])]
        others = [name for name, wanted in alone.items() if np.array_equal(row, wanted)]
        raise CheckFailure(
            f"in a stream of images {odd[0]} is "
            + (f"{others[0]}" if others else "another input than alone"),
            expected="the input that the same file gives alone",
            actual=f"{len(odd)} of {len(alone)} inputs are others",
            worst=odd,
        )


def check_categories(obtained: np.ndarray, labels: np.ndarray, category_ids: Sequence[int]) -> None:
    """`obtained` (N,) are the ids of contiguous `labels` (N,): label k is the k-th smallest id."""
    ids, labels = np.array(sorted(category_ids)), np.asarray(labels).reshape(-1)
    expected, obtained = ids[labels], np.asarray(obtained).reshape(-1)
    wrong = np.flatnonzero(expected != obtained)
    if wrong.size:
        raise CheckFailure(
            "labels are mapped to the wrong categories",
            expected="label k is the k-th smallest id",
            actual=f"{wrong.size} of {labels.size} differ",
            worst=[f"label {labels[k]}: {obtained[k]}, expected {expected[k]}" for k in wrong],
        )
