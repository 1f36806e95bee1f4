"""/floatingips: list, show, create, update, delete."""

from aerostat.services.neutron.api.resources import crud
from aerostat.services.neutron.domain import nouns
from aerostat.services.neutron.schemas.nouns import FLOATING

routes = crud("/floatingips", FLOATING, nouns.FLOATINGS)
