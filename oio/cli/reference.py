"""`openio reference`: references and the services linked to them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from oio.cli.election import complete_type
from oio.cli.output import ColumnOption, Format, FormatOption, show_list, show_one
from oio.cli.session import session
from oio.common.exceptions import OioException

app = typer.Typer(no_args_is_help=True, help="References and the services linked to them.")

Name = Annotated[str, typer.Argument(help="Name of the reference.")]
Names = Annotated[list[str], typer.Argument(help="Names of references.")]
IsCid = Annotated[bool, typer.Option("--cid", help="REFERENCE is a container id.")]
ServiceType = Annotated[str, typer.Argument(help="Service type.", autocompletion=complete_type)]
Property = Annotated[list[str] | None, typer.Option("--property", help="name=value; may be repeated.")]


def named(reference: str, is_cid: bool = False) -> dict[str, Any]:
    """A reference, as keywords."""
    found: dict[str, Any] = dict(session().request)
    if is_cid:
        return {**found, "cid": reference}
    return {**found, "account": session().account_name(), "reference": reference}


def pairs(texts: list[str] | None) -> dict[str, str]:
    """Properties from `name=value`; ValueError for a text without `=`."""
    found = {}
    for text in texts or ():
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise ValueError(f"property {text!r}: name=value is expected")
        found[name] = value
    return found


@app.command()
def create(
    references: Names,
    properties: Property = None,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """Create references; one that exists stays as it is."""
    rows = []
    for reference in references:
        made = session().directory.create(properties=pairs(properties), **named(reference))
        rows.append((reference, made))
    show_list(("Name", "Created"), rows, form, column)


@app.command()
def show(
    reference: Name, is_cid: IsCid = False, form: FormatOption = Format.TABLE, column: ColumnOption = None
) -> None:
    """Show a reference with its properties."""
    where = named(reference, is_cid)
    found = session().directory.list(**where)
    shown = {"account": found["account"], "base_name": found["cid"], "name": found["name"]}
    for name, value in session().directory.get_properties(**where)["properties"].items():
        shown[f"meta.{name}"] = value
    show_one(shown, form, column)


@app.command("list")
def list_(
    reference: Name,
    service_type: Annotated[str, typer.Option("--type", help="Only this type.", show_default=False)] = "",
    is_cid: IsCid = False,
    form: FormatOption = Format.TABLE,
    column: ColumnOption = None,
) -> None:
    """List the services linked to a reference."""
    found = session().directory.list(service_type=service_type or None, **named(reference, is_cid))
    rows = [(one["type"], one["host"], one["args"], one["seq"]) for one in found["srv"]]
    show_list(("Type", "Host", "Args", "Seq"), rows, form, column)


@app.command()
def locate(
    reference: Name, is_cid: IsCid = False, form: FormatOption = Format.TABLE, column: ColumnOption = None
) -> None:
    """Show who holds a reference: meta0 and meta1 services and what is linked."""
    found = session().directory.list(**named(reference, is_cid))
    rows = [
        (one["type"] or "meta", one["host"], one["args"], one["seq"]) for one in found["dir"] + found["srv"]
    ]
    show_list(("Type", "Host", "Args", "Seq"), rows, form, column)


@app.command()
def delete(references: Names, is_cid: IsCid = False) -> None:
    """Delete references to which nothing is linked."""
    for reference in references:
        session().directory.delete(**named(reference, is_cid))


@app.command("set")
def set_(
    reference: Name,
    properties: Property = None,
    clear: Annotated[bool, typer.Option("--clear", help="Delete all others before.")] = False,
    is_cid: IsCid = False,
) -> None:
    """Set properties."""
    wanted = pairs(properties)
    if not wanted and not clear:
        raise ValueError("nothing to set: give --property name=value or --clear")
    session().directory.set_properties(properties=wanted, clear=clear, **named(reference, is_cid))


@app.command()
def unset(
    reference: Name,
    properties: Annotated[list[str], typer.Option("--property", help="Name; may be repeated.")],
    is_cid: IsCid = False,
) -> None:
    """Delete properties."""
    session().directory.del_properties(properties=properties, **named(reference, is_cid))


@app.command()
def link(
    reference: Name,
    service_type: ServiceType,
    is_cid: IsCid = False,
    autocreate: Annotated[bool, typer.Option("--autocreate", help="Create the reference if needed.")] = False,
) -> None:
    """Choose services of a type and link them."""
    session().directory.link(service_type=service_type, autocreate=autocreate, **named(reference, is_cid))


@app.command()
def unlink(reference: Name, service_type: ServiceType, is_cid: IsCid = False) -> None:
    """Forget the services of a type."""
    session().directory.unlink(service_type=service_type, **named(reference, is_cid))


@app.command()
def poll(reference: Name, service_type: ServiceType, is_cid: IsCid = False) -> None:
    """Choose services of a type anew, as the namespace's update policy says."""
    session().directory.renew(service_type=service_type, **named(reference, is_cid))


@app.command()
def force(
    reference: Name,
    host: Annotated[str, typer.Argument(help="Address or id; several separated by commas.")],
    service_type: ServiceType,
    args: Annotated[str, typer.Option(help="Arguments of the service.", show_default=False)] = "",
    seq: Annotated[int, typer.Option(min=0, help="Sequence number.")] = 1,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of the one with this number.")
    ] = False,
    is_cid: IsCid = False,
) -> None:
    """Link the given services."""
    service = {"host": host, "type": service_type, "args": args, "seq": seq}
    where = named(reference, is_cid)
    try:
        session().directory.force(service_type=service_type, services=service, replace=replace, **where)
    except OioException as error:
        hint = "" if replace else "; --replace takes the place of one with this number"
        raise OioException(f"{error}{hint}") from error
