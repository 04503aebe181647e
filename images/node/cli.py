"""`zos image`: build, verify and personalise boot images.  Found by `zos` through an entry point."""

from __future__ import annotations

import mmap
import shutil
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from images import manifest
from images.cache_folder import cache_folder
from images.debian import ImageError
from images.node import signed_program, signer, slot_text
from images.node.build import PUBLIC_KEY, build

app = typer.Typer(help="Boot images of nodes.", no_args_is_help=True)
CACHE = cache_folder()


@app.command("build")
def build_image(
    cache: Annotated[Path, typer.Option("--cache", help="Folder of downloads and images.")] = CACHE,
) -> None:
    """Build the image of this tree, when it is not there yet, and print every artefact with its size."""
    try:
        built = build(cache, lambda text: print(text, file=sys.stderr, flush=True))
    except (ImageError, manifest.ManifestError, OSError) as problem:
        _fail(str(problem))
    for file in sorted(built.folder.iterdir()):
        print(f"{file.stat().st_size:>12}  {file}")


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="Folder with manifest, signature and artefacts.")],
    key: Annotated[
        list[Path] | None,
        typer.Option(
            "--key", help="Public release key; default: the one beside the image, which proves nothing."
        ),
    ] = None,
) -> None:
    """Check the signature of a manifest and every artefact that lies beside it."""
    try:
        found = manifest.verify(folder, manifest.public_keys(key or [folder / PUBLIC_KEY]))
    except (manifest.ManifestError, OSError) as problem:
        _fail(str(problem))
    if not key:
        print(
            "note: checked with the key beside the image; give --key with one that you trust", file=sys.stderr
        )
    present = sum((folder / each.name).exists() for each in found.artefacts)
    print(f"good: version {found.version}, {present} of {len(found.artefacts)} artefacts here, all as signed")


@app.command()
def patch(
    image: Annotated[Path, typer.Argument(help="UKI, raw disk or ISO.")],
    target: Annotated[Path, typer.Argument(help="Where the image for the farm goes.")],
    words: Annotated[str, typer.Argument(help="Words for the node, such as 'runmode=dev farmer_id=7'.")],
) -> None:
    """Write the words of a farm into a copy of an image, as the loader service does."""
    try:
        with image.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found = slot_text.patch(content, words)
        shutil.copyfile(image, target)
        with target.open("r+b") as copy:
            copy.seek(found.offset)
            copy.write(found.content)
    except (slot_text.SlotTextError, OSError, ValueError) as problem:
        _fail(str(problem))
    print(target)


@app.command()
def sign(
    program: Annotated[Path, typer.Argument(help="EFI program: node.efi, or what `patch` made of it.")],
    target: Annotated[
        Path, typer.Argument(help="Signed program; with `.img` at the end a disk that holds it.")
    ],
    key: Annotated[Path, typer.Option("--key", help="Private key for Secure Boot, PEM.")],
    certificate: Annotated[
        Path, typer.Option("--certificate", help="Certificate that the firmware knows, PEM.")
    ],
) -> None:
    """Sign an image for UEFI Secure Boot, after its words were written: the signature covers them."""
    try:
        signed_program.sign(program, key, certificate, target)
    except (ImageError, OSError) as problem:
        _fail(str(problem))
    print(target)


@app.command("signer")
def show_signer(
    program: Annotated[Path, typer.Argument(help="EFI program or kernel, such as vmlinuz of an image.")],
    target: Annotated[
        Path, typer.Argument(help="Where its certificates go: PEM; `.der`, `.cer` and `.crt` are binary.")
    ],
) -> None:
    """Write the certificates of who signed a program, for the firmware of a farm with Secure Boot."""
    try:
        found = signer.certificates_of(program)
        signer.write(found, target)
    except (ImageError, OSError) as problem:
        _fail(str(problem))
    for each in found:
        print(f"{target}: {each.subject.rfc4514_string()}, valid until {each.not_valid_after_utc:%Y-%m-%d}")


def _fail(reason: str) -> NoReturn:
    print(f"zos image: {reason}", file=sys.stderr)
    raise typer.Exit(1)
