"""People who make and delete servers while things break, and what they need for it."""

import threading
import time
from typing import Any

from aerostat.cli.cloud import ApiError, Cloud


class Comers:
    """People who make servers with a NIC and delete every second one, while things break."""

    def __init__(self, admin: Cloud) -> None:
        self.admin = admin
        image = admin.post(
            "image",
            "/v2/images",
            {"name": "tiny", "disk_format": "raw", "container_format": "bare"},
        )
        admin.upload("image", f"/v2/images/{image['id']}/file", [b"x" * 512])
        flavor = {"name": "tiny", "ram": 64, "vcpus": 1, "disk": 0}
        network = admin.post("network", "/v2.0/networks", {"network": {"name": "n"}})["network"]
        subnet = {"network_id": network["id"], "cidr": "10.9.0.0/16", "ip_version": 4}
        admin.post("network", "/v2.0/subnets", {"subnet": subnet})
        self.body = {
            "imageRef": image["id"],
            "flavorRef": admin.post("compute", "/flavors", {"flavor": flavor})["flavor"]["id"],
            "networks": [{"uuid": network["id"]}],
        }
        self.deleted: set[str] = set()
        self.under_way = threading.Event()
        quota = {"quota_set": {"instances": -1, "cores": -1, "ram": -1}}
        admin.call("PUT", "compute", f"/os-quota-sets/{admin.project_id}", quota)
        ports = {"quota": {"port": -1}}
        admin.call("PUT", "network", f"/v2.0/quotas/{admin.project_id}", ports)

    def come(self, number: int) -> None:
        cloud = Cloud(self.admin.login)
        body = {"server": {"name": f"s{number}", **self.body}}
        made = _until(lambda: cloud.post("compute", "/servers", body))["server"]["id"]
        if number == 5:
            self.under_way.set()
        if number % 2:
            _until(lambda: cloud.delete("compute", f"/servers/{made}"))
            self.deleted.add(made)


def _until(request: Any) -> Any:
    """Repeat a request until the cloud takes it; what is refused for a reason fails the test."""
    end = time.monotonic() + 60
    while True:
        try:
            return request()
        except ApiError as why:
            if why.status not in (0, 409, 500, 502, 503, 504) or time.monotonic() > end:
                raise
            time.sleep(0.05)
