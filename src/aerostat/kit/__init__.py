"""The toolbox every service is built with; it knows no service."""
