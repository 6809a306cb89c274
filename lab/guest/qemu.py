"""The machine that the guest runs on."""

from collections.abc import Sequence
from pathlib import Path

from lab.guest.kernel import Kernel
from lab.guest.shares import Share

QEMU = "qemu-system-x86_64"

_KERNEL = (
    *("console=ttyS0", "quiet", "loglevel=4", "panic=-1"),
    # Nothing that is slow to emulate and protects nobody here.
    *("mitigations=off", "nokaslr", "no_timer_check", "tsc=reliable", "random.trust_cpu=1"),
)


def console(scratch: Path) -> Path:
    """What the kernel and the scripts said."""
    return scratch / "console"


def status(scratch: Path) -> Path:
    """Where the guest tells the command's exit status; empty or not there if it did not."""
    return scratch / "status"


def command(
    kernel: Kernel, initrd: Path, shares: Sequence[Share], memory: str, scratch: Path
) -> list[str]:
    """The command that runs the guest to its end; its standard output is what the guest prints.

    It must be a pipe: QEMU opens it anew, and would empty a file. (`-chardev stdio` hangs the
    guest's writes where standard input is /dev/null.)
    """
    # KVM is never tried: where /dev/kvm exists it may not work.
    processors = ("-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2")
    # virtiofs needs memory that it can share with its server.
    shared = f"memory-backend-memfd,id=memory,size={memory},share=on"
    words = [
        *(QEMU, "-machine", "q35", *processors, "-m", memory),
        *("-object", shared, "-numa", "node,memdev=memory"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-net", "none", "-no-reboot"),
        *("-kernel", str(kernel.image), "-initrd", str(initrd), "-append", " ".join(_KERNEL)),
        *("-serial", f"file:{console(scratch)}"),
        *("-device", "virtio-rng-pci", "-device", "virtio-serial-pci"),
        *_port("output", Path("/dev/stdout")),
        *_port("status", status(scratch)),
    ]
    for share in shares:
        words += ["-chardev", f"socket,id={share.tag},path={share.socket(scratch)}"]
        words += ["-device", f"vhost-user-fs-pci,chardev={share.tag},tag={share.tag}"]
    return words


def _port(name: str, path: Path) -> tuple[str, ...]:
    """A port of the guest, by its name, to a file."""
    return (
        *("-chardev", f"file,id={name},path={path}"),
        *("-device", f"virtserialport,chardev={name},name={name}"),
    )
