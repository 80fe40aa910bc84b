#!/bin/sh
# The first program of the virtual machine: finds the disk.
export PATH=/bin
busybox mount -t devtmpfs dev /dev
for module in /modules/*; do busybox insmod "$module"; done
busybox mount -t ext4 -o noatime /dev/vda /disk
busybox mount --move /dev /disk/dev
exec busybox switch_root /disk /sbin/init
