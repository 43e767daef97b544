"""What a new cloud contains: one project with its user, flavors, images, networks and quotas."""

import secrets
import uuid
from dataclasses import dataclass

from . import quotas
from .cloud import Cloud
from .compute.api import fingerprint_of
from .compute.models import Flavor, Keypair
from .identity.models import ApplicationCredential, Caller, Project, Role, Token, User
from .identity.tokens import secret_hash
from .image import Image
from .network.models import Network
from .network.networks import create_network, create_subnet
from .network.routers import add_interface, create_router
from .network.security_groups import default_group
from .store import Record
from .volume.models import DEFAULT_TYPE, VolumeType

# name: (vcpus, GiB of memory, GB of root disk, GB of ephemeral disk)
FLAVORS = {
    "p1-1.5gb": (1, 1.5, 20, 0),
    "p2-3gb": (2, 3, 20, 0),
    "p4-6gb": (4, 6, 20, 0),
    "p8-12gb": (8, 12, 20, 0),
    "p16-24gb": (16, 24, 20, 0),
    "c1-7.5gb-31": (1, 7.5, 20, 31),
    "c2-7.5gb-31": (2, 7.5, 20, 31),
    "c2-15gb-31": (2, 15, 20, 31),
    "c4-15gb-83": (4, 15, 20, 83),
    "c4-30gb-83": (4, 30, 20, 83),
    "c8-30gb-186": (8, 30, 20, 186),
    "c8-60gb-186": (8, 60, 20, 186),
    "c16-60gb-392": (16, 60, 20, 392),
    "c16-120gb-392": (16, 120, 20, 392),
}

# name: (os_distro, os_version, GB of disk, MB of memory that it needs)
IMAGES = {
    "Rocky-8": ("rocky", "8", 10, 1024),
    "Rocky-9": ("rocky", "9", 10, 1024),
    "AlmaLinux-9": ("almalinux", "9", 10, 1024),
    "Ubuntu-22.04": ("ubuntu", "22.04", 8, 512),
    "Ubuntu-24.04": ("ubuntu", "24.04", 8, 512),
    "Debian-12": ("debian", "12", 8, 512),
}

QUOTAS: dict[str, dict[str, object]] = {
    "compute": {"instances": 50, "cores": 200, "ram": 819200},
    "volume": {"volumes": 100, "gigabytes": 10000, "snapshots": 50},
    "network": {
        "network": 20,
        "subnet": 40,
        "router": 10,
        "port": 500,
        "floatingip": 20,
        "security_group": 50,
        "security_group_rule": 500,
    },
}
KEY_PAIR = "sandbox"
"""The key pair of whoever starts the cloud; its private key lies in the data folder."""
ROLES = ("member", "reader", "load-balancer_member")


@dataclass(frozen=True, kw_only=True)
class Secrets(Record):
    """What the access file tells, kept so that the file can be written anew. There is one record, `secrets`."""

    project_id: str
    password: str
    application_credential_id: str
    application_credential_secret: str
    admin_token: str


def fill(cloud: Cloud, public_key: str) -> Secrets:
    """Fills a cloud that is empty, with a key pair of this public key for its user; the secrets of either."""
    with cloud.transaction():
        known = cloud.table(Secrets).get("secrets")
        if known is not None:
            return known
        made = cloud.table(Secrets).put(
            Secrets(
                id="secrets",
                project_id=uuid.uuid4().hex,
                password=secrets.token_urlsafe(24),
                application_credential_id=uuid.uuid4().hex,
                application_credential_secret=secrets.token_urlsafe(64),
                admin_token=secrets.token_urlsafe(32),
            )
        )
        demo = _people(cloud, made)
        _key_pair(cloud, demo, public_key)
        _offers(cloud)
        _networks(cloud, demo)
        for service, limits in QUOTAS.items():
            quotas.change(cloud, service, made.project_id, limits)
        return made


def _people(cloud: Cloud, made: Secrets) -> Caller:
    for name in ROLES:
        cloud.table(Role).put(Role(id=uuid.uuid4().hex, name=name))
    cloud.table(Project).put(Project(id=made.project_id, name="demo", description="Demonstration project"))
    user = cloud.table(User).put(
        User(
            id=uuid.uuid4().hex,
            name="demo",
            secret_hash=secret_hash(made.password),
            default_project_id=made.project_id,
            grants={made.project_id: list(ROLES)},
        )
    )
    cloud.table(ApplicationCredential).put(
        ApplicationCredential(
            id=made.application_credential_id,
            name="demo",
            secret_hash=secret_hash(made.application_credential_secret),
            user_id=user.id,
            project_id=made.project_id,
            roles=list(ROLES),
        )
    )
    return _caller(user.id, made.project_id, *ROLES)


def _key_pair(cloud: Cloud, caller: Caller, public_key: str) -> None:
    cloud.table(Keypair).put(
        Keypair(
            id=f"{caller.user_id}/{KEY_PAIR}",
            number=1,
            user_id=caller.user_id,
            name=KEY_PAIR,
            public_key=public_key,
            fingerprint=fingerprint_of(public_key),
            created_at=cloud.now,
        )
    )


def _caller(user_id: str, project_id: str, *roles: str) -> Caller:
    token = Token(
        id="",
        user_id=user_id,
        project_id=project_id,
        roles=list(roles),
        methods=[],
        audit_id="",
        issued_at=0,
        expires_at=0,
    )
    return Caller(user_id, project_id, frozenset(roles), token)


def _offers(cloud: Cloud) -> None:
    owner = uuid.uuid4().hex
    for name, (vcpus, ram, disk, ephemeral) in FLAVORS.items():
        cloud.table(Flavor).put(
            Flavor(id=str(uuid.uuid4()), name=name, vcpus=vcpus, ram=int(ram * 1024), disk=disk, ephemeral=ephemeral)
        )
    for age, (name, (distro, version, disk, ram)) in enumerate(IMAGES.items()):
        properties = {
            "os_distro": distro,
            "os_version": version,
            "os_type": "linux",
            "architecture": "x86_64",
            "hw_disk_bus": "virtio",
            "hw_vif_model": "virtio",
        }
        cloud.table(Image).put(
            Image(
                id=str(uuid.uuid4()),
                name=name,
                owner=owner,
                created_at=cloud.now - 60 + age,
                min_disk=disk,
                min_ram=ram,
                properties=properties,
            )
        )
    cloud.table(VolumeType).put(VolumeType(id=str(uuid.uuid4()), name=DEFAULT_TYPE, description="Default Volume Type"))


def add_offers(cloud: Cloud, flavors: int, images: int) -> None:
    """As many more flavors and images: what a large public cloud has."""
    for at in range(flavors):
        vcpus = 1 + at % 64
        flavor = Flavor(id=str(uuid.uuid4()), name=f"x{vcpus}-{at}", vcpus=vcpus, ram=vcpus * 2048, disk=10 * (at % 5))
        cloud.table(Flavor).put(flavor)
    for at in range(images):
        image = Image(
            id=str(uuid.uuid4()), name=f"image-{at}", owner="", created_at=cloud.now - 86400 - at, min_disk=10
        )
        cloud.table(Image).put(image)


def _networks(cloud: Cloud, demo: Caller) -> None:
    admin = _caller(uuid.uuid4().hex, uuid.uuid4().hex, "admin")
    public: Network = create_network(cloud, admin, {"name": "public", "router:external": True})
    base = cloud.options.floating_range.rsplit(".", 1)[0]
    create_subnet(
        cloud,
        admin,
        {
            "name": "public-subnet",
            "network_id": public.id,
            "ip_version": 4,
            "cidr": cloud.options.floating_range,
            "gateway_ip": f"{base}.1",
            "enable_dhcp": False,
            "allocation_pools": [{"start": f"{base}.10", "end": f"{base}.254"}],
        },
    )
    default_group(cloud, demo.project_id)
    private = create_network(cloud, demo, {"name": "demo-network"})
    subnet = create_subnet(
        cloud,
        demo,
        {
            "name": "demo-subnet",
            "network_id": private.id,
            "ip_version": 4,
            "cidr": "192.168.0.0/24",
            "dns_nameservers": ["192.0.2.53"],
        },
    )
    router = create_router(cloud, demo, {"name": "demo-router", "external_gateway_info": {"network_id": public.id}})
    add_interface(cloud, demo, router.id, {"subnet_id": subnet.id})
