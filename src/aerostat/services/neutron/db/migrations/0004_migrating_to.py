"""migrating_to."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "neutron_ports",
        sa.Column("migrating_to", sa.String(length=255), server_default="", nullable=False),
    )
    op.create_index(
        op.f("ix_neutron_ports_migrating_to"), "neutron_ports", ["migrating_to"], unique=False
    )
