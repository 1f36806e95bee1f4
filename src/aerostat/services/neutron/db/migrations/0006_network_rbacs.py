"""network rbacs: what shared and external networks allow everybody, and some."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLE = "neutron_network_rbacs"
NETWORKS = sa.table(
    "neutron_networks",
    sa.column("id", sa.String),
    sa.column("project_id", sa.String),
    sa.column("shared", sa.Boolean),
    sa.column("external", sa.Boolean),
)


def upgrade() -> None:
    table = op.create_table(
        TABLE,
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("object_id", sa.String(length=36), nullable=False),
        sa.Column("target_project", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["object_id"], ["neutron_networks.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("object_id", "action", "target_project", name=f"uq_{TABLE}"),
    )
    op.create_index(op.f(f"ix_{TABLE}_project_id"), TABLE, ["project_id"], unique=False)
    op.create_index(f"ix_{TABLE}_target", TABLE, ["target_project", "action", "object_id"])
    op.add_column(
        "neutron_networks",
        sa.Column("restricted", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    assert table is not None
    for column, action in (("shared", "access_as_shared"), ("external", "access_as_external")):
        _allow_everybody(table, column, action)


def _allow_everybody(table: sa.Table, column: str, action: str) -> None:
    stmt = sa.select(NETWORKS.c.id, NETWORKS.c.project_id).where(NETWORKS.c[column].is_(True))
    rows = [
        {
            "id": str(uuid4()),
            "project_id": project_id,
            "object_id": network_id,
            "target_project": "*",
            "action": action,
        }
        for network_id, project_id in op.get_bind().execute(stmt)
    ]
    if rows:
        op.bulk_insert(table, rows)
