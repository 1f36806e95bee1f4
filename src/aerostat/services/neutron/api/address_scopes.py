"""/address-scopes: list, show, create, update, delete."""

from aerostat.services.neutron.api.resources import crud
from aerostat.services.neutron.domain import nouns
from aerostat.services.neutron.schemas.nouns import ADDRESS_SCOPE

routes = crud("/address-scopes", ADDRESS_SCOPE, nouns.ADDRESS_SCOPES)
