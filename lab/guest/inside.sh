# Process 1, in the machine's own root: runs the command and tells its exit status.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
. /run/settings.sh

ln -sfn /proc/self/fd /dev/fd
for file in stdin:0 stdout:1 stderr:2; do ln -sfn "/proc/self/fd/${file#*:}" "/dev/${file%:*}"; done
mkdir -p /dev/pts /dev/shm /run/netns
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
ip link set lo up
modprobe tun # the others load themselves when they are asked for

port() { # its device, by its name
    for port in /sys/class/virtio-ports/*; do
        [ "$(cat "$port/name")" != "$1" ] || echo "/dev/${port##*/}"
    done
}

cd "$FOLDER" || exit 1
sh -c "$COMMAND" >"$(port output)" 2>&1 </dev/null
echo $? >"$(port status)"
busybox poweroff -f
