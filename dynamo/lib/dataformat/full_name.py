"""Full names of blocks: the dataset's name, `#`, the block's name."""

from __future__ import annotations

from dynamo.dataformat.exceptions import ObjectError


def join(dataset_name: str, block_name: str) -> str:
    """The full name of a block."""
    return f"{dataset_name}#{block_name}"


def split(full_name: str) -> tuple[str, str]:
    """Names of dataset and block, which meet at the first `#`.  Raises ObjectError without one."""
    dataset_name, mark, block_name = full_name.partition("#")
    if not mark:
        raise ObjectError(f"Invalid block name {full_name!r}: a full name reads dataset#block")
    return dataset_name, block_name
