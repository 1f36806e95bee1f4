"""Which directory entry a public id means."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "keystone_id_mappings",
        sa.Column("public_id", sa.String(length=64), nullable=False),
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column("local_id", sa.String(length=255), nullable=False),
        sa.Column("entity_type", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("public_id"),
    )
    op.create_index(
        op.f("ix_keystone_id_mappings_domain_id"),
        "keystone_id_mappings",
        ["domain_id"],
        unique=False,
    )
