#!/bin/busybox sh
# Process 1 of the guest: mounts the machine's root under a tmpfs, and goes on there.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
. /settings.sh

give_up() {
    echo "init: $*"
    poweroff -f
}

while read -r module; do
    insmod "/modules/$module" || give_up "no module $module"
done </modules/order

mount -t virtiofs -o ro root /lower || give_up "no share of the root"
mount -t tmpfs -o mode=755 over /over && mkdir /over/upper /over/work || give_up "no memory"
mount -t overlay -o lowerdir=/lower,upperdir=/over/upper,workdir=/over/work root /new ||
    give_up "no overlay"
hostname guest
cd /new || give_up "no root"
mkdir -p proc sys dev run tmp
while read -r tag folder; do
    mkdir -p ".$folder"
    mount -t virtiofs "$tag" ".$folder" || give_up "no share of $folder"
done <<END
${SHARES%?}
END
mount -t tmpfs -o mode=755 run run
cp /inside.sh /settings.sh run

# The modules are where they are in the cache; nobody in the guest wants those of the machine.
mkdir -p lib/modules
ln -sfn "$MODULES" "lib/modules/$RELEASE"

for folder in proc sys dev; do mount --move "/$folder" "$folder"; done
exec switch_root /new /bin/sh /run/inside.sh
