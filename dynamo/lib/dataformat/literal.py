"""Objects from the text of a constructor call, which is read and never executed."""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Callable
from typing import Any

from dynamo.dataformat.block import Block
from dynamo.dataformat.blockreplica import BlockReplica
from dynamo.dataformat.dataset import Dataset
from dynamo.dataformat.datasetreplica import DatasetReplica
from dynamo.dataformat.exceptions import ObjectError
from dynamo.dataformat.file import File
from dynamo.dataformat.group import Group
from dynamo.dataformat.partition import Partition
from dynamo.dataformat.site import Site
from dynamo.dataformat.sitepartition import SitePartition
from dynamo.dataformat.wire import Object, encode

MAX_TEXT = 4 << 20
"""Longest text, in characters."""

_CLASSES: dict[str, Callable[..., Object]] = {
    constructor.__name__: constructor
    for constructor in (
        Dataset,
        Block,
        File,
        Group,
        Site,
        SitePartition,
        DatasetReplica,
        BlockReplica,
        Partition,
    )
}


def make_object(text: str) -> Object:
    """The free object that a text like `Group('g','Dataset',3)` describes.

    Names of the nine classes, strings, numbers, booleans, None, tuples, lists and dictionaries are all that may
    stand there.  Raises ObjectError for anything else.
    """
    if len(text) > MAX_TEXT:
        raise ObjectError(f"Text of an object has {len(text)} characters; at most {MAX_TEXT} are read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in a text of somebody else
            call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError("it is not one call")
        constructor = _CLASSES.get(call.func.id)
        if constructor is None:
            raise ValueError(f"its class is none of {', '.join(_CLASSES)}")
        positional = [ast.literal_eval(argument) for argument in call.args]
        named: dict[str, Any] = {}
        for keyword in call.keywords:
            if keyword.arg is None or keyword.arg in named:
                raise ValueError("it unpacks or repeats an argument")
            named[keyword.arg] = ast.literal_eval(keyword.value)
        inspect.signature(constructor).bind(*positional, **named)
        obj = constructor(*positional, **named)
        encode(obj)
    except ObjectError:
        raise
    except (
        ValueError,
        TypeError,
        AttributeError,
        ArithmeticError,
        SyntaxError,
        MemoryError,
        RecursionError,
    ) as error:
        raise ObjectError(f"Text {text[:80]!r} describes no object: {error}") from None
    return obj
