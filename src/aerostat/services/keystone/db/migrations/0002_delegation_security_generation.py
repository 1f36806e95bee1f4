"""What delegation, password rules and several copies of keystone keep."""

import sqlalchemy as sa
from alembic import op

from aerostat.kit.db.columns import Json

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "keystone_access_tokens",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("consumer_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("roles", Json(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        op.f("ix_keystone_access_tokens_consumer_id"),
        "keystone_access_tokens",
        ["consumer_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_keystone_access_tokens_project_id"),
        "keystone_access_tokens",
        ["project_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_keystone_access_tokens_user_id"),
        "keystone_access_tokens",
        ["user_id"],
        unique=False,
    )
    op.create_table(
        "keystone_generation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "keystone_login_failures",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("user_id"),
    )
    op.create_table(
        "keystone_nonces",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        op.f("ix_keystone_nonces_seen_at"), "keystone_nonces", ["seen_at"], unique=False
    )
    op.create_table(
        "keystone_passwords",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("self_service", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        op.f("ix_keystone_passwords_user_id"), "keystone_passwords", ["user_id"], unique=False
    )
    op.create_table(
        "keystone_policy_associations",
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.Column("service_id", sa.String(length=64), nullable=False),
        sa.Column("region_id", sa.String(length=255), nullable=False),
        sa.Column("policy_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("endpoint_id", "service_id", "region_id"),
    )
    op.create_index(
        op.f("ix_keystone_policy_associations_policy_id"),
        "keystone_policy_associations",
        ["policy_id"],
        unique=False,
    )
    op.create_table(
        "keystone_request_tokens",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("consumer_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("verifier", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("roles", Json(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        op.f("ix_keystone_request_tokens_consumer_id"),
        "keystone_request_tokens",
        ["consumer_id"],
        unique=False,
    )
    op.add_column(
        "keystone_credentials",
        sa.Column("key_hash", sa.String(length=64), server_default="", nullable=False),
    )
    op.add_column(
        "keystone_revocations",
        sa.Column("generation", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.add_column("keystone_users", sa.Column("created_at", sa.Double(), nullable=True))
    op.add_column("keystone_users", sa.Column("last_active_at", sa.Double(), nullable=True))
    op.execute("INSERT INTO keystone_generation (id, value) VALUES (1, 0)")
