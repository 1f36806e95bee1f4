"""Builds those services of the control plane that a process plays a role of."""

from dataclasses import dataclass
from typing import Any

from aerostat.assembly.image_stores import open_stores
from aerostat.assembly.roles import APIS, CONTROL, NOVA, REGISTRY, Roles
from aerostat.assembly.settings import Settings, options
from aerostat.contracts.compute import metadata
from aerostat.contracts.events import BusNotifier
from aerostat.contracts.identity import CatalogService, identity
from aerostat.contracts.image import image, registry
from aerostat.contracts.network import network
from aerostat.contracts.placement import placement
from aerostat.kit.bus.endpoint import Bus
from aerostat.kit.clock import Clock
from aerostat.kit.context import Context
from aerostat.kit.db.engine import Database
from aerostat.kit.db.migrate import behind, upgrade
from aerostat.kit.errors import Conflict, Unavailable
from aerostat.kit.http.edge import Api, Authenticate
from aerostat.kit.http.policy import Policy
from aerostat.kit.ids import IdSource
from aerostat.kit.manifest import Manifest
from aerostat.kit.saga.engine import Engine
from aerostat.services.glance import provides as glance_provides
from aerostat.services.glance import runtime as glance_runtime
from aerostat.services.glance import service as glance_service
from aerostat.services.glance.config import GlanceConfig
from aerostat.services.glance.peers import Peers
from aerostat.services.glance.registry import RegistryDatabase, RegistryProvider
from aerostat.services.keystone import provides as keystone_provides
from aerostat.services.keystone import runtime as keystone_runtime
from aerostat.services.keystone import service as keystone_service
from aerostat.services.keystone.config import KeystoneConfig
from aerostat.services.keystone.domain.bootstrap import bootstrap
from aerostat.services.keystone.drivers.ldap import directories
from aerostat.services.keystone.drivers.openid import openid_providers
from aerostat.services.keystone.drivers.saml_peers import HttpPeers
from aerostat.services.neutron import provides as neutron_provides
from aerostat.services.neutron import service as neutron_service
from aerostat.services.neutron.agent.endpoint import network_control
from aerostat.services.neutron.config import NeutronConfig
from aerostat.services.neutron.domain.control import Control
from aerostat.services.neutron.runtime import NeutronService
from aerostat.services.nova import provides as nova_provides
from aerostat.services.nova import service as nova_service
from aerostat.services.nova.agent.endpoint import compute_control
from aerostat.services.nova.config import NovaConfig
from aerostat.services.nova.db.tables import sagas as nova_sagas
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.sagas.scheduling import nova_scheduler
from aerostat.services.placement import provides as placement_provides
from aerostat.services.placement import service as placement_service
from aerostat.services.placement.runtime import PlacementService

METADATA_PORT, NOVNC_PORT = 8775, 6080

MANIFESTS: tuple[Manifest, ...] = (
    keystone_service.manifest,
    glance_service.manifest,
    placement_service.manifest,
    nova_service.manifest,
    neutron_service.manifest,
)


@dataclass(frozen=True)
class World:
    """What every service is built over."""

    settings: Settings
    db: Database
    bus: Bus
    clock: Clock
    ids: IdSource


@dataclass(frozen=True)
class Plane:
    """What a process has of the control plane: applications by service, and nova."""

    apps: dict[str, Api[Any]]
    services: dict[str, Any]
    authenticate: Authenticate

    @property
    def nova(self) -> Nova:
        """Nova, in a process that has a part of it."""
        nova: Nova = self.services["nova"]
        return nova


async def build(world: World, admin_password: str, roles: Roles = frozenset(CONTROL)) -> Plane:
    """Build what the roles need; the keystone role also fills the catalogue.

    Raises: Unavailable (the schema of a shared database is not what this release needs).
    """
    await prepare_schemas(world.db)
    keystone = _keystone(world)
    provider = keystone_provides.IdentityProvider(keystone)
    services: dict[str, Any] = {"keystone": keystone}
    if "keystone" in roles:
        await _fill(world, keystone, admin_password)
        identity.serve(world.bus, provider)
    if REGISTRY in roles:
        registry.serve(world.bus, RegistryProvider(world.db))
    if "glance-api" in roles:
        registered = uses_registry(world.settings)
        rows = RegistryDatabase(registry.at(world.bus)) if registered else world.db
        services["glance"] = await _glance(world.settings, world.bus, world.clock, rows)
    if "placement-api" in roles:
        services["placement"] = _placement(world)
    if "neutron-server" in roles:
        services["neutron"] = _neutron(world)
    if roles & set(NOVA):
        services["nova"] = _nova(world, roles)
    apis = {APIS[role] for role in roles if role in APIS}
    apps = {
        m.name: Api(m.api, services[m.name], policy_of(world.settings, m), provider.authenticate)
        for m in MANIFESTS
        if m.name in apis
    }
    return Plane(apps, services, provider.authenticate)


def policy_of(settings: Settings, manifest: Manifest) -> Policy:
    """Return a service's rules, with what the operator has written. Raises: BadRequest."""
    return Policy(manifest.rules, settings.policy_file(manifest.name))


def uses_registry(settings: Settings) -> bool:
    """Tell whether glance-api leaves its rows to glance-registry."""
    return options(settings.glance, GlanceConfig, "glance").data_api == "registry"


async def build_without_database(settings: Settings, bus: Bus, clock: Clock) -> Plane:
    """Build a glance-api whose rows and tokens are behind the bus."""
    glance = await _glance(settings, bus, clock, RegistryDatabase(registry.at(bus)))
    provider = identity.at(bus)

    async def authenticate(token: str, *, late: bool = False) -> Context:
        return await provider.authenticate(token=token, late=late)

    manifest = glance_service.manifest
    api = Api(manifest.api, glance, policy_of(settings, manifest), authenticate)
    return Plane({manifest.name: api}, {manifest.name: glance}, authenticate)


BOOTSTRAP_TRIES = 5
"""Copies that start together may stand in each other's way."""


async def _fill(world: World, keystone: keystone_runtime.Keystone, admin_password: str) -> None:
    """Have the first domain, admin and roles, and the catalogue."""
    region = world.settings.region
    provider = keystone_provides.IdentityProvider(keystone)
    for attempt in range(BOOTSTRAP_TRIES):
        try:
            await bootstrap(keystone, admin_password=admin_password, region=region)
            await provider.register(region=region, services=catalog(world.settings))
            return
        except Conflict:
            if attempt == BOOTSTRAP_TRIES - 1:
                raise


async def prepare_schemas(db: Database) -> None:
    """Have the tables that this release needs: made here, unless others use them too."""
    for manifest in MANIFESTS:
        if not db.shared:
            await upgrade(db, manifest.name, manifest.migrations)
        elif await behind(db, manifest.name, manifest.migrations):
            raise Unavailable(f"The tables of {manifest.name} are behind: ./aerostat db migrate")


def catalog(settings: Settings) -> list[CatalogService]:
    """Return what the catalogue shows."""
    return [
        CatalogService(m.name, m.service_type, m.description, settings.url(m.port, m.suffix))
        for m in MANIFESTS
    ]


def _keystone(world: World) -> keystone_runtime.Keystone:
    keystone = keystone_of(world.settings, world.db, world.clock)
    keystone.notifier = BusNotifier(world.bus)
    return keystone


def keystone_config(settings: Settings) -> KeystoneConfig:
    """Return the operator's options of the identity service. Raises: BadRequest."""
    known = {
        "password_hash_rounds": settings.password_hash_rounds,
        "public_endpoint": settings.url(keystone_service.manifest.port),
    }
    return options({**known, **settings.keystone}, KeystoneConfig, "keystone")


def keystone_of(
    settings: Settings, db: Database, clock: Clock | None = None
) -> keystone_runtime.Keystone:
    """Return the identity service of an installation, with the operator's options."""
    config = keystone_config(settings)
    folder = settings.keystone_dir
    return keystone_runtime.build(
        *(db, folder, config),
        clock=clock,
        shared=db.shared,
        directories=directories(config.directory_threads),
        openid=openid_providers(),
        saml=HttpPeers(),
    )


async def _glance(
    settings: Settings, bus: Bus, clock: Clock, db: RegistryDatabase | Database
) -> Any:
    state = settings.control_dir / "glance"
    config = options(settings.glance, GlanceConfig, "glance")
    stores = open_stores(config, state, clock)
    keys = settings.keystone_dir
    glance = glance_runtime.build(db, state, stores, config, keys=keys, clock=clock)
    glance.identity = identity.at(bus)
    glance.peers = Peers(settings.tls_ca)
    if not db.shared:  # What another copy is writing is none of this one's business.
        await glance_provides.recover(glance)
    image.serve(bus, glance_provides.ImageProvider(glance))
    return glance


def _placement(world: World) -> PlacementService:
    service = PlacementService(world.db, world.clock)
    placement.serve(world.bus, placement_provides.Provides(service))
    return service


def _neutron(world: World) -> NeutronService:
    service = NeutronService(
        db=world.db,
        clock=world.clock,
        bus=world.bus,
        config=options(world.settings.neutron, NeutronConfig, "neutron"),
        new_id=world.ids,
    )
    network.serve(world.bus, neutron_provides.NetworkProvider(service))
    network_control.serve(world.bus, Control(service))
    return service


def _nova(world: World, roles: Roles) -> Nova:
    base_url = {"novncproxy_base_url": world.settings.url(NOVNC_PORT, "/vnc_auto.html")}
    config = options({**base_url, **world.settings.nova}, NovaConfig, "nova")
    sagas: Engine[Nova] = Engine(
        world.db,
        nova_sagas,
        nova_service.sagas(config),
        world.clock,
        world.ids,
        bus=world.bus,
    )
    nova = Nova(
        db=world.db,
        clock=world.clock,
        ids=world.ids,
        config=config,
        bus=world.bus,
        sagas=sagas,
        placement=placement.at(world.bus),
        network=network.at(world.bus, timeout_s=90),
        image=image.at(world.bus),
        identity=identity.at(world.bus),
    )
    if "nova-scheduler" in roles:
        nova_scheduler.serve(world.bus, nova_provides.Scheduler(nova))
    if "nova-conductor" in roles:
        compute_control.serve(world.bus, nova_provides.Conductor(nova))
    if "nova-metadata" in roles:
        metadata.serve(world.bus, nova_provides.MetadataProvides(nova))
    return nova
