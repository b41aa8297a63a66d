"""The roles of a network's numbers at other sizes than those at which they were found."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from digitspan.check.network.equations import CanonicalLayout
from digitspan.check.network.roles import Roles
from digitspan.check.sandbox.remote_network import RemoteNetwork

__all__ = ["widened"]

Places = np.ndarray[tuple[int], np.dtype[np.int64]]

_UNIT_AXES = {
    "W_x": (1,), "W_h": (1, 2), "b": (2,), "W_p": (1,), "b_p": (),
    "h_0": (1,), "c_0": (1,), "hc_0": (1,),
}  # fmt: skip
"""The axes of each canonical array that count hidden units."""


def widened(
    roles: Roles, small: RemoteNetwork, large: RemoteNetwork, layout: CanonicalLayout
) -> Places | None:
    """The canonical number of each of a larger network's numbers, shape (P,).

    Where a tensor's axis grows with the hidden units, it holds blocks of them and, before, between
    or after, numbers that do not grow. Each such order is tried; it is the right one if, in it,
    the known roles hang on the blocks and units alone.

    Args:
        roles: those of the smaller network.
        small: the smaller network.
        large: the same class with other sizes.
        layout: of the canonical numbers there.

    Returns:
        None where no order explains the roles, or the two hold other tensors.
    """
    names = [tensor.name for tensor in large.tensors]
    if names != [tensor.name for tensor in small.tensors]:
        return None
    shapes = [tensor.shape for tensor in large.tensors]
    if shapes == [tensor.seen_shape for tensor in small.tensors]:
        return roles.of
    found = []
    for tensor, (known, part) in zip(large.tensors, small.parts(), strict=True):
        own = roles.of[part].reshape(known.seen_shape)
        orders = [
            list(_orders(few, many, small.units, large.hidden))
            for few, many in zip(known.seen_shape, tensor.shape, strict=False)
        ]
        if len(known.seen_shape) != len(tensor.shape):
            return None
        for several in itertools.product(*orders):
            of = _extended(own, several, roles.layout, layout)
            if of is not None:
                found.append(of.reshape(-1))
                break
        else:
            return None
    return np.concatenate(found) if found else None


_Axis = tuple[Places, Places, Places, Places]
"""Block and unit (-1: none) of each place along a small axis, and along the large one."""


def _orders(few: int, many: int, units: int, hidden: int) -> Iterator[_Axis]:
    """The ways in which blocks of units and other numbers may follow each other along an axis."""
    if units == hidden or few == many:
        if few == many:
            none = np.full(few, -1)
            yield np.arange(few), none, np.arange(few), none
        return
    blocks, rest = divmod(many - few, hidden - units)
    fixed = few - blocks * units
    if rest or fixed < 0 or blocks < 1:
        return
    for groups in [n for n in (1, 2, 3, 4) if math.gcd(blocks, fixed) % n == 0]:
        for first in (True, False):
            yield (
                *_in_blocks(blocks // groups, fixed // groups, groups, units, first),
                *_in_blocks(blocks // groups, fixed // groups, groups, hidden, first),
            )
    if blocks > 1 and not fixed:  # the blocks of one unit side by side
        for_small, for_large = (
            (np.tile(np.arange(blocks), n), np.repeat(np.arange(n), blocks))
            for n in (units, hidden)
        )
        yield *for_small, *for_large


def _in_blocks(
    blocks: int, fixed: int, groups: int, units: int, units_first: bool
) -> tuple[Places, Places]:
    """Block and unit of each place where groups of blocks and other numbers follow each other."""
    of_units = np.repeat(np.arange(blocks), units), np.tile(np.arange(units), blocks)
    of_fixed = np.arange(fixed) + blocks, np.full(fixed, -1)
    one = [of_units, of_fixed] if units_first else [of_fixed, of_units]
    labels, numbers = (np.concatenate([part[i] for part in one]) for i in (0, 1))
    shift = np.repeat(np.arange(groups), len(labels)) * (blocks + fixed)
    return np.tile(labels, groups) + shift, np.tile(numbers, groups)


def _extended(
    own: np.ndarray, axes: tuple[_Axis, ...], small: CanonicalLayout, large: CanonicalLayout
) -> np.ndarray | None:
    """A tensor's roles at the larger size, if they hang on blocks and units alone."""
    small_labels, small_units = (np.meshgrid(*(a[i] for a in axes), indexing="ij") for i in (0, 1))
    large_labels, large_units = (np.meshgrid(*(a[i] for a in axes), indexing="ij") for i in (2, 3))
    arrays = list(small.arrays.values())
    starts = np.array([array.start for array in arrays])
    result = np.full(large_labels[0].shape if axes else (), -2)
    labels = np.stack([grid.reshape(-1) for grid in small_labels], axis=1)
    for key in np.unique(labels, axis=0):
        here = np.logical_and.reduce([g == k for g, k in zip(small_labels, key, strict=True)])
        there = np.logical_and.reduce([g == k for g, k in zip(large_labels, key, strict=True)])
        roles = own[here]
        if (roles == -1).all():
            result[there] = -1
            continue
        which = np.unique(np.searchsorted(starts, roles, side="right") - 1)
        if len(which) != 1 or (roles == -1).any():
            return None
        array = arrays[which[0]]
        if array.name not in large.arrays:
            return None
        coordinates = np.unravel_index(roles - array.start, array.shape)
        wanted = []
        for axis, known in enumerate(coordinates):
            units = [grid[here] for grid in small_units] if axis in _UNIT_AXES[array.name] else []
            match = [i for i, unit in enumerate(units) if (unit == known).all()]
            if match:
                wanted.append(large_units[match[0]][there])
            elif len(np.unique(known)) == 1 and axis not in _UNIT_AXES[array.name]:
                wanted.append(np.full(int(there.sum()), known[0]))
            else:
                return None
        target = large.arrays[array.name]
        result[there] = np.ravel_multi_index(wanted, target.shape) + target.start
    return result if (result > -2).all() else None
