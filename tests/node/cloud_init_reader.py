"""Run by Debian's own Python: cloud-init's data sources read our metadata; prints what they got.

Usage: cloud_init_reader.py openstack|ec2|configdrive WHERE FOLDER [MAC...]
"""

import functools
import json
import logging
import sys
import types

from cloudinit import helpers
from cloudinit.sources import DataSourceConfigDrive, DataSourceEc2, DataSourceOpenStack
from cloudinit.sources.helpers import openstack

kind, where, folder = sys.argv[1:4]
macs = {mac: f"eth{i}" for i, mac in enumerate(sys.argv[4:])}
complaints = []


class Listener(logging.Handler):
    def emit(self, record):
        complaints.append(record.getMessage())


logging.getLogger().addHandler(Listener(logging.WARNING))
paths = helpers.Paths({"cloud_dir": folder, "run_dir": folder})
distro = types.SimpleNamespace(get_tmp_exec_path=lambda: folder)
options = {"metadata_urls": [where], "max_wait": 10, "timeout": 10, "strict_id": False}


def config(name):
    return {"datasource": {name: options}, "datasource_list": [name]}


def from_openstack():
    ec2 = openstack.ec2  # It asks for the EC2 tree at the well-known address, whatever the URL.
    ec2.get_instance_metadata = functools.partial(ec2.get_instance_metadata, metadata_address=where)
    DataSourceOpenStack.detect_openstack = lambda accept_oracle=False: True
    source = DataSourceOpenStack.DataSourceOpenStack(config("OpenStack"), distro, paths)
    assert source._get_data(), "not read"
    return source, {
        "version": source.version,
        "vendordata": source.vendordata_pure,
        "vendordata2": source.vendordata2_pure,
        "ec2": source.ec2_metadata,
        "files": {k: v.decode() for k, v in source.files.items()},
        "network": openstack.convert_net_json(source.network_json, known_macs=macs),
    }


def from_ec2():
    DataSourceEc2.identify_platform = lambda: DataSourceEc2.CloudNames.UNKNOWN
    source = DataSourceEc2.DataSourceEc2(config("Ec2"), distro, paths)
    assert source._get_data(), "not read"
    return source, {"instance_id": source.get_instance_id(), "zone": source.availability_zone}


def from_configdrive():
    found = DataSourceConfigDrive.read_config_drive(where)
    source = types.SimpleNamespace(
        metadata=found["metadata"],
        userdata_raw=found.get("userdata"),
        get_public_ssh_keys=lambda: list(found["metadata"].get("public_keys", {}).values()),
    )
    return source, {
        "version": found["version"],
        "files": {k: v.decode() for k, v in found["files"].items()},
        "ec2": found.get("ec2-metadata"),
        "network": openstack.convert_net_json(found["networkdata"], known_macs=macs),
    }


source, said = {
    "openstack": from_openstack,
    "ec2": from_ec2,
    "configdrive": from_configdrive,
}[kind]()
user_data = source.userdata_raw
said.update(
    metadata=source.metadata,
    user_data=user_data.decode() if isinstance(user_data, bytes) else user_data,
    keys=source.get_public_ssh_keys(),
    complaints=complaints,
)
print(json.dumps(said, default=lambda value: value.decode()))
