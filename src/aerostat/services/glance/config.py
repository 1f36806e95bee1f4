"""What an operator may set of glance; the names are upstream's where the meaning is."""

from typing import Literal

from msgspec import Struct, field

from aerostat.kit.log import Secret


class FileStore(Struct, frozen=True, kw_only=True, tag="file", tag_field="type"):
    """Files of a folder of this host, or of one that every glance-api mounts."""

    filesystem_store_datadir: str = ""
    """The folder; `glance/images` in the state directory if empty."""

    weight: int = 0
    """Among the stores that have an image, the heaviest is read."""


class HttpStore(Struct, frozen=True, kw_only=True, tag="http", tag_field="type"):
    """Web servers whose URLs may be locations of images; read only."""

    weight: int = 0
    """Among the stores that have an image, the heaviest is read."""


class S3Store(Struct, frozen=True, kw_only=True, tag="s3", tag_field="type"):
    """A bucket of an S3 server; it must exist."""

    s3_store_host: str
    """The server, as https://host[:port][/path]."""

    s3_store_bucket: str
    """The bucket, addressed by path."""

    s3_store_access_key: Secret
    """The key's name."""

    s3_store_secret_key: Secret
    """The key."""

    s3_store_region: str = "us-east-1"
    """The region that requests are signed for."""

    s3_store_large_object_size: int = 100 << 20
    """Bytes; larger images are put in parts."""

    s3_store_large_object_chunk_size: int = 64 << 20
    """Bytes of one part; S3 wants 5 MiB at least and has 10,000 parts at most."""

    timeout_s: float = 60.0
    """Seconds that the server may be silent."""

    weight: int = 0
    """Among the stores that have an image, the heaviest is read."""


class RbdStore(Struct, frozen=True, kw_only=True, tag="rbd", tag_field="type"):
    """A pool of a Ceph cluster; needs Debian's python3-rados and python3-rbd."""

    rbd_store_pool: str = "images"
    """The pool."""

    rbd_store_user: str = "glance"
    """The user, without `client.`."""

    rbd_store_ceph_conf: str = "/etc/ceph/ceph.conf"
    """Ceph's configuration file."""

    rbd_store_chunk_size: int = 8
    """MiB of an object of the images; a power of two."""

    rados_connect_timeout: int = 10
    """Seconds that connecting may take."""

    weight: int = 0
    """Among the stores that have an image, the heaviest is read."""


class SwiftStore(Struct, frozen=True, kw_only=True, tag="swift", tag_field="type"):
    """A container of an object store, in the account of one project (multi-tenant off)."""

    swift_store_auth_address: str
    """The identity service (v3), as https://host:5000/v3."""

    swift_store_user: str
    """PROJECT:USER."""

    swift_store_key: Secret
    """The user's password."""

    user_domain_id: str = "default"
    """The domain of the user."""

    project_domain_id: str = "default"
    """The domain of the project."""

    default_swift_reference: str = "ref1"
    """The name of this account in locations."""

    swift_store_container: str = "glance"
    """The container."""

    swift_store_create_container_on_put: bool = False
    """Whether the container is made if it is not there."""

    swift_store_large_object_size: int = 5120
    """MiB from which on images are put in segments."""

    swift_store_large_object_chunk_size: int = 200
    """MiB of a segment; a manifest has 1,000 at most."""

    swift_store_region: str = ""
    """The region of the object store; the first in the catalogue if empty."""

    swift_store_endpoint_type: str = "publicURL"
    """publicURL, internalURL or adminURL."""

    swift_store_service_type: str = "object-store"
    """The type of the service in the catalogue."""

    swift_store_endpoint: str = ""
    """The account's URL, if not the catalogue's."""

    swift_store_cacert: str = ""
    """A PEM file of who signed the servers' certificates; well-known authorities if empty."""

    timeout_s: float = 60.0
    """Seconds that a server may be silent."""

    weight: int = 0
    """Among the stores that have an image, the heaviest is read."""


StoreConfig = FileStore | HttpStore | S3Store | RbdStore | SwiftStore


def _one_store() -> dict[str, StoreConfig]:
    return {"file": FileStore()}


class GlanceConfig(Struct, frozen=True, kw_only=True):
    """Options of the image service. Every default runs a whole cloud."""

    enabled_backends: dict[str, StoreConfig] = field(default_factory=_one_store)
    """Stores by their ids: `[glance.enabled_backends.ID]` with `type` and the type's options."""

    default_backend: str = "file"
    """The id of the store that takes data if the client does not say which."""

    data_api: Literal["sqlalchemy", "registry"] = "sqlalchemy"
    """Who owns the rows: this process over its database, or a glance-registry over the bus."""

    node_staging_uri: str = ""
    """The folder where data arrives; `glance/staging` if empty."""

    worker_self_reference_url: str = ""
    """The URL at which the other copies reach this glance-api: they pass on what is about data
    in its staging folder, and tell each other what is in their caches. Empty: all copies share the
    folder (or there is one).

    Who signed the certificates of https URLs is in `tls_ca`."""

    show_multiple_locations: bool = False
    """Whether images show `locations`, and a PATCH may change them. Source: OSSN-0065: unsafe."""

    show_image_direct_url: bool = False
    """Whether images show `direct_url`, the first of their locations."""

    do_secure_hash: bool = True
    """Whether data that is added as a location is read and hashed."""

    delayed_delete: bool = False
    """Whether the data of a deleted image stays in its stores for `scrub_time`."""

    scrub_time: int = 0
    """Seconds after which the scrubber removes the data of a deleted image."""

    wakeup_time: int = 300
    """Seconds between two runs of the scrubber."""

    image_cache: bool = True
    """Whether images that lie in stores far away are kept in files of this host too."""

    image_cache_dir: str = ""
    """The folder of the cache, one for each process; `glance/cache` if empty."""

    image_cache_max_size: int = 10 << 30
    """Bytes that the cache is brought down to, now and then."""

    image_cache_stall_time: int = 86_400
    """Seconds after which what does not arrive is removed."""

    cache_prefetcher_interval: int = 300
    """Seconds between two times that the cache is tidied and its queue fetched."""

    lease_s: float = 120.0
    """Seconds after which work that gives no sign of life is undone by another process."""

    use_keystone_limits: bool = False
    """Whether the unified limits of keystone bind: image_size_total, image_stage_total (MiB),
    image_count_total, image_count_uploading. What is not registered there is 0 then."""

    image_size_cap: int = 1 << 40
    """Bytes of one image's data at most."""

    limit_param_default: int = 25
    """Images on a page when the client does not say."""

    api_limit_max: int = 1000
    """Images on a page at most."""

    image_member_quota: int = 128
    """Members of one image at most; negative: any number."""

    image_location_quota: int = 10
    """Locations of one image at most; negative: any number."""

    image_property_quota: int = 128
    """Custom properties of one image at most; negative: any number."""

    image_tag_quota: int = 128
    """Tags of one image at most; negative: any number."""

    hashing_algorithm: str = "sha512"
    """The algorithm of os_hash_value; a name that hashlib knows."""

    disk_formats: tuple[str, ...] = (
        "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop",
    )  # fmt: skip
    """Accepted values of disk_format."""

    container_formats: tuple[str, ...] = (
        "ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed",
    )  # fmt: skip
    """Accepted values of container_format."""

    property_protection_file: str = ""
    """A file that says who may create, read, update and delete which custom properties; none:
    whoever may change the image."""

    property_protection_rule_format: Literal["roles", "policies"] = "roles"
    """Whether the file names roles, or policy rules."""

    metadata_source_path: str = "/etc/glance/metadefs"
    """The folder that `aerostat glance metadefs load` takes files from if it is told of none."""

    require_image_format_match: bool = True
    """Whether data must be of the format that disk_format says."""

    ticket_lifetime_s: int = 600
    """Seconds that a download ticket opens its image."""

    transfer_threads: int = 8
    """Threads that read, write and hash image data."""

    inspection_timeout_s: float = 20.0
    """Seconds that the inspection of one image may take."""

    inspection_memory_mib: int = 256
    """Address space in MiB of the process that inspects an image."""

    import_methods: tuple[str, ...] = (
        "glance-direct", "web-download", "copy-image",
    )  # fmt: skip
    """Ways to import that /v2/info/import offers."""

    image_import_plugins: tuple[str, ...] = ()
    """What happens to imported data: image_decompression, image_conversion,
    inject_image_metadata."""

    output_format: str = "raw"
    """The disk_format that image_conversion converts to."""

    conversion_timeout_s: float = 3600.0
    """Seconds that converting one image may take."""

    inject: dict[str, str] = {}
    """Properties that inject_image_metadata gives to imported images."""

    ignore_user_roles: tuple[str, ...] = ("admin",)
    """Whose imports inject_image_metadata leaves alone."""

    web_download_ports: tuple[int, ...] = (80, 443)
    """Ports that an import from the web may connect to."""

    web_download_networks: tuple[str, ...] = ()
    """Networks (CIDR) that an import from the web may reach although they are not public."""

    task_time_to_live_h: int = 48
    """Hours that a finished task is shown."""

    web_download_timeout_s: float = 3600.0
    """Seconds that fetching an image from the web may take."""
