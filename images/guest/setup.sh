# Runs inside the machine's root, before its first process.  `zosinit`, written by the node, calls the functions below.
# busybox runs its own applets here: the image need not bring any program.
protocol=1

fail() {
    echo "zos: $*"
    exit 1
}

zos_config() { # PROTOCOL
    [ "$1" = "$protocol" ] || fail "the configuration has version $1, this initrd knows $protocol"
}

zos_hostname() { # NAME ADDRESS
    hostname "$1"
    rm -f /etc/hostname /etc/hosts
    mkdir -p /etc
    echo "$1" >/etc/hostname
    printf '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n%s\t%s\n' "${2:-127.0.1.1}" "$1" >/etc/hosts
}

nic=
zos_nic() { # MAC MTU: the following lines are about this interface
    nic=
    tries=0
    while [ -z "$nic" ]; do
        for address in /sys/class/net/*/address; do
            if [ "$(cat "$address")" = "$1" ]; then
                nic=${address%/address}
                nic=${nic##*/}
            fi
        done
        tries=$((tries + 1))
        [ "$tries" -lt 50 ] || fail "there is no interface with address $1"
        [ -n "$nic" ] || sleep 0.1
    done
    if [ -d "/proc/sys/net/ipv6/conf/$nic" ]; then
        echo 0 >"/proc/sys/net/ipv6/conf/$nic/accept_ra"
        echo 0 >"/proc/sys/net/ipv6/conf/$nic/accept_dad"
    fi
    ip link set dev "$nic" mtu "$2" up || fail "cannot bring up $nic"
}

zos_address() {
    ip addr add "$1" dev "$nic" || echo "zos: cannot add address $1 to $nic"
    # An address that another machine had before is in its neighbours' tables with that machine's MAC.
    case "$1" in *:*) ;; *) arping -q -U -c 2 -w 3 -I "$nic" "${1%/*}" >/dev/null 2>&1 & ;; esac
}

zos_route() { # DESTINATION [GATEWAY]
    family=-4
    case "$1$2" in *:*) family=-6 ;; esac
    ip $family route add "$1" ${2:+via "$2"} dev "$nic" || echo "zos: cannot add a route to $1${2:+ via $2}"
}

zos_resolver() { # ADDRESS...
    rm -f /etc/resolv.conf
    for server in "$@"; do echo "nameserver $server"; done >/etc/resolv.conf
}

zos_ssh_key() { # KEY
    mkdir -p /root/.ssh && chmod 700 /root/.ssh
    touch /root/.ssh/authorized_keys && chmod 600 /root/.ssh/authorized_keys
    grep -qxF -- "$1" /root/.ssh/authorized_keys || printf '%s\n' "$1" >>/root/.ssh/authorized_keys
}

zos_disk() { # SERIAL MOUNTPOINT
    device=
    for block in /sys/block/vd*; do
        if [ "$(cat "$block/serial" 2>/dev/null)" = "$1" ]; then device=/dev/${block##*/}; fi
    done
    [ -n "$device" ] || fail "there is no disk for $2"
    mkdir -p "$2" || fail "cannot make the mount point $2"
    mount -t ext4 "$device" "$2" || fail "cannot mount the disk at $2"
}

zos_share() { # TAG MOUNTPOINT
    mkdir -p "$2" || fail "cannot make the mount point $2"
    mount -t virtiofs "$1" "$2" || fail "cannot mount the volume at $2"
}

ip link set lo up
. /dev/.zos/zosinit
if [ -x /usr/sbin/sshd ] && [ -x /usr/bin/ssh-keygen ]; then
    ls /etc/ssh/ssh_host_*_key >/dev/null 2>&1 || /usr/bin/ssh-keygen -A >/dev/null 2>&1
fi
setsid /dev/.zos/busybox sh /dev/.zos/power.sh </dev/null >/dev/null 2>&1 &
sleep 0.05 # until it has opened its script
rm -rf /dev/.zos
exit 0
