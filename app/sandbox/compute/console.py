"""A server's console: boot text that grows as time passes."""

from datetime import UTC, datetime

from .models import Server

# Seconds after the machine's power came on, and what the console then says.
LINES: list[tuple[float, str]] = [
    (0.0, "Booting from Hard Disk..."),
    (0.1, "GRUB loading."),
    (0.2, "Booting `{image}`"),
    (0.4, "[    0.000000] Linux version 5.14.0-503.el9.x86_64 (mockbuild@builder) #1 SMP PREEMPT_DYNAMIC"),
    (0.4, "[    0.000000] Command line: BOOT_IMAGE=(hd0,gpt3)/boot/vmlinuz root=UUID=6e3a ro console=tty0"
        " console=ttyS0,115200n8"),
    (0.5, "[    0.000000] DMI: OpenStack Foundation OpenStack Nova, BIOS 1.16.3 04/01/2014"),
    (0.6, "[    0.061204] smpboot: Total of {vcpus} processors activated"),
    (0.7, "[    0.214773] Memory: {ram}M available"),
    (0.9, "[    0.801355] virtio_blk virtio2: [vda] {disk} GiB"),
    (1.0, "[    1.011874] systemd[1]: Detected virtualization kvm."),
    (1.1, "[    1.020115] systemd[1]: Hostname set to <{name}>."),
    (1.4, "[  OK  ] Started Journal Service."),
    (1.6, "[  OK  ] Reached target Local File Systems."),
    (1.8, "[  OK  ] Started Network Manager."),
    (2.2, "[    2.104467] cloud-init[711]: Cloud-init v. 24.4 running 'init-local' at {date}. Up 2.10 seconds."),
    (3.0, "[    3.008120] cloud-init[804]: Cloud-init v. 24.4 running 'init' at {date}. Up 3.00 seconds."),
    (3.2, "[    3.214001] cloud-init[804]: ci-info: | eth0 | True | {address} | . | global | {mac} |"),
    (3.6, "[  OK  ] Started OpenSSH server daemon."),
    (4.0, "[    4.020772] cloud-init[902]: Cloud-init v. 24.4 running 'modules:config' at {date}. Up 4.02 seconds."),
    (5.0, "[    5.018331] cloud-init[977]: Cloud-init v. 24.4 running 'modules:final' at {date}. Up 5.01 seconds."),
    (7.0, "[    7.120044] cloud-init[977]: + dnf -y install puppet-agent"),
    (10.0, "[   10.310991] cloud-init[977]: Complete!"),
    (12.0, "[   12.004410] puppet-agent[1411]: Starting Puppet client version 8.10.0"),
    (16.0, "[   16.208812] puppet-agent[1411]: Applied catalog in 3.61 seconds"),
    (18.0, "[   18.001032] cloud-init[977]: Cloud-init v. 24.4 finished at {date}. Datasource"
        " DataSourceOpenStackLocal.  Up 18.00 seconds"),
    (18.2, ""),
    (18.2, "{image}"),
    (18.2, "Kernel 5.14.0-503.el9.x86_64 on an x86_64"),
    (18.2, ""),
    (18.2, "{name} login: "),
]  # fmt: skip


def text(server: Server, powered_at: float | None, now: float, image: str, address: str, mac: str) -> str:
    """What the console has shown by now; nothing before the machine's power came on."""
    if powered_at is None:
        return ""
    date = datetime.fromtimestamp(powered_at, UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
    values = {
        "name": server.name,
        "image": image,
        "vcpus": server.flavor.vcpus,
        "ram": server.flavor.ram,
        "disk": server.flavor.disk,
        "date": date,
        "address": address,
        "mac": mac,
    }
    shown = [line.format(**values) for after, line in LINES if powered_at + after <= now]
    return "\n".join(shown) + ("\n" if shown else "")


def last_lines(whole: str, number: int | None) -> str:
    """The last lines: all for None or -1."""
    if number is None or number < 0:
        return whole
    lines = whole.splitlines()
    return "\n".join(lines[len(lines) - min(number, len(lines)) :])
