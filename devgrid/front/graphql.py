"""A graphql service over a grid's entities, in the form of the existing grid's indexer (Subsquid's OpenReader).

Each entity has two queries: a list (`nodes(where, orderBy, limit, offset)`) and a count
(`nodesConnection{totalCount}`).  Filters are a field's name and a comparison (`nodeID_eq`, `state_in`), `AND` and `OR`.
"""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from graphql import (
    ExecutionResult,
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLError,
    GraphQLField,
    GraphQLFloat,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    ValueNode,
    execute,
    parse,
    validate,
)

from devgrid.front.entities import SHAPES, STATE, Row, Shape

MOST_TOKENS = 2000
MOST_ERRORS = 10
MOST_FIELDS = 50
"""Queries in one request."""

Rows = Callable[[str, Mapping[str, Any]], Awaitable[Sequence[Row]]]
"""All rows of an entity; the filter is told too, for what cannot be listed without one."""

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "not_eq": operator.ne,
    "gt": lambda have, wanted: have is not None and have > wanted,
    "gte": lambda have, wanted: have is not None and have >= wanted,
    "lt": lambda have, wanted: have is not None and have < wanted,
    "lte": lambda have, wanted: have is not None and have <= wanted,
    "in": lambda have, wanted: have in wanted,
    "not_in": lambda have, wanted: have not in wanted,
    "contains": lambda have, wanted: have is not None and wanted in have,
    "containsInsensitive": lambda have, wanted: have is not None and wanted.casefold() in have.casefold(),
    "startsWith": lambda have, wanted: have is not None and have.startswith(wanted),
    "endsWith": lambda have, wanted: have is not None and have.endswith(wanted),
    "isNull": lambda have, wanted: (have is None) == wanted,
}
LISTS, TEXTS = {"in", "not_in"}, {"contains", "containsInsensitive", "startsWith", "endsWith"}


def _big_number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or len(str(value)) > 40:
        raise GraphQLError(f"{value!r} is no BigInt")
    try:
        return int(value)
    except ValueError:
        raise GraphQLError(f"{value!r} is no BigInt") from None


def _literal_number(node: ValueNode, _variables: object = None) -> int:
    return _big_number(getattr(node, "value", None))


BIG_INT = GraphQLScalarType(
    "BigInt",
    serialize=str,
    parse_value=_big_number,
    parse_literal=_literal_number,
    description="A whole number of any size; as text in answers.",
)
CONTRACT_STATE = GraphQLEnumType(
    STATE, {name: GraphQLEnumValue(name) for name in ("Created", "GracePeriod", "Deleted", "OutOfFunds")}
)
SCALARS: Mapping[str, Any] = {
    "Int": GraphQLInt,
    "Float": GraphQLFloat,
    "String": GraphQLString,
    "Boolean": GraphQLBoolean,
    "BigInt": BIG_INT,
    STATE: CONTRACT_STATE,
}


class Service:
    """Answers requests from the rows that it is given."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        fields: dict[str, GraphQLField] = {}
        for entity, shape in SHAPES.items():
            fields |= self._queries(entity, shape)
        self.schema = GraphQLSchema(GraphQLObjectType("Query", fields))

    async def answer(self, request: Any) -> dict[str, Any]:
        """The answer to a decoded request: `{data}`, or `{errors}` which say what is wrong."""
        if not isinstance(request, dict) or not isinstance(request.get("query"), str):
            return _refused("a request is a JSON object with the text `query`")
        variables = {} if request.get("variables") is None else request["variables"]
        if not isinstance(variables, dict):
            return _refused("`variables` is an object")
        try:
            document = parse(request["query"], max_tokens=MOST_TOKENS)
        except GraphQLError as problem:
            return {"errors": [problem.formatted]}
        except RecursionError:
            return _refused("the query is nested too deeply")
        problems = validate(self.schema, document, max_errors=MOST_ERRORS)
        if not problems and _count(document) > MOST_FIELDS:
            return _refused(f"a request has {MOST_FIELDS} queries at most")
        if problems:
            return {"errors": [problem.formatted for problem in problems]}
        result = execute(
            self.schema, document, variable_values=variables, operation_name=request.get("operationName")
        )
        if not isinstance(result, ExecutionResult):
            result = await result
        return dict(result.formatted)

    def _queries(self, entity: str, shape: Shape) -> dict[str, GraphQLField]:
        kind = _object(entity, shape)
        where = _filter(entity, shape)
        order = _order(entity, shape)
        plural = f"{entity[0].lower()}{entity[1:]}s"
        count = GraphQLObjectType(
            f"{plural[0].upper()}{plural[1:]}Connection",
            {"totalCount": GraphQLField(GraphQLNonNull(GraphQLInt))},
        )
        selection = {
            "where": GraphQLArgument(where),
            "orderBy": GraphQLArgument(GraphQLList(GraphQLNonNull(order))),
        }

        async def listed(_root: Any, _info: Any, **arguments: Any) -> list[Row]:
            found = await self._found(entity, arguments.get("where"))
            for key, descending in reversed(arguments.get("orderBy") or []):
                found.sort(key=lambda row: (row.get(key) is not None, row.get(key)), reverse=descending)
            first = max(0, arguments.get("offset") or 0)
            limit = arguments.get("limit")
            return found[first:] if limit is None else found[first : first + max(0, limit)]

        async def counted(_root: Any, _info: Any, **arguments: Any) -> dict[str, int]:
            return {"totalCount": len(await self._found(entity, arguments.get("where")))}

        page = {"limit": GraphQLArgument(GraphQLInt), "offset": GraphQLArgument(GraphQLInt)}
        return {
            plural: GraphQLField(
                GraphQLNonNull(GraphQLList(GraphQLNonNull(kind))), {**selection, **page}, listed
            ),
            f"{plural}Connection": GraphQLField(GraphQLNonNull(count), selection, counted),
        }

    async def _found(self, entity: str, where: Mapping[str, Any] | None) -> list[Row]:
        rows = await self._rows(entity, where or {})
        return [row for row in rows if matches(row, where or {})]


def matches(row: Row, where: Mapping[str, Any]) -> bool:
    """Whether a row passes a filter: all of its comparisons and of `AND`; or else one of `OR`."""
    others = where.get("OR") or []
    own = all(
        COMPARISONS[comparison](row.get(field), wanted)
        for field, comparison, wanted in (
            (*key.split("_", 1), wanted) for key, wanted in where.items() if key not in ("AND", "OR")
        )
    )
    if own and all(matches(row, each) for each in where.get("AND") or []):
        return True
    return any(matches(row, each) for each in others)


def _object(name: str, shape: Shape) -> GraphQLObjectType:
    return GraphQLObjectType(
        name, {field: GraphQLField(_output(name, field, kind)) for field, kind in shape.items()}
    )


def _output(parent: str, field: str, kind: Any) -> Any:
    if isinstance(kind, str):
        return SCALARS[kind]
    name = f"{parent}{field[0].upper()}{field[1:]}"
    if isinstance(kind, list):
        return GraphQLNonNull(GraphQLList(GraphQLNonNull(_object(name, kind[0]))))
    return _object(name, kind)


def _filter(entity: str, shape: Shape) -> GraphQLInputObjectType:
    fields: dict[str, GraphQLInputField] = {}
    for field, kind in shape.items():
        if not isinstance(kind, str):
            continue
        scalar = SCALARS[kind]
        for comparison in COMPARISONS:
            if comparison in TEXTS and kind != "String":
                continue
            wanted = GraphQLList(GraphQLNonNull(scalar)) if comparison in LISTS else scalar
            fields[f"{field}_{comparison}"] = GraphQLInputField(
                GraphQLBoolean if comparison == "isNull" else wanted
            )
    made = GraphQLInputObjectType(
        f"{entity}WhereInput",
        lambda: {
            **fields,
            "AND": GraphQLInputField(GraphQLList(GraphQLNonNull(made))),
            "OR": GraphQLInputField(GraphQLList(GraphQLNonNull(made))),
        },
    )
    return made


def _order(entity: str, shape: Shape) -> GraphQLEnumType:
    names = {
        f"{field}_{word}": GraphQLEnumValue((field, word == "DESC"))
        for field, kind in shape.items()
        if isinstance(kind, str)
        for word in ("ASC", "DESC")
    }
    return GraphQLEnumType(f"{entity}OrderByInput", names)


def _count(document: Any) -> int:
    return sum(
        len(definition.selection_set.selections)
        for definition in document.definitions
        if getattr(definition, "selection_set", None) is not None
    )


def _refused(reason: str) -> dict[str, Any]:
    return {"errors": [{"message": reason}]}
