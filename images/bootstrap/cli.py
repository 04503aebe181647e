"""`zos-bootstrap`: serve boot images for farms."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gridtypes import FarmId
from images import manifest
from images.boot.settings import Services, load_modes
from images.bootstrap.server import Service
from images.bootstrap.signed import Signer
from images.cache_folder import cache_folder
from images.node.build import PUBLIC_KEY
from tfchain import Chain, ChainError, ChainUnavailable

ASK_LIMIT_S = 20.0


class Farms:
    """Asks the chain of each run mode for the name of a farm."""

    def __init__(self, modes: Mapping[str, Services]) -> None:
        self._modes = modes
        self._chains: dict[str, Chain] = {}

    async def name(self, mode: str, farm: int) -> str | None:
        """Raises LookupError when the chain cannot be asked."""
        if mode not in self._chains:
            self._chains[mode] = Chain(list(self._modes[mode].substrate))
        try:
            async with asyncio.timeout(ASK_LIMIT_S):
                found = await self._chains[mode].farm(FarmId(farm))
        except (ChainUnavailable, ChainError, TimeoutError, OSError) as problem:
            raise LookupError(f"the chain of {mode} does not answer now; try again ({problem})") from problem
        return found.name if found else None

    async def close(self) -> None:
        for chain in self._chains.values():
            await chain.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; status 1 with one line of reason when it cannot."""
    parser = argparse.ArgumentParser(prog="zos-bootstrap", description=__doc__)
    parser.add_argument(
        "--image",
        type=Path,
        default=cache_folder() / "node/image",
        help="folder of the release (default: %(default)s)",
    )
    parser.add_argument("--listen", default="127.0.0.1:8090", help="address:port (default: %(default)s)")
    parser.add_argument("--modes", type=Path, help="JSON table of run modes (default: the grid's own)")
    parser.add_argument("--release-key", type=Path, help="public key that must have signed the release")
    parser.add_argument(
        "--key",
        type=Path,
        default=Path("/var/lib/zos-bootstrap/service.key"),
        help="our own key, for checksums",
    )
    parser.add_argument(
        "--secure-boot-key", type=Path, help="private key, PEM: UEFI downloads are signed with it"
    )
    parser.add_argument("--secure-boot-certificate", type=Path, help="its certificate, PEM")
    parser.add_argument(
        "--signed",
        type=Path,
        default=Path("/var/cache/zos-bootstrap"),
        help="folder of signed downloads (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if (options.secure_boot_key is None) != (options.secure_boot_certificate is None):
        parser.error("--secure-boot-key and --secure-boot-certificate belong together")
    try:
        trusted = manifest.public_keys([options.release_key or options.image / PUBLIC_KEY])
        release = manifest.verify(options.image, trusted)
        modes = load_modes(options.modes)
        key = manifest.load_or_make_key(options.key)
        host, _, port = options.listen.rpartition(":")
        signer = (
            Signer(options.secure_boot_key, options.secure_boot_certificate, options.signed)
            if options.secure_boot_key
            else None
        )
        asyncio.run(_serve(options.image, release, modes, key, signer, host.strip("[]"), int(port)))
    except (manifest.ManifestError, OSError, ValueError, KeyError) as problem:
        print(f"zos-bootstrap: {problem}", file=sys.stderr)
        sys.exit(1)


async def _serve(
    folder: Path,
    release: manifest.Manifest,
    modes: Mapping[str, Services],
    key: Ed25519PrivateKey,
    signer: Signer | None,
    host: str,
    port: int,
) -> None:
    farms = Farms(modes)
    runner = web.AppRunner(
        Service(folder, release, list(modes), farms.name, key, signer).app(), access_log=None
    )
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(f"serving {release.version} on {[str(address) for address in runner.addresses]}", flush=True)
    try:
        await stop.wait()
    finally:
        await runner.cleanup()
        await farms.close()


if __name__ == "__main__":
    main()
