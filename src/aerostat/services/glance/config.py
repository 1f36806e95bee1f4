"""What an operator may set of glance; the names are upstream's where the meaning is."""

from msgspec import Struct


class GlanceConfig(Struct, frozen=True, kw_only=True):
    """Options of the image service. Every default runs a whole cloud."""

    image_size_cap: int = 1 << 40
    """Bytes of one image's data at most."""

    limit_param_default: int = 25
    """Images on a page when the client does not say."""

    api_limit_max: int = 1000
    """Images on a page at most."""

    image_member_quota: int = 128
    """Members of one image at most; negative: any number."""

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

    import_methods: tuple[str, ...] = ("glance-direct", "web-download")
    """Ways to import that /v2/info/import offers."""

    web_download_ports: tuple[int, ...] = (80, 443)
    """Ports that an import from the web may connect to."""

    web_download_networks: tuple[str, ...] = ()
    """Networks (CIDR) that an import from the web may reach although they are not public."""

    task_time_to_live_h: int = 48
    """Hours that a finished task is shown."""

    web_download_timeout_s: float = 3600.0
    """Seconds that fetching an image from the web may take."""
