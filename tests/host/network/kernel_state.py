"""Print everything that a node's network consists of, without what changes by itself (counters, times, indexes)."""

from __future__ import annotations

import re
import subprocess


def show(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


names = sorted(line.split()[0] for line in show("ip", "netns", "list").splitlines())
for namespace in ["", *names]:
    enter = ("ip", "netns", "exec", namespace) if namespace else ()
    print(f"== {namespace}")
    links = show(*enter, "ip", "-o", "link", "show")
    for line in sorted(re.sub(r"^\d+: ", "", line) for line in links.splitlines()):
        line = re.sub(r"@\S+|link-netnsid \d+|link-netns \S+|state \S+|NO-CARRIER,|,LOWER_UP", "", line)
        kernel_chose_mac = line.startswith(("h-", "d-", "v-", "t-", "p-", "tozos"))
        print(re.sub(r"link/ether \S+", "", line) if kernel_chose_mac else line)
    for family in ("-4", "-6"):
        for table in ("addr", "route"):
            text = show(*enter, "ip", family, "-o", table, "show")
            lines = [re.sub(r"^\d+: |valid_lft.*|expires \S+", "", line) for line in text.splitlines()]
            lines = [line for line in lines if " dynamic " not in line and "proto ra" not in line]
            lines = [line for line in lines if not line.startswith("2001:db8:99::/64")]
            # link-local addresses of links whose MAC is the kernel's choice
            print(
                "\n".join(
                    sorted(
                        line
                        for line in lines
                        if "fe80::" not in line or "fe80::1/64" in line or "via fe80::1" in line
                    )
                )
            )
    print(show(*enter, "nft", "--stateless", "list", "ruleset"))
    for link in sorted(show(*enter, "wg", "show", "interfaces").split()):
        for what in ("listen-port", "endpoints", "allowed-ips", "persistent-keepalive"):
            lines = show(*enter, "wg", "show", link, what).splitlines()
            print(link, what, sorted(sorted(line.split()) for line in lines))
    print(show(*enter, "cat", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"))
