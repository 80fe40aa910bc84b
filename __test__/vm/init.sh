#!/bin/sh
# The program of the disk that the kernel starts: makes the machine one that tests can run on, runs them, says how they ended.
export PATH=/usr/bin:/bin:/sbin HOME=/root TMPDIR=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 cgroup /sys/fs/cgroup
ip link set lo up
echo core > /proc/sys/kernel/core_pattern
ulimit -c unlimited
# A group with members cannot have groups with limits below it.
mkdir /sys/fs/cgroup/tests
echo $$ > /sys/fs/cgroup/tests/cgroup.procs
echo '+memory +pids' > /sys/fs/cgroup/cgroup.subtree_control
cd /app
. ./tests.sh
echo "vm: ended with $?"
sync
poweroff -f
