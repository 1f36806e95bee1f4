"""Sagas have owners: the workers that run them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "nova_sagas", sa.Column("owner", sa.String(36), nullable=False, server_default="")
    )
    op.create_table(
        "nova_saga_workers",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("beat", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
