"""What the demo's things are called; by these names they are found again and removed."""

IMAGE = "aerostat-guest"
FLAVOR = "m1.nano"
KEY = "demo-key"
NETWORK = "demo-net"
SUBNET = "demo-subnet"
SUBNET_CIDR = "10.0.0.0/24"
ROUTER = "demo-router"
GROUP = "demo-ssh"
SERVER_PREFIX = "demo-"
FLOATING_NOTE = "aerostat demo"

PUBLIC = "public"
PUBLIC_SUBNET = "public-subnet"
PUBLIC_CIDR = "172.24.4.0/24"
PUBLIC_GATEWAY = "172.24.4.1"
PUBLIC_POOL = ("172.24.4.100", "172.24.4.250")

SUBNET_POOL = "demo-pool"
SUBNET_POOL_PREFIX = "10.64.0.0/16"
"""Where the subnets of automatic networks come from."""

GUEST_USER = "cirros"
"""The account of the guest image that the key is for."""
