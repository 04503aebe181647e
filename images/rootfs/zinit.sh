#!/bin/sh
# First process of the demo machine: a page on port 80, SSH when a key was given, a shell on the serial console.
[ -d /run ] || mkdir -p /run
mkdir -p /var/www /etc/dropbear
echo "<!doctype html><title>$(hostname)</title><p>This is $(hostname)." >/var/www/index.html
httpd -p 80 -h /var/www
if [ -s /root/.ssh/authorized_keys ]; then dropbear -R -s -p 22 >/dev/null 2>&1; fi
echo "$(hostname) is up"
while :; do
    # A session of its own, so that Ctrl-C at the console reaches what runs in the shell.
    setsid cttyhack sh -l
    sleep 1
done
