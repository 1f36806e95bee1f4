#!/bin/bash
# Builds the tiny guest image out of Debian packages: build.sh OUTDIR
#
#   OUTDIR/aerostat-guest.qcow2   boots by itself from a BIOS disk (root file system on it)
#   OUTDIR/vmlinuz, ramdisk.lz4   the same guest as a kernel + ramdisk pair, all in memory
#
# Needs root (one loop mount) and the packages: busybox-static dropbear-bin cpio lz4 e2fsprogs
# extlinux syslinux-common kmod fdisk qemu-utils. Building again costs nothing until this file
# changes. The guest: DHCP on every NIC, keys, hostname and user data from the config drive or
# 169.254.169.254, sshd, login on ttyS0 (cirros / gocubsgo), clean power off by ACPI.
set -euo pipefail

VERSION=1
DISK_MIB=48
FIRST_SECTOR=2048
CMDLINE="console=ttyS0 quiet mitigations=off nokaslr tsc=reliable random.trust_cpu=on panic=5"
# In load order; whatever is built into the kernel is skipped.
EARLY="drivers/virtio/virtio_ring drivers/virtio/virtio drivers/virtio/virtio_pci_legacy_dev
 drivers/virtio/virtio_pci_modern_dev drivers/virtio/virtio_pci net/core/failover
 drivers/net/net_failover drivers/net/virtio_net drivers/block/virtio_blk"
POWER="drivers/acpi/button drivers/input/evdev"
# Entropy for the host key: without it the first boot waits a second for the kernel to be ready.
ENTROPY="drivers/char/hw_random/rng-core drivers/char/hw_random/virtio-rng"
DRIVE="drivers/scsi/scsi_common drivers/scsi/scsi_mod drivers/scsi/virtio_scsi drivers/ata/libata
 drivers/ata/ata_piix drivers/cdrom/cdrom drivers/scsi/sr_mod fs/isofs/isofs"
LATE="drivers/scsi/sd_mod drivers/virtio/virtio_balloon
 net/802/garp net/802/mrp net/8021q/8021q fs/fat/fat fs/fat/vfat fs/nls/nls_cp437 fs/nls/nls_ascii
 drivers/net/ethernet/intel/e1000/e1000"

out=$(mkdir -p "${1:?usage: build.sh OUTDIR}" && cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
stamp="$VERSION $(sha256sum "$here/build.sh" | cut -d' ' -f1)"
finished() {
    [ "$(cat "$out/.stamp" 2>/dev/null)" = "$stamp" ] && [ -s "$out/aerostat-guest.qcow2" ] &&
        [ -s "$out/vmlinuz" ] && [ -s "$out/ramdisk.lz4" ]
}
finished && exit 0
exec 9>"$out/.lock"
flock 9
finished && exit 0

work=$(mktemp -d "$out/.build.XXXXXX")
loop=""
cleanup() {
    umount "$work/mnt" 2>/dev/null || true
    [ -n "$loop" ] && losetup -d "$loop" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
say() { echo "guest: $*"; }

newest_kernel() {
    apt-cache depends linux-image-cloud-amd64 2>/dev/null |
        sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -1
}

fetch_kernel() {
    local package
    package=$(newest_kernel)
    [ -n "$package" ] || { apt-get -qq update; package=$(newest_kernel); }
    [ -n "$package" ] || { say "apt knows no linux-image-cloud-amd64" >&2; exit 1; }
    mkdir -p "$out/cache"
    if ! ls "$out/cache/${package}"_*.deb >/dev/null 2>&1; then
        (cd "$out/cache" && { apt-get -qq download "$package" 2>/dev/null ||
            { apt-get -qq update && apt-get -qq download "$package"; }; })
    fi
    dpkg -x "$(ls "$out/cache/$package"_*.deb | tail -1)" "$work/kernel"
    release=$(ls "$work/kernel/lib/modules")
    say "kernel $release"
}

modules() { # NAME PATHS...: copies modules into the root, lists them in /lib/m/NAME
    local name=$1 path file
    shift
    : >"$root/lib/m/$name"
    for path in "$@"; do
        file=$work/kernel/lib/modules/$release/kernel/$path.ko
        [ -e "$file" ] || continue
        strip --strip-debug -o "$root/lib/m/$(basename "$file")" "$file" 2>/dev/null ||
            cp "$file" "$root/lib/m/"
        basename "$path" >>"$root/lib/m/$name"
    done
}

programs() {
    local applet program library
    cp /bin/busybox "$root/bin/"
    for applet in $(busybox --list); do
        [ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"
    done
    for applet in init getty udhcpc reboot poweroff halt switch_root acpid; do
        ln -sf ../bin/busybox "$root/sbin/$applet"
    done
    cp /usr/sbin/dropbear "$root/usr/sbin/"
    cp /usr/bin/dropbearkey /usr/bin/dbclient "$root/usr/bin/"
    for program in /usr/sbin/dropbear /usr/bin/dropbearkey /usr/bin/dbclient; do
        for library in $(ldd "$program" | grep -o '/[^ ]*'); do
            mkdir -p "$root$(dirname "$library")"
            [ -e "$root$library" ] || cp -L "$library" "$root$library"
        done
    done
    strip --strip-unneeded "$root"/lib/x86_64-linux-gnu/*.so* "$root"/usr/sbin/dropbear \
        "$root"/usr/bin/db* "$root"/usr/bin/dropbearkey 2>/dev/null || true
}

script() { # PATH: an executable file of the guest, from standard input
    mkdir -p "$(dirname "$root$1")"
    cat >"$root$1"
    chmod 755 "$root$1"
}

accounts() {
    printf 'root:x:0:0:root:/root:/bin/sh\ncirros:x:1000:1000::/home/cirros:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\ncirros:x:1000:\n' >"$root/etc/group"
    printf 'root:*:19000::::::\ncirros:%s:19000::::::\n' \
        "$(openssl passwd -6 -salt aerostat gocubsgo)" >"$root/etc/shadow"
    chmod 600 "$root/etc/shadow"
    chmod 700 "$root/root"
    chown -R 1000:1000 "$root/home/cirros"
    echo /bin/sh >"$root/etc/shells"
    echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
    echo '127.0.0.1 localhost' >"$root/etc/hosts"
    echo 'Aerostat guest. Log in as cirros, password gocubsgo; sudo works.' >"$root/etc/issue"
    echo "aerostat-guest $VERSION" >"$root/etc/aerostat-guest"
}

services() {
    cat >"$root/etc/inittab" <<'X'
::sysinit:/etc/init.d/rcS
::once:/etc/init.d/network
::respawn:/etc/init.d/power
ttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100
::ctrlaltdel:/sbin/reboot
::shutdown:/bin/sync
::shutdown:/bin/umount -a -r
X
    script /etc/init.d/rcS <<'X'
#!/bin/sh
for m in proc:/proc sysfs:/sys devtmpfs:/dev; do
    grep -q " ${m#*:} " /proc/mounts 2>/dev/null || mount -t ${m%:*} ${m%:*} ${m#*:}
done
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
mount -o remount,rw / 2>/dev/null
mkdir -p /run/metadata
ip link set lo up
hostname $(cat /etc/hostname 2>/dev/null || echo cirros)
X
    script /etc/init.d/load <<'X'
#!/bin/sh
for m in $(cat /lib/m/$1); do insmod /lib/m/$m.ko 2>/dev/null; done
exit 0
X
    script /etc/init.d/power <<'X'
#!/bin/sh
/etc/init.d/load power
exec /sbin/acpid -d -l /dev/null </dev/null >/dev/null 2>&1
X
    script /etc/acpi/PWRF/00000080 <<'X'
#!/bin/sh
exec /sbin/poweroff
X
    script /etc/init.d/network <<'X'
#!/bin/sh
exec >/dev/console 2>&1 </dev/null
/etc/init.d/load entropy
[ -s /etc/dropbear/ed25519 ] || dropbearkey -t ed25519 -f /etc/dropbear/ed25519 >/dev/null 2>&1 &
/etc/init.d/drive &
drive=$!
for n in /sys/class/net/eth*; do
    [ -e $n ] || continue
    n=${n##*/}
    ip link set $n up
    # A lease that is late must not hold the boot up: udhcpc goes on in the background.
    udhcpc -i $n -b -t 20 -T 1 -A 2 -O staticroutes -O mtu -s /etc/udhcpc.script >/dev/null 2>&1 &
    wait $!
done
wait $drive
echo "aerostat-guest: address $(ip -4 -o addr show scope global | awk '{print $4}' | tr '\n' ' ')up $(cut -d' ' -f1 /proc/uptime)s"
while [ ! -s /etc/dropbear/ed25519 ]; do sleep 0.1; done
/etc/init.d/metadata first
dropbear -r /etc/dropbear/ed25519 -p 22
echo "aerostat-guest: sshd up $(cut -d' ' -f1 /proc/uptime)s host $(hostname)"
/etc/init.d/metadata wait
/etc/init.d/load late
if [ ! -s /etc/dropbear/sudo.pub ]; then
    dropbearkey -t ed25519 -f /etc/dropbear/sudo 2>/dev/null | grep ^ssh- >/etc/dropbear/sudo.pub
    cat /etc/dropbear/sudo.pub >>/root/.ssh/authorized_keys
fi
chown cirros /etc/dropbear/sudo
chmod 400 /etc/dropbear/sudo
sync
X
    script /etc/udhcpc.script <<'X'
#!/bin/sh
case "$1" in
deconfig) ip -4 addr flush dev $interface; ip link set $interface up ;;
bound | renew)
    ip -4 addr flush dev $interface
    [ -n "$mtu" ] && ip link set $interface mtu $mtu
    ip addr add $ip/${mask:-24} dev $interface
    # RFC 3442: classless routes replace the router option
    if [ -n "$staticroutes" ]; then
        set -- $staticroutes
        while [ -n "$2" ]; do
            [ "$2" = 0.0.0.0 ] && ip route replace $1 dev $interface ||
                ip route replace $1 via $2 dev $interface
            shift 2
        done
    else
        for r in $router; do ip route replace default via $r dev $interface; done
    fi
    {
        [ -n "$domain" ] && echo search $domain
        for d in $dns; do echo nameserver $d; done
    } >/etc/resolv.conf
    ;;
esac
exit 0
X
    # The config drive is there or it is not: no waiting unless a controller for it exists.
    script /etc/init.d/drive <<'X'
#!/bin/sh
wanted=
for d in /sys/bus/virtio/devices/*/device; do [ "$(cat $d 2>/dev/null)" = 0x0008 ] && wanted=sr0; done
[ -e /dev/vdb ] && wanted=${wanted:-vd}
[ -n "$wanted" ] || [ ! -e /sys/class/net/eth0 ] || exit 0
/etc/init.d/load drive
i=0
while [ "$wanted" = sr0 ] && [ ! -e /dev/sr0 ] && [ $i -lt 20 ]; do sleep 0.1; i=$((i + 1)); done
for dev in /dev/sr0 /dev/sr1 /dev/vd[b-z] /dev/sd[a-z]; do
    [ -b $dev ] || continue
    # the volume label of ISO 9660 stands at byte 32808
    [ "$(dd if=$dev bs=1 skip=32808 count=8 2>/dev/null)" = config-2 ] || continue
    mkdir -p /run/config
    mount -o ro $dev /run/config && exit 0
done
exit 0
X
    script /etc/init.d/metadata <<'X'
#!/bin/sh
# metadata first: one quick try. metadata wait: until it is there, ever more slowly.
MD=http://169.254.169.254/2009-04-04
D=/run/metadata
get() { timeout 5 wget -q -O $D/$2.part $MD/$1 2>/dev/null && mv $D/$2.part $D/$2; }
text() { grep -o "\"$1\": *\"[^\"]*\"" $J | head -1 | sed 's/^[^:]*: *"//; s/"$//'; }
from_drive() {
    J=/run/config/openstack/latest/meta_data.json
    [ -s $J ] || return 1
    text uuid >$D/instance-id
    text hostname >$D/hostname
    grep -oE '"(ssh|ecdsa|sk)-[^"]*"' $J | sed 's/^"//; s/"$//; s/\\n//g' | sort -u >$D/key
    cp /run/config/openstack/latest/user_data $D/user-data 2>/dev/null
    echo config-drive >$D/source
}
from_net() {
    [ -e /sys/class/net/eth0 ] && get meta-data/instance-id instance-id || return 1
    get meta-data/hostname hostname
    get meta-data/public-keys/0/openssh-key key
    get user-data user-data
    echo metadata-service >$D/source
}
apply() {
    [ -s $D/hostname ] && h=$(cat $D/hostname) && hostname ${h%%.*} && hostname >/etc/hostname
    if [ -s $D/key ]; then
        for u in /root /home/cirros; do
            mkdir -p $u/.ssh
            cat $D/key /etc/dropbear/sudo.pub 2>/dev/null >$u/.ssh/authorized_keys
            chmod 700 $u/.ssh
            chmod 600 $u/.ssh/authorized_keys
        done
        chown -R 1000:1000 /home/cirros/.ssh
    fi
    sync
    echo "aerostat-guest: metadata from $(cat $D/source), up $(cut -d' ' -f1 /proc/uptime)s"
    [ "$(cat $D/instance-id)" = "$(cat /var/lib/instance-id 2>/dev/null)" ] && return
    cp $D/instance-id /var/lib/instance-id
    if [ "$(head -c2 $D/user-data 2>/dev/null)" = '#!' ]; then
        cp $D/user-data /run/user-data && chmod 700 /run/user-data && /run/user-data >/dev/console 2>&1 &
    fi
}
[ -s $D/source ] && exit 0
tries=1
[ "$1" = wait ] && tries=60
delay=1
while [ $tries -gt 0 ]; do
    { from_drive || from_net; } && apply && exit 0
    tries=$((tries - 1))
    [ $tries -gt 0 ] || break
    [ -e /sys/class/net/eth0 ] || break
    sleep $delay
    [ $delay -lt 8 ] && delay=$((delay + 1))
done
[ "$1" = wait ] && echo "aerostat-guest: no metadata"
exit 0
X
    script /usr/bin/aerostat-info <<'X'
#!/bin/sh
[ -s /run/metadata/source ] || /etc/init.d/metadata first >/dev/null
echo "hostname: $(hostname)"
echo "address: $(ip -4 -o addr show scope global | awk '{print $4}' | tr '\n' ' ')"
echo "instance-id: $(cat /run/metadata/instance-id 2>/dev/null)"
echo "source: $(cat /run/metadata/source 2>/dev/null)"
X
    # Root by a key that only the owner of the guest can read; keeps busybox free of setuid.
    script /usr/bin/sudo <<'X'
#!/bin/sh
[ $(id -u) = 0 ] && exec "$@"
while [ "${1#-}" != "$1" ]; do shift; done
[ -t 0 ] && t=-t
exec dbclient $t -y -y -i /etc/dropbear/sudo root@127.0.0.1 "cd $(pwd); ${*:-sh}" 2>/dev/null
X
}

first_stage() { # DIR RAM|DISK: the /init of an initramfs
    cat >"$1/init" <<'X'
#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
for m in $(cat /lib/m/early); do insmod /lib/m/$m.ko 2>/dev/null; done
X
    if [ "$2" = DISK ]; then
        cat >>"$1/init" <<'X'
read c </proc/cmdline
r=${c##*root=}; r=${r%% *}
i=0
while [ ! -b $r ] && [ $i -lt 100 ]; do sleep 0.05; i=$((i + 1)); done
mount -t ext4 $r /newroot || { echo "no root on $r"; sleep 5; reboot -f; }
mount --move /dev /newroot/dev
umount /proc
exec switch_root /newroot /sbin/init
X
    else
        echo 'exec /sbin/init' >>"$1/init"
    fi
    chmod 755 "$1/init"
}

pack() { (cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0 --reproducible); }

root=$work/root
fetch_kernel
mkdir -p "$root"/{bin,sbin,dev,proc,sys,run,tmp,root/.ssh,lib/m,lib64,etc/dropbear,etc/init.d} \
    "$root"/{mnt,var/lib,var/log,home/cirros,usr/bin,usr/sbin,boot}
chmod 1777 "$root/tmp"
programs
modules early $EARLY
modules entropy $ENTROPY
modules power $POWER
modules drive $DRIVE
modules late $LATE
accounts
services

say "ramdisk"
first_stage "$root" RAM
pack "$root" | lz4 -l -9 -c -q >"$work/ramdisk.lz4"
rm "$root/init"
cp "$work/kernel/boot/vmlinuz-$release" "$work/vmlinuz"

say "disk"
boot=$work/boot
mkdir -p "$boot"/{bin,dev,proc,newroot,lib/m}
cp /bin/busybox "$boot/bin/"
for applet in sh mount umount insmod cat sleep switch_root reboot; do ln -s busybox "$boot/bin/$applet"; done
cp "$root/lib/m/early" "$boot/lib/m/"
for module in $(cat "$root/lib/m/early"); do cp "$root/lib/m/$module.ko" "$boot/lib/m/"; done
first_stage "$boot" DISK
pack "$boot" | lz4 -l -9 -c -q >"$root/boot/initrd.lz4"
cp "$work/vmlinuz" "$root/boot/"
cat >"$root/boot/extlinux.conf" <<X
DEFAULT guest
PROMPT 0
TIMEOUT 0
LABEL guest
 KERNEL /boot/vmlinuz
 INITRD /boot/initrd.lz4
 APPEND root=/dev/vda1 $CMDLINE
X
truncate -s ${DISK_MIB}M "$work/disk.raw"
echo "start=$FIRST_SECTOR,type=83,bootable" | sfdisk -q --label dos "$work/disk.raw"
# 4 KiB blocks: extlinux needs them; a small journal: keys outlive a pulled plug
mke2fs -q -t ext4 -b 4096 -J size=4 -O ^64bit,^metadata_csum -m 0 -N 4096 \
    -E offset=$((FIRST_SECTOR * 512)),root_owner=0:0 -d "$root" "$work/disk.raw" $(((DISK_MIB - 1) * 1024))k
dd if=/usr/lib/EXTLINUX/mbr.bin of="$work/disk.raw" conv=notrunc bs=440 count=1 status=none
mkdir "$work/mnt"
loop=$(losetup -f --show -o $((FIRST_SECTOR * 512)) "$work/disk.raw")
mount -t ext4 "$loop" "$work/mnt"
extlinux --install "$work/mnt/boot" >/dev/null 2>&1
umount "$work/mnt"
losetup -d "$loop"
loop=""
qemu-img convert -f raw -O qcow2 -c "$work/disk.raw" "$work/aerostat-guest.qcow2"

mv "$work/vmlinuz" "$work/ramdisk.lz4" "$work/aerostat-guest.qcow2" "$out/"
echo "$stamp" >"$out/.stamp"
say "$(cd "$out" && du -h --apparent-size aerostat-guest.qcow2 vmlinuz ramdisk.lz4 | tr '\t\n' '  ')"
