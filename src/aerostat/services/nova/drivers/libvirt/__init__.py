"""The libvirt driver: QEMU guests under KVM where it works, under TCG elsewhere."""
