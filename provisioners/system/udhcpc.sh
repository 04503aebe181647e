#!/bin/sh
# What busybox udhcpc calls when something happens to a lease.
# The first `deconfig` of a new client must not take an address away: the node's old client may just have been
# replaced.  $RUN_FILE remembers which client holds a lease.
case "$1" in
deconfig)
    ip link set dev "$interface" up
    if [ "$(cat "$RUN_FILE" 2>/dev/null)" = "$PPID" ]; then
        ip -4 addr flush dev "$interface"
        rm -f "$RUN_FILE"
    fi
    ;;
bound | renew)
    echo "$PPID" >"$RUN_FILE"
    ip -4 addr replace "$ip/$mask" dev "$interface"
    for old in $(ip -4 -o addr show dev "$interface" | awk '{print $4}'); do
        [ "$old" = "$ip/$mask" ] || ip -4 addr del "$old" dev "$interface"
    done
    for gateway in $router; do
        ip -4 route replace default via "$gateway" dev "$interface"
        break
    done
    ;;
esac
exit 0
