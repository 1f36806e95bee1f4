"""What neutron-server does by itself, again and again."""
