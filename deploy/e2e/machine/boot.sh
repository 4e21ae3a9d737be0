#!/bin/sh
# Runs as PID 1 in the machine's namespaces, prepares the root file system, and becomes systemd.
# Arguments: the directory for the machine's own files, which contains the directory install with
# install.sh; the network address of its eth0; and the root file system to start from, / for this
# host's.
set -eu
own=$1 address=$2 base=$3
if [ "${4-}" != inside ]; then
	exec unshare --cgroup sh "$0" "$own" "$address" "$base" inside
fi

mkdir "$own/upper" "$own/work" "$own/root"
mount -t overlay overlay -o "lowerdir=$base,upperdir=$own/upper,workdir=$own/work" "$own/root"
cd "$own/root"

# Mount the kernel file systems of these namespaces and create the devices that programs expect.
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
	: >"dev/$device"
	mount --bind "/dev/$device" "dev/$device"
done
: >dev/console
mount --bind /dev/null dev/console
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp

ip link add eth0 type veth peer name far
ip address add "$address" dev eth0
ip link set eth0 up
ip link set far up

# Services that are enabled on this host must not start in the machine.
rm -rf etc/systemd/system/*.wants
cp -r "$own/install" mnt/install
chroot . sh -eu /mnt/install/install.sh

mkdir -p mnt/old
pivot_root . mnt/old
umount -l mnt/old
exec env -i container=icebox-e2e PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd \
	--unit=basic.target --log-target=console --show-status=0 systemd.unified_cgroup_hierarchy=1
