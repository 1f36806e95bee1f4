"""Writes a guest as a libvirt domain; a pure function of the guest, its disks and the host."""

from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, register_namespace, tostring

from msgspec import Struct

from aerostat import __version__
from aerostat.contracts.network import BoundPort
from aerostat.services.nova.drivers.libvirt.disks import Disk, GuestDisks
from aerostat.services.nova.drivers.libvirt.paths import InstancePaths
from aerostat.services.nova.model.guest import GuestSpec

NOVA_NS = "http://openstack.org/xmlns/libvirt/nova/1.1"
OWN_NS = "urn:aerostat:node:1"
KERNEL_CMDLINE = "root=/dev/vda console=ttyS0 quiet"
AGENT_CHANNEL = "org.qemu.guest_agent.0"
DISK_BUSES = {"virtio": "vd", "scsi": "sd", "sata": "sd", "ide": "hd"}


class HostChoice(Struct, frozen=True):
    """How this host runs guests: `virt_type` is kvm or qemu, as the self-test found.

    `cache_mode` writeback keeps what the guest flushes and lets guests share the page cache for
    their image; `none` is for hosts that migrate disks on shared storage.
    """

    virt_type: str = "qemu"
    emulator: str = "/usr/bin/qemu-system-x86_64"
    machine: str = "pc"
    tcg_cpu_model: str = "Nehalem"
    tb_cache_mib: int = 64
    cache_mode: str = "writeback"
    vnc_listen: str = "127.0.0.1"


def domain_xml(
    spec: GuestSpec, paths: InstancePaths, guest: GuestDisks, host: HostChoice, state: Path
) -> str:
    """Return the XML of the guest's domain. `state` marks it as ours."""
    domain = Element("domain", type=host.virt_type)
    _text(domain, "name", spec.instance_name)
    _text(domain, "uuid", spec.server_id)
    _metadata(domain, spec, state)
    _text(domain, "memory", str(spec.ram_mib), unit="MiB")
    _text(domain, "vcpu", str(spec.vcpus))
    _system(domain, spec)
    _os(domain, spec, guest, host)
    _cpu(domain, spec, host)
    _clock(domain)
    _text(domain, "on_poweroff", "destroy")
    _text(domain, "on_reboot", "restart")
    _text(domain, "on_crash", "destroy")
    devices = SubElement(domain, "devices")
    _text(devices, "emulator", host.emulator)
    _disks(devices, spec, guest, host)
    for port in spec.ports:
        devices.append(nic(port, spec.image_properties.get("hw_vif_model", "virtio")))
    _console(devices, paths)
    _screen(devices, host, spec)
    _extras(devices)
    if spec.image_properties.get("hw_qemu_guest_agent", "").lower() in ("yes", "true", "1", "on"):
        channel = SubElement(devices, "channel", type="unix")
        SubElement(channel, "target", type="virtio", name=AGENT_CHANNEL)
    indent(domain)
    return tostring(domain, encoding="unicode") + "\n"


def _metadata(domain: Element, spec: GuestSpec, state: Path) -> None:
    register_namespace("nova", NOVA_NS)
    register_namespace("aerostat", OWN_NS)
    metadata = SubElement(domain, "metadata")
    SubElement(metadata, f"{{{OWN_NS}}}node", state=str(state))
    instance = SubElement(metadata, f"{{{NOVA_NS}}}instance")
    SubElement(instance, f"{{{NOVA_NS}}}package", version=__version__)
    _text(instance, f"{{{NOVA_NS}}}name", _clean(spec.name))
    flavor = SubElement(instance, f"{{{NOVA_NS}}}flavor", name=_clean(spec.flavor_name))
    sizes = {"memory": spec.ram_mib, "disk": spec.root_gb, "swap": spec.swap_mib}
    for name, value in {**sizes, "ephemeral": spec.ephemeral_gb, "vcpus": spec.vcpus}.items():
        _text(flavor, f"{{{NOVA_NS}}}{name}", str(value))
    owner = SubElement(instance, f"{{{NOVA_NS}}}owner")
    _text(owner, f"{{{NOVA_NS}}}user", "", uuid=spec.user_id)
    _text(owner, f"{{{NOVA_NS}}}project", "", uuid=spec.project_id)
    if spec.image is not None:
        SubElement(instance, f"{{{NOVA_NS}}}root", type="image", uuid=spec.image.id)


def _system(domain: Element, spec: GuestSpec) -> None:
    info = SubElement(domain, "sysinfo", type="smbios")
    system = SubElement(info, "system")
    entries = {
        "manufacturer": "OpenStack Foundation",
        "product": "OpenStack Nova",
        "version": __version__,
        "serial": spec.server_id,
        "uuid": spec.server_id,
        "family": "Virtual Machine",
    }
    for name, value in entries.items():
        _text(system, "entry", value, name=name)


def _os(domain: Element, spec: GuestSpec, guest: GuestDisks, host: HostChoice) -> None:
    machine = spec.image_properties.get("hw_machine_type", host.machine)
    os = SubElement(domain, "os")
    _text(os, "type", "hvm", arch="x86_64", machine=machine)
    if guest.kernel is not None:
        _text(os, "kernel", str(guest.kernel))
        if guest.ramdisk is not None:
            _text(os, "initrd", str(guest.ramdisk))
        _text(os, "cmdline", spec.image_properties.get("os_command_line", KERNEL_CMDLINE))
    SubElement(os, "bootmenu", enable="no")
    SubElement(os, "smbios", mode="sysinfo")


def _cpu(domain: Element, spec: GuestSpec, host: HostChoice) -> None:
    features = SubElement(domain, "features")
    SubElement(features, "acpi")
    SubElement(features, "apic")
    if host.virt_type == "kvm":
        cpu = SubElement(domain, "cpu", mode="host-passthrough", check="none")
    else:
        _text(SubElement(features, "tcg"), "tb-cache", str(host.tb_cache_mib), unit="MiB")
        cpu = SubElement(domain, "cpu", mode="custom", match="exact", check="none")
        _text(cpu, "model", host.tcg_cpu_model, fallback="allow")
    SubElement(cpu, "topology", sockets=str(spec.vcpus), cores="1", threads="1")


def _clock(domain: Element) -> None:
    clock = SubElement(domain, "clock", offset="utc")
    SubElement(clock, "timer", name="pit", tickpolicy="delay")
    SubElement(clock, "timer", name="rtc", tickpolicy="catchup")
    SubElement(clock, "timer", name="hpet", present="no")


def _disks(devices: Element, spec: GuestSpec, guest: GuestDisks, host: HostChoice) -> None:
    bus = spec.image_properties.get("hw_disk_bus", "virtio")
    bus = bus if bus in DISK_BUSES else "virtio"
    cdrom_bus = spec.image_properties.get("hw_cdrom_bus", "scsi")
    cdrom_bus = cdrom_bus if cdrom_bus in DISK_BUSES and cdrom_bus != "virtio" else "scsi"
    used = {bus if disk.device == "disk" else cdrom_bus for disk in guest.disks}
    if "scsi" in used:
        SubElement(devices, "controller", type="scsi", index="0", model="virtio-scsi")
    boot_device = "cdrom" if spec.image and spec.image.disk_format == "iso" else "disk"
    order = 1
    for letter, disk in zip("abcdefgh", guest.disks, strict=False):
        on = bus if disk.device == "disk" else cdrom_bus
        element = _disk(devices, disk, on, DISK_BUSES[on] + letter, host)
        if guest.kernel is None and disk.device == boot_device and order == 1:
            SubElement(element, "boot", order="1")
            order += 1


def _disk(devices: Element, disk: Disk, bus: str, target: str, host: HostChoice) -> Element:
    element = SubElement(devices, "disk", type="file", device=disk.device)
    driver = SubElement(element, "driver", name="qemu", type=disk.disk_format)
    driver.set("cache", host.cache_mode)
    SubElement(element, "source", file=str(disk.path))
    SubElement(element, "target", dev=target, bus=bus)
    if disk.device == "cdrom":
        SubElement(element, "readonly")
    else:
        driver.set("discard", "unmap")
    return element


def nic(port: BoundPort, model: str) -> Element:
    """Return a port as the guest's interface."""
    found = Element("interface", type="bridge")
    SubElement(found, "mac", address=port.mac)
    SubElement(found, "source", bridge=port.bridge)
    SubElement(found, "target", dev=port.tap)
    SubElement(found, "model", type=model)
    SubElement(found, "mtu", size=str(port.mtu))
    SubElement(found, "rom", enabled="no")
    return found


def _console(devices: Element, paths: InstancePaths) -> None:
    for tag in ("serial", "console"):
        element = SubElement(devices, tag, type="pty")
        SubElement(element, "log", file=str(paths.console_log), append="off")
        if tag == "serial":
            SubElement(element, "target", port="0")
        else:
            SubElement(element, "target", type="serial", port="0")


def _screen(devices: Element, host: HostChoice, spec: GuestSpec) -> None:
    graphics = SubElement(devices, "graphics", type="vnc", autoport="yes", port="-1")
    graphics.set("listen", host.vnc_listen)
    SubElement(graphics, "listen", type="address", address=host.vnc_listen)
    SubElement(devices, "input", type="tablet", bus="usb")
    video = SubElement(devices, "video")
    SubElement(video, "model", type=spec.image_properties.get("hw_video_model", "vga"))


def _extras(devices: Element) -> None:
    rng = SubElement(devices, "rng", model="virtio")
    _text(rng, "backend", "/dev/urandom", model="random")
    balloon = SubElement(devices, "memballoon", model="virtio")
    SubElement(balloon, "stats", period="10")


def _text(parent: Element, tag: str, text: str, **attributes: str) -> Element:
    element = SubElement(parent, tag, dict(attributes))
    element.text = text or None
    return element


def _clean(text: str) -> str:
    """Return `text` without characters that XML cannot hold."""
    return "".join(c for c in text if c.isprintable())
