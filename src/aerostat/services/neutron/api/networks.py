"""/networks: list, show, create, update, delete."""

from aerostat.services.neutron.api.resources import crud
from aerostat.services.neutron.domain import nouns
from aerostat.services.neutron.schemas.nouns import NETWORK

routes = crud("/networks", NETWORK, nouns.NETWORKS)
