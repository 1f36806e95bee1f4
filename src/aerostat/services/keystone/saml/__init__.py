"""SAML 2.0 documents: what this cloud writes, and what it believes. No state, no network."""
