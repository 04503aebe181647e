# Answers the power button of a machine whose own first process does not: ends everything in order, then switches off.
# A systemd in the image handles the button itself.
device=
for name in /sys/class/input/event*/device/name; do
    if [ "$(cat "$name")" = "Power Button" ]; then
        device=${name%/device/name}
        device=/dev/input/${device##*/}
    fi
done
[ -n "$device" ] || exit 0
dd if="$device" of=/dev/null bs=24 count=1 || exit 0 # sleeps until the button is pressed
[ "$(cat /proc/1/comm)" = systemd ] && exit 0
kill -TERM -1
sleep 0.5
sync
umount -a -r
poweroff -f
