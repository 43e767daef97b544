"""Where the services are: the catalogue in each token."""

import uuid
from typing import Any

from ..cloud import Cloud
from .models import REGION

# name, type, path under the cloud's URL. As the reference cloud registers them: Neutron, Glance without a version.
SERVICES = (
    ("keystone", "identity", "/identity/v3"),
    ("nova", "compute", "/compute/v2.1"),
    ("neutron", "network", "/network"),
    ("glance", "image", "/image"),
    ("cinderv3", "volumev3", "/volume/v3/{project}"),
)


def catalogue(cloud: Cloud, project_id: str) -> list[dict[str, Any]]:
    def named(text: str) -> str:
        return uuid.uuid5(uuid.NAMESPACE_URL, text).hex

    return [
        {
            "id": named(kind),
            "type": kind,
            "name": name,
            "endpoints": [
                {
                    "id": named(f"{kind}/{interface}"),
                    "interface": interface,
                    "region": REGION,
                    "region_id": REGION,
                    "url": cloud.options.url + path.format(project=project_id),
                }
                for interface in ("public", "internal", "admin")
            ],
        }
        for name, kind, path in SERVICES
    ]
